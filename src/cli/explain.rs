//! `explain`: what a cause means and how to cure it, or how an image name is understood.

use clap::Args;

use super::{Exit, Failure, Out};
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
    let text = match &arguments.subject {
        None => explain::list(&options),
        Some(subject) => explain::id(subject, &options).unwrap_or_else(|| explain::image(subject)),
    };
    out.print(&text)?;
    Ok(Exit::Success)
}
