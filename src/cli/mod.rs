//! The command line: one file a command. A command reads its inputs, runs, prints through
//! [`crate::report`], and ends in an [`Exit`].

mod auth;
mod auth_check;
mod cache;
mod cluster;
mod config;
mod controller;
mod crds;
mod diagnose;
mod explain;
mod images;
mod inputs;
mod outputs;
mod progress;
mod project;
mod quota;
mod scan;
mod serve;
mod validate;
mod version;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use crate::report::{self, outside};

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// No verdict Deny.
    Success,
    /// At least one Deny.
    Denied,
    /// Usage, configuration, nothing to check.
    Misuse,
    /// A fault of ours.
    Fault,
    /// No Deny, but an image could not be judged and `--inconclusive=fail` was asked for.
    Inconclusive,
}

impl Exit {
    /// The exit code of the process.
    pub fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Denied => 1,
            Exit::Misuse => 2,
            Exit::Fault => 3,
            Exit::Inconclusive => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// A run that could not be made, told once on standard error.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    error: anyhow::Error,
    hint: Option<String>,
}

impl Failure {
    /// The person's to mend: exit 2.
    fn misuse(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Misuse, error: error.into(), hint: None }
    }

    /// Ours to mend: exit 3.
    fn fault(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Fault, error: error.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Proves that a Pod's images will pull before the Pod exists.
#[derive(Debug, Parser)]
#[command(name = "pullproof", version, max_term_width = 100, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 no Deny, 1 at least one Deny, 2 usage or nothing to check, 3 a fault of pullproof, 4 not judged and --inconclusive=fail"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// When to use colour; NO_COLOR and CLICOLOR are obeyed
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Colour,
    /// Tell on standard error what is sent and answered
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
}

/// How the answer of a command is written that makes no report.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(visible_alias = "check")]
    Validate(Box<validate::Arguments>),
    Scan(Box<scan::Arguments>),
    Images(images::Arguments),
    Explain(explain::Arguments),
    Diagnose(diagnose::Arguments),
    /// Credentials: which would be tried for an image, and whether each works
    Auth(auth::Arguments),
    Quota(quota::Arguments),
    Serve(Box<serve::Arguments>),
    Config(config::Arguments),
    Crds(crds::Arguments),
    Controller(controller::Arguments),
    /// Print a completion script for a shell
    Completions {
        shell: clap_complete::Shell,
    },
    Version(version::Arguments),
}

/// Runs one command line; never ends the process itself.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            print_clap(&error);
            return if error.use_stderr() { Exit::Misuse } else { Exit::Success };
        }
    };
    let verbose = arguments.verbose;
    // A long-running role has a log of its own.
    let has_own_log = matches!(arguments.command, Command::Serve(_) | Command::Controller(_));
    if verbose && !has_own_log {
        log();
    }
    let out = Out { colour: arguments.color };
    let done = match arguments.command {
        Command::Validate(arguments) => validate::run(*arguments, &out),
        Command::Scan(arguments) => scan::run(*arguments, &out),
        Command::Images(arguments) => images::run(arguments, &out),
        Command::Explain(arguments) => explain::run(arguments, &out),
        Command::Diagnose(arguments) => diagnose::run(arguments, &out),
        Command::Auth(arguments) => auth::run(arguments, &out),
        Command::Quota(arguments) => quota::run(arguments, &out),
        Command::Serve(arguments) => serve::run(*arguments, verbose, &out),
        Command::Config(arguments) => config::run(arguments, &out),
        Command::Crds(arguments) => crds::run(arguments, &out),
        Command::Controller(arguments) => controller::run(arguments, verbose),
        Command::Completions { shell } => completions(shell, &out),
        Command::Version(arguments) => version::run(arguments, &out),
    };
    done.unwrap_or_else(|failure| {
        tell(&failure);
        failure.exit
    })
}

/// What the argument parser says; help and version come as errors that go to standard output. It
/// repeats arguments as they came, so its colours are kept only where nothing needs cleaning.
fn print_clap(error: &clap::Error) {
    let text = error.render().to_string();
    if text.lines().all(|line| outside::line(line) == line) {
        let _ = error.print();
    } else {
        note(&text);
    }
}

/// Our own events on standard error; those of the libraries would tell more than is asked.
fn log() {
    use tracing_subscriber::prelude::*;
    let ours =
        tracing_subscriber::filter::Targets::new().with_target("pullproof", tracing::Level::DEBUG);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_target(false);
    tracing_subscriber::registry().with(lines).with(ours).init();
}

fn completions(shell: clap_complete::Shell, out: &Out) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "pullproof", &mut script);
    out.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}

fn tell(failure: &Failure) {
    let mut text = format!("error: {:#}", failure.error);
    if let Some(hint) = &failure.hint {
        text.push_str(&format!("\n\nhint: {hint}"));
    }
    note(&text);
}

/// Writes a remark to standard error, cleaned line by line.
fn note(text: &str) {
    let mut stderr = anstream::stderr().lock();
    for line in text.lines() {
        // Nobody can be told that standard error is gone.
        let _ = writeln!(stderr, "{}", outside::line(line));
    }
}

/// Standard output, and whether colour suits it.
struct Out {
    colour: Colour,
}

impl Out {
    /// Prints a whole text. A closed pipe is the reader's choice and no failure.
    fn print(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::fault(
                anyhow::Error::new(error).context("cannot write to standard output"),
            )),
            _ => Ok(()),
        }
    }

    /// How reports are to be drawn on this output.
    fn options(&self) -> report::Options {
        let colour = match self.colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => {
                anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
            }
        };
        let width = if std::io::stdout().is_terminal() { terminal_width() } else { None };
        report::Options { colour, width }
    }
}

fn terminal_width() -> Option<usize> {
    console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns))
}
