//! `explain`: what a cause means and how to cure it, or how an image name is understood.

use clap::Args;

use super::{Exit, Failure, Out};
use crate::image::Reference;
use crate::report::explain;

/// Explain a cause such as tag-not-found, or how an image name is understood
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A cause, a reason or an image; without it all causes are listed
    #[arg(value_name = "CAUSE|IMAGE")]
    subject: Option<String>,
}

/// Runs the command.
pub(super) fn run(arguments: Arguments, out: &Out) -> Result<Exit, Failure> {
    let options = out.options();
    let Some(subject) = &arguments.subject else {
        out.print(&explain::list(&options))?;
        return Ok(Exit::Success);
    };
    if let Some(text) = explain::id(subject, &options) {
        out.print(&text)?;
        return Ok(Exit::Success);
    }
    if let Some(near) = explain::nearest(subject) {
        let error = anyhow::anyhow!("there is no cause \"{subject}\"");
        return Err(Failure::misuse(error).hint(format!("pullproof explain {near}")));
    }
    out.print(&explain::image(subject))?;
    Ok(if Reference::parse(subject).is_ok() { Exit::Success } else { Exit::Misuse })
}
