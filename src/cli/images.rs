//! `images`: which images do these manifests name, and where? Offline.

use clap::Args;

use super::inputs::{self, Inputs};
use super::{Exit, Failure, Out, validate};
use crate::report::{self, Format};

/// List the images in these manifests and where each is written; asks nothing
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    inputs: Inputs,
    /// Show every place of one image
    #[arg(long, value_name = "IMAGE")]
    why: Option<String>,
    /// Form of the list
    #[arg(short, long, value_name = "FORMAT", default_value = "full", value_parser = validate::formats())]
    output: Format,
}

/// Runs the command.
pub(super) fn run(arguments: Arguments, out: &Out) -> Result<Exit, Failure> {
    let found = arguments.inputs.project()?;
    let named = !arguments.inputs.is_empty();
    if !named && found.project.inputs.is_empty() {
        return Err(Failure::misuse(anyhow::anyhow!(
            "nothing to list: name files, folders or `-`"
        ))
        .hint("pullproof images manifests/"));
    }
    let extraction = if named {
        arguments.inputs.extract(&found)?
    } else {
        arguments.inputs.extract_named(&found)?
    };
    if let Some(image) = &arguments.why {
        let places = report::images::why(&extraction, image);
        if places.is_empty() {
            return Err(Failure::misuse(anyhow::anyhow!("{image} is in none of these manifests")));
        }
        out.print(&places)?;
        return Ok(Exit::Success);
    }
    if arguments.output != Format::Json {
        super::note(&report::images::remarks(&extraction));
    }
    if extraction.uses.is_empty() && extraction.broken.is_empty() {
        return Err(inputs::nothing_found(&extraction));
    }
    out.print(&report::images::render(&extraction, arguments.output))?;
    Ok(Exit::Success)
}
