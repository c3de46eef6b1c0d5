//! `diagnose`: why does the image of a Pod not pull? Reads what the kubelet left on the Pod and in its
//! events, from a cluster or from a file, or one text alone; asks a registry only with `--ask`.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::Value;

use super::cluster::{self, Beside, WhichCluster};
use super::inputs::{self, Reach};
use super::{Exit, Failure, Form, Out};
use crate::cluster::Cluster;
use crate::diagnosis::kubelet::{self, Event, Stuck, Text};
use crate::image::usage::Source;
use crate::manifest::{Extraction, extract_source};
use crate::pipeline::{Options, Road};
use crate::report::diagnosis::{self, Asked, Told};
use crate::settings;

/// Tell why the image of a Pod does not pull, from what its kubelet says
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A Pod of the cluster, or Pods as `kubectl get pod -o json` prints them; `-` reads standard
    /// input
    #[arg(value_name = "POD|FILE|-", required_unless_present = "message")]
    pods: Option<String>,
    #[command(flatten)]
    which: WhichCluster,
    /// Their events, as `kubectl get events -o json` prints them
    #[arg(long, value_name = "FILE|-", requires = "pods")]
    events: Option<String>,
    /// Read this text of a kubelet or a runtime; `-` reads standard input
    #[arg(long, value_name = "TEXT|-", conflicts_with = "pods")]
    message: Option<String>,
    /// Ask the registries about the images, too, with your own login, and of a Pod of the cluster
    /// with the Pod's
    #[arg(long, conflicts_with = "message")]
    ask: bool,
    /// How registries are reached; default: pullproof/registries.toml in your config folder
    #[arg(long, value_name = "FILE", requires = "ask")]
    registries: Option<PathBuf>,
    /// Your own logins; default: as for validate
    #[arg(long, value_name = "FILE", requires = "ask")]
    authfile: Option<PathBuf>,
    /// Form of the diagnosis
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Form,
}

/// Largest input, in bytes: all Pods of a large cluster.
const MAX_INPUT: usize = 256 << 20;

/// Runs the command.
pub(super) fn run(arguments: Arguments, out: &Out) -> Result<Exit, Failure> {
    if let Some(message) = &arguments.message {
        let message = if message == "-" { input("-")? } else { message.clone() };
        let reading = kubelet::read(&Text { message: &message, ..Text::default() });
        return tell(
            &Told::Message { message: &message, reading: &reading },
            arguments.output,
            out,
        );
    }
    let name = arguments.pods.as_deref().unwrap_or("-");
    if name == "-" && arguments.events.as_deref() == Some("-") {
        let error = anyhow::anyhow!("standard input cannot be both the Pods and their events");
        return Err(Failure::misuse(error));
    }
    if let Some(pod) = of_cluster(name, arguments.which.is_named()) {
        if arguments.events.is_some() {
            let error = anyhow::anyhow!("the events of a Pod of the cluster come from there");
            return Err(Failure::misuse(error).hint(format!("for a file: ./{name}")));
        }
        return run_of_cluster(&arguments, pod, out);
    }
    let objects = objects_of(name)?;
    // A list may hold both.
    let mut events: Vec<Event> = objects.iter().filter_map(Event::of).collect();
    if let Some(name) = &arguments.events {
        events.extend(objects_of(name)?.iter().filter_map(Event::of));
    }
    let pods: Vec<&Value> = objects.iter().filter(|object| is_pod(object)).collect();
    if pods.is_empty() {
        let error = anyhow::anyhow!("{} holds no Pod", shown_name(name));
        return Err(Failure::misuse(error)
            .hint("kubectl get pod NAME -o json | pullproof diagnose -\nor, for one text: pullproof diagnose --message TEXT"));
    }
    let stuck: Vec<_> = pods.iter().flat_map(|pod| kubelet::stuck(pod, &events)).collect();
    let asked = if arguments.ask { ask(&arguments, &stuck, None)? } else { Asked::new() };
    let told =
        Told::Pods { read: pods.len(), stuck: &stuck, events: !events.is_empty(), asked: &asked };
    tell(&told, arguments.output, out)
}

/// The name of a Pod, where the argument is one: no file, and nothing that looks like one.
fn of_cluster(name: &str, which: bool) -> Option<&str> {
    let pod = ["pod/", "pods/", "po/"].iter().find_map(|prefix| name.strip_prefix(prefix));
    let is_file = name == "-" || name.contains('/') || Path::new(name).exists();
    let ends = [".json", ".yaml", ".yml"].iter().any(|end| name.ends_with(end));
    match pod {
        Some(pod) if which || !Path::new(name).exists() => Some(pod),
        _ => (!is_file && (which || !ends)).then_some(name),
    }
}

/// Reads the Pod and its events from the cluster.
fn run_of_cluster(arguments: &Arguments, name: &str, out: &Out) -> Result<Exit, Failure> {
    // The client lives as long as this.
    let runtime = inputs::runtime()?;
    let (cluster, namespace, read) = runtime.block_on(async {
        let cluster = arguments.which.connect().await.map_err(|failure| {
            failure.hint(format!("there is no file {}", crate::text::clean(name, 80)))
        })?;
        let namespace = arguments.which.namespace(&cluster);
        let read = cluster.pod(&namespace, name).await;
        Ok::<_, Failure>((cluster, namespace, read))
    })?;
    let (pod, events) = read.map_err(|trouble| {
        let shown = crate::text::clean(&format!("{namespace}/{name}"), 160);
        cluster::failure(&format!("can not read Pod {shown}"), &trouble)
    })?;
    let events: Vec<Event> = events.iter().filter_map(Event::of).collect();
    let stuck: Vec<_> = kubelet::stuck(&pod, &events);
    let asked = match arguments.ask {
        true => ask(
            arguments,
            &stuck,
            Some(OfCluster { runtime: &runtime, cluster: &cluster, pod: &pod }),
        )?,
        false => Asked::new(),
    };
    let told = Told::Pods { read: 1, stuck: &stuck, events: !events.is_empty(), asked: &asked };
    tell(&told, arguments.output, out)
}

/// A Pod that was read from a cluster.
struct OfCluster<'a> {
    runtime: &'a tokio::runtime::Runtime,
    cluster: &'a Cluster,
    pod: &'a Value,
}

/// What the registries say of the images that Pods wait for, each asked once; with the Pod's own
/// logins where it was read from a cluster.
fn ask(
    arguments: &Arguments,
    stuck: &[Stuck],
    of: Option<OfCluster<'_>>,
) -> Result<Asked, Failure> {
    let settings =
        Reach { registries: arguments.registries.clone(), authfile: arguments.authfile.clone() }
            .settings(true)?;
    let images: BTreeSet<&str> = stuck.iter().filter_map(|it| it.image.as_deref()).collect();
    let uses = match &of {
        None => images.into_iter().map(inputs::named).collect(),
        Some(of) => {
            let source = Source { name: "cluster".to_owned(), text: of.pod.to_string() };
            let mut uses = extract_source(&Arc::new(source)).uses;
            uses.retain(|found| images.contains(found.text.as_str()));
            uses
        }
    };
    let mut extraction = Extraction { uses, ..Extraction::default() };
    let (registry, options) = (inputs::registry(&settings), Options::default());
    let road = Road { settings: &settings, policies: &[], registry: &registry, options: &options };
    let report = match of {
        None => inputs::runtime()?.block_on(road.check(extraction, &|_, _| {})),
        Some(OfCluster { runtime, cluster, .. }) => runtime.block_on(async {
            let namespace = cluster.default_namespace();
            let beside = Beside { files: None, namespace, secrets: &[] };
            let known = cluster::known(cluster, &beside, &mut extraction).await;
            road.check_known(extraction, &known, &|_, _| {}).await
        }),
    };
    Ok(report.results.into_iter().map(|result| (result.image, result.diagnosis)).collect())
}

fn tell(told: &Told, form: Form, out: &Out) -> Result<Exit, Failure> {
    out.print(&match form {
        Form::Text => diagnosis::text(told, &out.options()),
        Form::Json => diagnosis::json(told),
    })?;
    Ok(Exit::Success)
}

/// The items of a PodList as the API server sends it have no kind.
fn is_pod(object: &Value) -> bool {
    match object.get("kind").and_then(Value::as_str) {
        Some(kind) => kind == "Pod",
        None => object.pointer("/status/containerStatuses").is_some(),
    }
}

fn shown_name(name: &str) -> &str {
    if name == "-" { "standard input" } else { name }
}

/// The objects of an input. JSON is what a cluster answers, much of it, so it is tried first.
fn objects_of(name: &str) -> Result<Vec<Value>, Failure> {
    let text = input(name)?;
    match serde_json::from_str(&text) {
        Ok(value) => {
            let mut objects = Vec::new();
            inputs::flatten(value, &mut objects);
            Ok(objects)
        }
        Err(_) => inputs::objects_in(shown_name(name), &text),
    }
}

fn input(name: &str) -> Result<String, Failure> {
    if name != "-" {
        return settings::read(Path::new(name), MAX_INPUT).map_err(Failure::misuse);
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(MAX_INPUT as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| {
        Failure::misuse(anyhow::Error::new(error).context("cannot read standard input"))
    })?;
    if bytes.len() > MAX_INPUT {
        let error = anyhow::anyhow!("standard input is larger than {MAX_INPUT} bytes");
        return Err(Failure::misuse(error));
    }
    // A text cut in the middle of a letter is still worth reading.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
