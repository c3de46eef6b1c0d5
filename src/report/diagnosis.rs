//! What the kubelets said about images that did not pull, and what it means: `pullproof.diagnosis.v1`
//! and blocks in the manner of rustc. Containers with the same image and the same causes are told
//! once, with a count. A kubelet's word is certain: the pull did fail.

use std::collections::BTreeMap;

use annotate_snippets::{Element, Level as Paint, Message, Renderer};
use serde::Serialize;

use super::{Options, json, outside};
use crate::diagnosis::kubelet::{Reading, Stuck, shown, words};
use crate::diagnosis::{Cause, Certainty, Diagnosis, Outcome};

/// Further containers named for one image.
const NAMED: usize = 3;
/// Advice shown for one image.
const ADVICE: usize = 3;

/// What was read.
#[derive(Debug, Clone, Copy)]
pub enum Told<'a> {
    /// One text alone.
    Message { message: &'a str, reading: &'a Reading },
    /// So many Pods, and those of their containers that wait for an image.
    Pods { read: usize, stuck: &'a [Stuck], events: bool, asked: &'a Asked },
}

/// What the registries say of the images that were asked about, by the image as written.
pub type Asked = BTreeMap<String, Diagnosis>;

/// One image with one set of causes, and the containers that wait for it.
struct Trouble<'a> {
    cause: Cause,
    image: Option<&'a str>,
    message: &'a str,
    reading: &'a Reading,
    waiting: Vec<&'a Stuck>,
}

/// In the order of the first container of each.
fn troubles<'a>(told: &Told<'a>) -> Vec<Trouble<'a>> {
    match *told {
        Told::Message { message, reading } => {
            let image = reading.image.as_deref();
            let trouble = |cause| Trouble { cause, image, message, reading, waiting: Vec::new() };
            reading.cause().map(trouble).into_iter().collect()
        }
        Told::Pods { stuck, .. } => {
            let mut troubles: Vec<Trouble> = Vec::new();
            let mut places = BTreeMap::new();
            for one in stuck {
                let Some(cause) = one.reading.cause() else { continue };
                let image = one.image.as_deref();
                let place = *places.entry((image, &one.reading.causes)).or_insert(troubles.len());
                if place == troubles.len() {
                    let (message, reading) = (&one.message, &one.reading);
                    troubles.push(Trouble { cause, image, message, reading, waiting: Vec::new() });
                }
                troubles[place].waiting.push(one);
            }
            troubles
        }
    }
}

/// The trouble that most containers have, the first of equals.
fn foremost<'a, 'b>(troubles: &'b [Trouble<'a>]) -> Option<&'b Trouble<'a>> {
    let count = |cause: Cause| -> usize {
        troubles.iter().filter(|it| it.cause == cause).map(|it| it.waiting.len()).sum()
    };
    troubles.iter().rev().max_by_key(|it| count(it.cause))
}

/// The blocks, and a last line that counts.
pub fn text(told: &Told, options: &Options) -> String {
    let width = options.width.unwrap_or(Options::WIDTH).max(Options::NARROWEST);
    let renderer = if options.colour { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.term_width(width);
    let troubles = troubles(told);
    let mut out = String::new();
    for trouble in &troubles {
        let events = matches!(told, Told::Pods { events: true, .. });
        let lines =
            lines(trouble, events, from_here(told, trouble.image)).into_iter().map(Element::from);
        let title = Paint::ERROR.primary_title(title(trouble)).id(trouble.cause.id());
        out.push_str(&renderer.render(&[title.elements(lines)]));
        out.push_str("\n\n");
    }
    out.push_str(&last_line(told, troubles.len()));
    out
}

fn last_line(told: &Told, troubles: usize) -> String {
    match told {
        Told::Message { .. } if troubles == 0 => {
            "the text tells of no pull that failed\n".to_owned()
        }
        Told::Message { .. } => String::new(),
        Told::Pods { read, stuck, .. } => {
            let waiting = match stuck.len() {
                0 => "no container waits".to_owned(),
                1 => "1 container waits".to_owned(),
                many => format!("{many} containers wait"),
            };
            let plural = if *read == 1 { "" } else { "s" };
            format!("{read} Pod{plural} read: {waiting} for an image\n")
        }
    }
}

fn title(trouble: &Trouble) -> String {
    let mut title = String::new();
    if let Some((first, others)) = trouble.waiting.split_first() {
        title.push_str(&place(first));
        if !others.is_empty() {
            title.push_str(&format!(" (and {} more)", others.len()));
        }
        title.push_str(": ");
    }
    match trouble.image {
        Some(image) => title.push_str(&format!("image {image}: ")),
        None => title.push_str("image: "),
    }
    title.push_str(&words::summary(trouble.cause, trouble.reading));
    outside::sentence(&title)
}

/// `Pod shop/web-1, container "web"`
fn place(stuck: &Stuck) -> String {
    let pod = match stuck.namespace.as_str() {
        "" => format!("Pod {}", stuck.pod),
        namespace => format!("Pod {namespace}/{}", stuck.pod),
    };
    match &stuck.container {
        Some(container) => format!("{pod}, container \"{container}\""),
        None => format!("{pod}, its sandbox"),
    }
}

fn from_here<'a>(told: &Told<'a>, image: Option<&str>) -> Option<&'a Diagnosis> {
    match told {
        Told::Pods { asked, .. } => asked.get(image?),
        Told::Message { .. } => None,
    }
}

fn lines(
    trouble: &Trouble,
    has_events: bool,
    from_here: Option<&Diagnosis>,
) -> Vec<Message<'static>> {
    let Trouble { cause, reading, .. } = trouble;
    let mut lines = Vec::new();
    if let [_, others @ ..] = trouble.waiting.as_slice()
        && !others.is_empty()
    {
        let mut named: Vec<String> = others.iter().take(NAMED).map(|it| place(it)).collect();
        if others.len() > NAMED {
            named.push(format!("and {} more (-o json lists all)", others.len() - NAMED));
        }
        lines.push(line("also", &named.join("; ")));
    }
    if !trouble.message.is_empty() {
        lines.push(line("seen by the kubelet", &shown(trouble.message)));
    }
    if let Some(Diagnosis { outcome, summary, remarks, .. }) = from_here {
        let told = match outcome {
            Outcome::Pullable => format!("{summary}: it pulls"),
            Outcome::Finding { cause, .. } => format!("{cause}: {summary}"),
            Outcome::Inconclusive { .. } => format!("could not tell: {summary}"),
        };
        lines.push(line("seen from here", &told));
        lines.extend(remarks.iter().map(|remark| line("note", remark)));
    }
    if let (Some(contacted), Some(host)) = (&reading.contacted, &reading.host)
        && contacted != host
    {
        lines.push(line("contacted", contacted));
    }
    if let [_, others @ ..] = reading.causes.as_slice()
        && !others.is_empty()
    {
        let others: Vec<&str> = others.iter().map(|cause| cause.id()).collect();
        lines.push(line("note", &format!("it may also be {}", others.join(", "))));
    }
    lines.extend(reading.note.iter().map(|note| line("note", note)));
    if *cause == Cause::Unknown && !has_events && !trouble.waiting.is_empty() {
        lines.push(line(
            "help",
            "The cause may stand in an event: kubectl get events -o json, then --events FILE.",
        ));
    }
    lines.extend(words::help(*cause).iter().take(ADVICE).map(|help| line("help", help)));
    lines.push(line("more", &format!("pullproof explain {cause}")));
    lines
}

fn line(name: &'static str, text: &str) -> Message<'static> {
    Paint::NOTE.with_name(name).message(outside::sentence(text))
}

/// `pullproof.diagnosis.v1`
pub fn json(told: &Told) -> String {
    let troubles = troubles(told);
    let foremost = foremost(&troubles);
    let (stuck, alone): (&[Stuck], _) = match *told {
        Told::Pods { stuck, .. } => (stuck, None),
        Told::Message { reading, .. } => (&[], Some(reading)),
    };
    let reading = foremost.map(|it| it.reading).or(alone);
    json::document(&Document {
        schema: "pullproof.diagnosis.v1",
        cause: foremost.map(|it| it.cause.id()),
        causes: foremost.map(|it| ids(it.reading)).unwrap_or_default(),
        certainty: foremost.map(|_| Certainty::Certain.id()),
        image: foremost.and_then(|it| it.image).or(reading.and_then(|it| it.image.as_deref())),
        host: reading.and_then(|it| it.host.as_deref()),
        contacted: reading.and_then(|it| it.contacted.as_deref()),
        note: reading.and_then(|it| it.note.as_deref()),
        pods: stuck.iter().map(|it| Entry::of(it, from_here(told, it.image.as_deref()))).collect(),
    })
}

fn ids(reading: &Reading) -> Vec<&'static str> {
    reading.causes.iter().map(|cause| cause.id()).collect()
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    cause: Option<&'static str>,
    causes: Vec<&'static str>,
    certainty: Option<&'static str>,
    image: Option<&'a str>,
    host: Option<&'a str>,
    contacted: Option<&'a str>,
    note: Option<&'a str>,
    pods: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    namespace: &'a str,
    name: &'a str,
    container: Option<&'a str>,
    image: Option<&'a str>,
    reason: &'a str,
    cause: Option<&'static str>,
    causes: Vec<&'static str>,
    host: Option<&'a str>,
    contacted: Option<&'a str>,
    message: Option<String>,
    /// What the registry says to whoever ran this; null where it was not asked.
    asked: Option<Answer>,
}

#[derive(Serialize)]
struct Answer {
    outcome: &'static str,
    cause: Option<&'static str>,
    certainty: Option<&'static str>,
}

impl Answer {
    fn of(diagnosis: &Diagnosis) -> Self {
        let (outcome, cause, certainty) = json::split(&diagnosis.outcome);
        Self { outcome, cause, certainty }
    }
}

impl<'a> Entry<'a> {
    fn of(stuck: &'a Stuck, asked: Option<&Diagnosis>) -> Self {
        let Stuck { namespace, pod, container, image, reason, message, reading } = stuck;
        Self {
            namespace,
            name: pod,
            container: container.as_deref(),
            image: image.as_deref(),
            reason,
            cause: reading.cause().map(Cause::id),
            causes: ids(reading),
            host: reading.host.as_deref(),
            contacted: reading.contacted.as_deref(),
            message: Some(shown(message)).filter(|text| !text.is_empty()),
            asked: asked.map(Answer::of),
        }
    }
}
