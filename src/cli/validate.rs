//! `validate`: will every image in these manifests pull?

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::inputs::{self, Inputs};
use super::progress::Progress;
use super::{Exit, Failure, Out};
use crate::diagnosis::{Outcome, Reason};
use crate::image::Platform;
use crate::image::platform::Runtime;
use crate::pipeline::{Options, Road};
use crate::registry::{Door, Guard, Registry};
use crate::report::{self, Format, Report};
use crate::settings::{Paths, Settings};

/// Ask the registries whether every image in these manifests will pull
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pullproof validate manifests/
  kustomize build overlays/prod | pullproof validate -
  pullproof validate --image ghcr.io/acme/web:1.4.2 --platform linux/arm64")]
pub(super) struct Arguments {
    #[command(flatten)]
    inputs: Inputs,
    /// Check this image, too, with your own login (repeatable)
    #[arg(long, value_name = "REF")]
    image: Vec<String>,
    /// Platforms of the nodes, such as linux/arm64; without it platforms are asked only where a Pod
    /// says which nodes it wants (repeatable)
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',', value_parser = platform)]
    platform: Vec<Platform>,
    /// Container runtime of the nodes, where its choice of platforms matters (repeatable)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    runtime: Vec<RuntimeName>,
    /// ImageCheckPolicy to judge by (repeatable)
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,
    /// How registries are reached; default: pullproof/registries.toml in your config folder
    #[arg(long, value_name = "FILE")]
    registries: Option<PathBuf>,
    /// Your own logins; default: REGISTRY_AUTH_FILE, Docker's config.json, DOCKER_AUTH_CONFIG or
    /// podman's auth.json, the first that is there
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// Ask nothing: references, secrets and hygiene only
    #[arg(long)]
    offline: bool,
    /// What images that could not be judged mean for the exit code
    #[arg(long, value_name = "WHAT", default_value = "warn")]
    inconclusive: Inconclusive,
    /// Form of the report
    #[arg(short, long, value_name = "FORMAT", default_value = "full", value_parser = format)]
    output: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RuntimeName {
    Containerd,
    /// containerd 1.x, 2.0, or a later one set to pull locally
    ContainerdLocal,
    /// containerd 2.1 and later by default
    ContainerdTransfer,
    CriO,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Inconclusive {
    Warn,
    Fail,
}

fn platform(text: &str) -> Result<Platform, String> {
    Platform::parse(text).map_err(|error| error.to_string())
}

pub(super) fn format(text: &str) -> Result<Format, String> {
    text.parse().map_err(|()| {
        let names: Vec<&str> = Format::ALL.iter().map(|format| format.id()).collect();
        format!("use one of {}", names.join(", "))
    })
}

/// Runs the command.
pub(super) fn run(arguments: Arguments, out: &Out) -> Result<Exit, Failure> {
    if arguments.inputs.is_empty() && arguments.image.is_empty() {
        return Err(Failure::misuse(anyhow::anyhow!(
            "nothing to check: name files, folders, `-` or --image"
        ))
        .hint("pullproof validate manifests/"));
    }
    let policies = inputs::policies(&arguments.policy)?;
    let settings = Settings::load(&Paths {
        registries: arguments.registries.clone(),
        authfile: arguments.authfile.clone(),
    })
    .map_err(Failure::misuse)?;
    let mut extraction = arguments.inputs.extract()?;
    extraction.uses.extend(arguments.image.iter().map(|text| inputs::named(text)));
    if extraction.uses.is_empty() && extraction.broken.is_empty() {
        super::note(&report::images::remarks(&extraction));
        return Err(inputs::nothing_found(&extraction));
    }
    for note in &settings.notes {
        super::note(&format!("note: {note}"));
    }
    let guard = Guard {
        door: Door::CommandLine,
        allow: settings.registries.allow_addresses.clone(),
        public_only: settings.registries.public_only,
    };
    let registry = Registry::new(&settings, guard);
    let options = Options {
        platforms: arguments.platform,
        runtimes: runtimes(&arguments.runtime),
        offline: arguments.offline,
    };
    let road =
        Road { settings: &settings, policies: &policies, registry: &registry, options: &options };
    let progress = Progress::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::fault)?;
    let report = runtime.block_on(road.check(extraction, &|done, total| progress.set(done, total)));
    progress.finish();
    out.print(&report::render(&report, arguments.output, &out.options()))?;
    Ok(exit(&report, arguments.inconclusive))
}

fn runtimes(names: &[RuntimeName]) -> Vec<Runtime> {
    let of = |name: &RuntimeName| match name {
        RuntimeName::Containerd => vec![Runtime::ContainerdLocal, Runtime::ContainerdTransfer],
        RuntimeName::ContainerdLocal => vec![Runtime::ContainerdLocal],
        RuntimeName::ContainerdTransfer => vec![Runtime::ContainerdTransfer],
        RuntimeName::CriO => vec![Runtime::Crio],
    };
    names.iter().flat_map(of).collect()
}

fn exit(report: &Report, inconclusive: Inconclusive) -> Exit {
    let not_judged = |result: &report::Result| matches!(result.diagnosis.outcome, Outcome::Inconclusive { reason } if reason != Reason::NotAsked);
    if report.summary.deny > 0 {
        Exit::Denied
    } else if inconclusive == Inconclusive::Fail && report.results.iter().any(not_judged) {
        Exit::Inconclusive
    } else {
        Exit::Success
    }
}
