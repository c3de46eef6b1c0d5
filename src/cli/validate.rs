//! `validate`: will every image in these manifests pull?

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

use super::cache::Cache;
use super::cluster::{self, Beside, Named, WhichCluster};
use super::inputs::{self, Inputs, Reach};
use super::outputs::{self, Output, Target};
use super::progress::Progress;
use super::project::Found;
use super::{Exit, Failure, Out};
use crate::baseline::Baseline;
use crate::diagnosis::{Outcome, Reason};
use crate::image::Platform;
use crate::image::platform::Runtime;
use crate::logins::Logins;
use crate::pipeline::{Credentials, Options, Road};
use crate::policy::ByDefault;
use crate::report::{self, Format, Report};
use crate::waivers;

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
    #[command(flatten)]
    reach: Reach,
    /// Whose logins are used: the Pod's, your own, or your own where the Pod's are refused
    #[arg(long, value_name = "WHOSE", default_value = "any")]
    credentials: Whose,
    /// Read the pull secrets and ServiceAccounts that are not among the files, and the nodes, from
    /// the cluster of your kubeconfig
    #[arg(long, conflicts_with = "offline")]
    from_cluster: bool,
    /// A pull secret of the cluster that every Pod is taken to name, too (repeatable)
    #[arg(long, value_name = "NS/NAME", requires = "from_cluster", value_parser = cluster::named)]
    pull_secret: Vec<Named>,
    #[command(flatten)]
    which: WhichCluster,
    /// Ask nothing: references, secrets and hygiene only
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    cache: Cache,
    /// What images that could not be judged mean for the exit code
    #[arg(long, value_name = "WHAT", default_value = "warn")]
    inconclusive: Inconclusive,
    /// Form of the report [default: full]
    #[arg(short, long, value_name = "FORMAT", value_parser = formats())]
    output: Option<Format>,
    /// Write the report to a file as well, in this format (repeatable)
    #[arg(long, value_name = "FORMAT=FILE", value_parser = outputs::target)]
    report: Vec<Target>,
    /// Allow the findings of this file and count only new ones
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write the findings of this run to a file for --baseline
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum RuntimeName {
    Containerd,
    /// containerd 1.x, 2.0, or a later one set to pull locally
    ContainerdLocal,
    /// containerd 2.1 and later by default
    ContainerdTransfer,
    CriO,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Whose {
    Pod,
    Own,
    Any,
}

impl From<Whose> for Credentials {
    fn from(whose: Whose) -> Self {
        match whose {
            Whose::Pod => Credentials::Pod,
            Whose::Own => Credentials::Own,
            Whose::Any => Credentials::Any,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Inconclusive {
    Warn,
    Fail,
}

pub(super) fn platform(text: &str) -> Result<Platform, String> {
    Platform::parse(text).map_err(|error| error.to_string())
}

/// Reads the name of a format; the help lists them.
pub(super) fn formats() -> impl TypedValueParser<Value = Format> {
    let names = Format::ALL.map(|format| format.id());
    PossibleValuesParser::new(names).map(|name| name.parse().unwrap_or_default())
}

/// The format of this name, for values that hold more than it.
pub(super) fn format(text: &str) -> Result<Format, String> {
    text.parse().map_err(|()| {
        let names: Vec<&str> = Format::ALL.iter().map(|format| format.id()).collect();
        format!("use one of {}", names.join(", "))
    })
}

/// Runs the command.
pub(super) fn run(arguments: Arguments, out: &Out) -> Result<Exit, Failure> {
    let found = arguments.inputs.project()?;
    let named = !arguments.inputs.is_empty() || !arguments.image.is_empty();
    if !named && found.project.inputs.is_empty() {
        return Err(Failure::misuse(anyhow::anyhow!(
            "nothing to check: name files, folders, `-` or --image"
        ))
        .hint("pullproof validate manifests/"));
    }
    if arguments.which.is_named() && !arguments.from_cluster {
        let text = "--namespace, --context and --kubeconfig say which cluster is read, and none is";
        return Err(Failure::misuse(anyhow::anyhow!(text)).hint("--from-cluster reads it"));
    }
    let known = arguments.baseline.as_deref().map(inputs::baseline).transpose()?;
    let policies = match arguments.policy.as_slice() {
        [] => inputs::policies(&found.policies()?)?,
        files => inputs::policies(files)?,
    };
    let output = output(&arguments, &found)?;
    let credentials = Credentials::from(arguments.credentials);
    let mut settings = arguments.reach.settings(credentials != Credentials::Pod)?;
    let mut extraction = if named {
        arguments.inputs.extract(&found)?
    } else {
        arguments.inputs.extract_named(&found)?
    };
    extraction.uses.extend(arguments.image.iter().map(|text| inputs::named(text)));
    let finds = [extraction.uses.len(), extraction.placeholders.len(), extraction.broken.len()];
    if finds == [0; 3] {
        super::note(&report::images::remarks(&extraction));
        return Err(inputs::nothing_found(&extraction));
    }
    let files = Files::begin(&arguments.report, arguments.write_baseline.as_deref())?;
    if !arguments.offline {
        settings.disk_cache = arguments.cache.settings();
    }
    let registry = inputs::registry(&settings);
    let options = Options {
        platforms: match arguments.platform {
            named if named.is_empty() => found.project.platforms,
            named => named,
        },
        runtimes: runtimes(&arguments.runtime),
        offline: arguments.offline,
        credentials,
        ignores: found.project.ignores,
        baseline: known,
        by_default: ByDefault::Deny,
    };
    let road =
        Road { settings: &settings, policies: &policies, registry: &registry, options: &options };
    let progress = Progress::new();
    let told = |done, total| progress.set(done, total);
    let runtime = inputs::runtime()?;
    let mut report = if arguments.from_cluster {
        runtime.block_on(async {
            let cluster = arguments.which.connect().await?;
            let files = Logins::new(&extraction);
            let namespace = arguments.which.namespace(&cluster);
            let beside = Beside {
                files: Some(&files),
                namespace: &namespace,
                secrets: &arguments.pull_secret,
            };
            let known = cluster::known(&cluster, &beside, &mut extraction).await;
            Ok::<_, Failure>(road.check_known(extraction, &known, &told).await)
        })?
    } else {
        runtime.block_on(road.check(extraction, &told))
    };
    progress.finish();
    if named {
        // Of a part of the repository a rule for the rest says nothing.
        report.notes.retain(|note| note.id != waivers::UNMET_RULE);
    }
    if let Some(note) = registry.settle() {
        super::note(&format!("note: {note}"));
    }
    files.finish(&report)?;
    out.print(&report::render(&report, output, &out.options()))?;
    Ok(exit(&report, arguments.inconclusive))
}

/// The format asked for, else the repository's, else the default.
fn output(arguments: &Arguments, found: &Found) -> Result<Format, Failure> {
    match (arguments.output, &found.project.output) {
        (Some(named), _) => Ok(named),
        (None, Some(name)) => {
            format(name).map_err(|error| found.misuse(anyhow::anyhow!("output: {error}")))
        }
        (None, None) => Ok(Format::default()),
    }
}

/// The files that the run writes beside what it prints.
pub(super) struct Files {
    reports: Vec<(Format, Output)>,
    baseline: Option<Output>,
}

impl Files {
    pub fn begin(reports: &[Target], baseline: Option<&Path>) -> Result<Self, Failure> {
        outputs::distinct(reports.iter().map(|target| target.file.as_path()).chain(baseline))?;
        let begin = |target: &Target| Ok((target.format, Output::begin(&target.file)?));
        Ok(Self {
            reports: reports.iter().map(begin).collect::<Result<_, Failure>>()?,
            baseline: baseline.map(Output::begin).transpose()?,
        })
    }

    pub fn finish(self, report: &Report) -> Result<(), Failure> {
        for (format, output) in self.reports {
            output.finish(&report::render(report, format, &report::Options::default()))?;
        }
        match self.baseline {
            Some(output) => output.finish(&Baseline::of(report).text()),
            None => Ok(()),
        }
    }
}

pub(super) fn runtimes(names: &[RuntimeName]) -> Vec<Runtime> {
    let of = |name: &RuntimeName| match name {
        RuntimeName::Containerd => vec![Runtime::ContainerdLocal, Runtime::ContainerdTransfer],
        RuntimeName::ContainerdLocal => vec![Runtime::ContainerdLocal],
        RuntimeName::ContainerdTransfer => vec![Runtime::ContainerdTransfer],
        RuntimeName::CriO => vec![Runtime::Crio],
    };
    names.iter().flat_map(of).collect()
}

pub(super) fn exit(report: &Report, inconclusive: Inconclusive) -> Exit {
    let not_judged = |result: &report::Result| {
        !result.is_waived()
            && matches!(result.diagnosis.outcome, Outcome::Inconclusive { reason } if reason != Reason::NotAsked)
    };
    if report.summary.deny > 0 {
        Exit::Denied
    } else if inconclusive == Inconclusive::Fail && report.results.iter().any(not_judged) {
        Exit::Inconclusive
    } else {
        Exit::Success
    }
}
