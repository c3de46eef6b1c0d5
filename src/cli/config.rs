//! `config`: what settings files may hold.

use clap::{Args, Subcommand, ValueEnum};

use super::{Exit, Failure, Out};
use crate::settings::schema;

/// Settings files: what they may hold
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the JSON Schema of a settings file, for editors and checks
    Schema {
        /// Which file: pullproof.toml of a repository, or registries.toml
        #[arg(value_name = "FILE", default_value = "project")]
        file: File,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum File {
    Project,
    Registries,
}

/// Runs the command.
pub(super) fn run(arguments: Arguments, out: &Out) -> Result<Exit, Failure> {
    let Command::Schema { file } = arguments.command;
    out.print(match file {
        File::Project => schema::PROJECT,
        File::Registries => schema::REGISTRIES,
    })?;
    Ok(Exit::Success)
}
