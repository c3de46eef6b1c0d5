//! `auth plan`: which credentials would a kubelet try for an image, in which order, from where?
//! And what it shares with [`auth_check`].

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{Exit, Failure, Form, Out, auth_check, inputs};
use crate::credential::{DockerConfig, Keyring, Lookup, Order, PullSecret, docker_config};
use crate::image::Reference;
use crate::report::auth_plan::{self, AuthPlan};
use crate::settings;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(auth_check::Check),
    Plan(Plan),
}

/// Show which credentials a kubelet would try for an image, in order; asks nothing
#[derive(Debug, Args)]
struct Plan {
    image: String,
    #[command(flatten)]
    pod: PodFiles,
    /// Form of the plan
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Form,
}

/// What the Pod and its node bring.
#[derive(Debug, Args)]
pub(super) struct PodFiles {
    /// Pull secrets in the order of the Pod: a YAML or JSON list of Secrets (repeatable)
    #[arg(long, value_name = "FILE")]
    secrets: Vec<PathBuf>,
    /// The node's docker config.json, tried after all secrets
    #[arg(long, value_name = "FILE")]
    node_config: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(arguments: Arguments, out: &Out) -> Result<Exit, Failure> {
    match arguments.command {
        Command::Check(check) => auth_check::run(check, out),
        Command::Plan(plan) => run_plan(plan, out),
    }
}

fn run_plan(plan: Plan, out: &Out) -> Result<Exit, Failure> {
    let keyring = plan.pod.keyring()?;
    let (lookup, found, error) = match Reference::parse(&plan.image) {
        Err(error) => {
            (String::new(), Lookup::default(), Some(format!("image: {}: {error}", error.id())))
        }
        Ok(reference) => {
            let name = reference.keyring_lookup().to_owned();
            match keyring {
                Ok(keyring) => {
                    let found = keyring.lookup(&name);
                    (name, found, None)
                }
                Err(error) => (name, Lookup::default(), Some(format!("keyring: {error}"))),
            }
        }
    };
    let text = {
        let shown = AuthPlan {
            image: &plan.image,
            lookup: &lookup,
            error: error.as_deref(),
            order_is_fixed: found.order == Order::Fixed,
            candidates: &found.candidates,
        };
        match plan.output {
            Form::Text => auth_plan::text(&shown),
            Form::Json => auth_plan::json(&shown),
        }
    };
    out.print(&text)?;
    Ok(Exit::Success)
}

impl PodFiles {
    /// The keyring of these files, or why a kubelet could not make one of them.
    pub fn keyring(&self) -> Result<Result<Keyring, crate::credential::Error>, Failure> {
        let mut secrets = Vec::new();
        for file in &self.secrets {
            secrets.extend(inputs::objects(file)?);
        }
        let node = self.node_config.as_deref().map(node_config).transpose()?.flatten();
        Ok(keyring(&secrets, node.as_ref()))
    }
}

/// The keyring of the secrets in their order; a secret that cannot be read fails it, as on a node.
fn keyring(
    objects: &[Value],
    node: Option<&DockerConfig>,
) -> Result<Keyring, crate::credential::Error> {
    let mut secrets = Vec::new();
    for (at, object) in objects.iter().enumerate() {
        let text =
            |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let name = match text("/metadata/name") {
            "" => format!("#{}", at + 1),
            name => name.to_owned(),
        };
        secrets.push(PullSecret::from_value(text("/metadata/namespace"), name, object)?);
    }
    Keyring::new(&secrets, node)
}

/// The node's file; a kubelet goes on without one that it cannot read, and so do we, saying so.
fn node_config(file: &Path) -> Result<Option<DockerConfig>, Failure> {
    let text = settings::read(file, docker_config::MAX_FILE).map_err(Failure::misuse)?;
    match DockerConfig::node(file.display().to_string(), text.as_bytes()) {
        Ok(config) => Ok(Some(config)),
        Err(error) => {
            super::note(&format!(
                "note: a kubelet would go on without {}: {error}",
                file.display()
            ));
            Ok(None)
        }
    }
}
