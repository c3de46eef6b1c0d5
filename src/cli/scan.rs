//! `scan`: will the images of everything that runs in a cluster now pull again? What Deny would
//! refuse, and what would not come back after a drain.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::cluster::{self, Beside, WhichCluster};
use super::inputs::{self, Reach};
use super::outputs::{self, Target};
use super::progress::Progress;
use super::validate::{self, Files, Inconclusive, RuntimeName, Whose};
use super::{Exit, Failure, Out};
use crate::cluster::running::Running;
use crate::cluster::{Cluster, Trouble, list};
use crate::image::Platform;
use crate::image::usage::Source;
use crate::manifest::{Extraction, Extractor, FoundNamespace, Note};
use crate::pipeline::{Credentials, Options, Road};
use crate::policy::{Action, ByDefault, ImageCheckPolicy};
use crate::report::{self, Format, Report};

/// Ask the registries whether everything that runs in a cluster now would pull again
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pullproof scan -A                    what would Deny break?
  pullproof scan -n shop --as-is       what do the cluster's own policies say?
It takes list on workloads, Pods, Nodes and Namespaces, and get on pull secrets and ServiceAccounts.")]
pub(super) struct Arguments {
    #[command(flatten)]
    which: WhichCluster,
    /// Look at all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// Judge by the policies as they stand, instead of what they would do if their action was Deny
    #[arg(long)]
    as_is: bool,
    /// Platforms asked for, instead of those of the nodes that a Pod may land on (repeatable)
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',', value_parser = validate::platform)]
    platform: Vec<Platform>,
    /// Container runtime, where the nodes' own is not known (repeatable)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    runtime: Vec<RuntimeName>,
    /// ImageCheckPolicy to judge by, instead of those of the cluster (repeatable)
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,
    #[command(flatten)]
    reach: Reach,
    /// Whose logins are used: the Pod's, your own, or your own where the Pod's are refused
    #[arg(long, value_name = "WHOSE", default_value = "pod")]
    credentials: Whose,
    /// What images that could not be judged mean for the exit code
    #[arg(long, value_name = "WHAT", default_value = "warn")]
    inconclusive: Inconclusive,
    /// Form of the report [default: full]
    #[arg(short, long, value_name = "FORMAT", value_parser = validate::formats())]
    output: Option<Format>,
    /// Write the report to a file as well, in this format (repeatable)
    #[arg(long, value_name = "FORMAT=FILE", value_parser = outputs::target)]
    report: Vec<Target>,
}

/// Runs the command.
pub(super) fn run(arguments: Arguments, out: &Out) -> Result<Exit, Failure> {
    let credentials = Credentials::from(arguments.credentials);
    let settings = arguments.reach.settings(credentials != Credentials::Pod)?;
    let from_files = inputs::policies(&arguments.policy)?;
    let files = Files::begin(&arguments.report, None)?;
    let options = Options {
        platforms: arguments.platform.clone(),
        runtimes: validate::runtimes(&arguments.runtime),
        credentials,
        by_default: ByDefault::Deny,
        ..Options::default()
    };
    let registry = inputs::registry(&settings);
    let report = inputs::runtime()?.block_on(async {
        let cluster = arguments.which.connect().await?;
        let namespace = arguments.which.namespace(&cluster);
        let namespace = (!arguments.all_namespaces).then_some(namespace.as_str());
        let (mut extraction, running) = extracted(&cluster, namespace).await?;
        let policies = match arguments.policy.as_slice() {
            [] => policies(&cluster, arguments.as_is, &mut extraction.notes).await?,
            _ => from_files,
        };
        if policies.iter().any(|policy| policy.spec.matches.namespace_selector.is_some()) {
            extraction.namespaces = namespaces(&cluster).await?;
        }
        let default = cluster.default_namespace();
        let beside = Beside { files: None, namespace: default, secrets: &[] };
        let known = cluster::known(&cluster, &beside, &mut extraction).await;
        let (settings, registry, options) = (&settings, &registry, &options);
        let road = Road { settings, policies: &policies, registry, options };
        let progress = Progress::new();
        let told = |done, total| progress.set(done, total);
        let mut report = road.check_known(extraction, &known, &told).await;
        progress.finish();
        tell_what_runs(&mut report, &running);
        Ok(report)
    })?;
    files.finish(&report)?;
    out.print(&report::render(&report, arguments.output.unwrap_or_default(), &out.options()))?;
    Ok(validate::exit(&report, arguments.inconclusive))
}

/// The images of what runs.
async fn extracted(
    cluster: &Cluster,
    namespace: Option<&str>,
) -> Result<(Extraction, Running), Failure> {
    let running = cluster.running(namespace).await;
    if let Some((what, trouble)) = running.refused_all() {
        return Err(cluster::failure(&format!("can not list {what}"), trouble));
    }
    let mut all = Extraction::default();
    let extractor = Extractor::default();
    for object in &running.objects {
        let source = Source { name: "cluster".to_owned(), text: object.to_string() };
        let Extraction { mut uses, mut placeholders, .. } =
            extractor.extract(&Arc::new(source), None);
        // The object and the field say where it is; there is no file.
        uses.iter_mut().chain(&mut placeholders).for_each(|found| found.site.place = None);
        all.uses.append(&mut uses);
        all.placeholders.append(&mut placeholders);
    }
    let refused = running.refused.iter().filter(|(_, trouble)| *trouble != Trouble::Absent);
    all.notes = refused.map(|(what, trouble)| not_seen(what, trouble)).collect();
    if all.uses.is_empty() {
        let place = namespace.map_or("the cluster".to_owned(), |name| format!("namespace {name}"));
        return Err(Failure::misuse(anyhow::anyhow!("nothing runs in {place}"))
            .hint("-A looks at all namespaces"));
    }
    Ok((all, running))
}

/// The policies of the cluster, with the action they would have.
async fn policies(
    cluster: &Cluster,
    as_is: bool,
    notes: &mut Vec<Note>,
) -> Result<Vec<ImageCheckPolicy>, Failure> {
    let mut policies = Vec::new();
    let take = |object| match ImageCheckPolicy::from_value(&object) {
        Ok(policy) => policies.extend(policy),
        Err(wrong) => notes.push(note("policy-left-out", &wrong.to_string())),
    };
    match cluster.each(list::POLICIES, None, take).await {
        Ok(()) | Err(Trouble::Absent) => {}
        // Guessing at policies would make every verdict a guess.
        Err(trouble) => {
            let failure = cluster::failure("can not list ImageCheckPolicies", &trouble);
            return Err(failure.hint("--policy FILE judges by policies of your own"));
        }
    }
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    if !as_is {
        for policy in &mut policies {
            policy.spec.action = Some(Action::Deny);
        }
    }
    Ok(policies)
}

async fn namespaces(cluster: &Cluster) -> Result<Vec<FoundNamespace>, Failure> {
    let labels = cluster.namespace_labels().await.map_err(|trouble| {
        cluster::failure("can not list namespaces, whose labels a policy selects by", &trouble)
    })?;
    Ok(labels.into_iter().map(|(name, labels)| FoundNamespace { name, labels }).collect())
}

/// Beside an image that is gone: how many Pods run on what their nodes still hold.
fn tell_what_runs(report: &mut Report, running: &Running) {
    for result in &mut report.results {
        if result.diagnosis.pulls != Some(false) {
            continue;
        }
        let mut images: Vec<(String, String)> = result
            .uses
            .iter()
            .map(|found| (found.workload.object.namespace.clone(), found.text.clone()))
            .collect();
        images.sort();
        images.dedup();
        let pods: usize = images.iter().filter_map(|image| running.pods.get(image)).sum();
        let (noun, verb) = if pods == 1 { ("Pod", "runs") } else { ("Pods", "run") };
        if pods > 0 {
            result.diagnosis.remarks.push(format!(
                "{pods} {noun} {verb} with this image now; after a drain they would not come back on a node that does not hold it"
            ));
        }
    }
}

fn not_seen(what: &str, trouble: &Trouble) -> Note {
    note("not-listed", &format!("{what} could not be listed: {trouble}"))
}

fn note(id: &'static str, text: &str) -> Note {
    Note { id, text: crate::text::clean(text, 500), place: None, object: None }
}
