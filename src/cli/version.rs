//! `version`: what this program is.

use clap::Args;

use super::{Exit, Failure, Form, Out};

/// Print the version
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Form of the answer
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Form,
}

/// Runs the command.
pub(super) fn run(arguments: Arguments, out: &Out) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let text = match arguments.output {
        Form::Text => format!("pullproof {version}\n"),
        Form::Json => {
            let value = serde_json::json!({"schema": "pullproof.version.v1", "version": version});
            format!("{value:#}\n")
        }
    };
    out.print(&text)?;
    Ok(Exit::Success)
}
