//! `pullproof.report.v1`: everything a report holds, for programs. Fields may be added; none changes
//! its meaning within a version. Lines and columns count from 1, what is absent is null, strings are
//! as they came from outside (escaped, so that the text is safe to be shown).

use serde::Serialize;

use super::{Report, Result, Summary, outside};
use crate::diagnosis::{Diagnosis, Listed, Outcome, Seen};
use crate::image::usage::{ObjectName, Place, Workload};
use crate::image::{Digest, ImageUse};
use crate::manifest;

/// The report as one JSON document.
pub fn render(report: &Report) -> String {
    document(&Document {
        schema: "pullproof.report.v1",
        summary: Totals::of(&report.summary),
        results: report.results.iter().map(Answer::of).collect(),
        notes: report.notes.iter().map(Note::of).collect(),
    })
}

/// Pretty-printed, with a line break at the end.
pub(super) fn document(value: &impl Serialize) -> String {
    let json = serde_json::to_string_pretty(value).expect("structs of strings and numbers");
    outside::escape_json(&json).into_owned() + "\n"
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    summary: Totals,
    results: Vec<Answer<'a>>,
    notes: Vec<Note<'a>>,
}

/// Counts over the whole run.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Totals {
    images: usize,
    pullable: usize,
    /// Of the pullable ones, those that only a login of the person's own let in.
    own_only: usize,
    findings: usize,
    inconclusive: usize,
    never_pulled: usize,
    deny: usize,
    warn: usize,
    requests: u64,
    seconds: f64,
    /// Images that an earlier run saw, and how long ago the oldest of these answers came.
    cached: usize,
    oldest_seconds: Option<u64>,
}

impl Totals {
    pub(super) fn of(summary: &Summary) -> Self {
        Self {
            images: summary.images,
            pullable: summary.pullable,
            own_only: summary.own_only,
            findings: summary.findings,
            inconclusive: summary.inconclusive,
            never_pulled: summary.never_pulled,
            deny: summary.deny,
            warn: summary.warn,
            requests: summary.requests,
            seconds: (summary.elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
            cached: summary.cached,
            oldest_seconds: summary.oldest.map(|age| age.as_secs()),
        }
    }
}

/// One question and its answer.
#[derive(Serialize)]
pub(super) struct Answer<'a> {
    image: Option<&'a str>,
    outcome: &'static str,
    cause: Option<&'static str>,
    certainty: Option<&'static str>,
    pulls: Option<bool>,
    runs: Option<bool>,
    verdict: &'static str,
    policy: Option<&'a str>,
    rule: &'a str,
    digest: Option<&'a Digest>,
    platforms: Vec<String>,
    wanted: Vec<String>,
    uses: Vec<WorkloadUse<'a>>,
    findings: Vec<Finding<'a>>,
    evidence: Vec<Evidence<'a>>,
    advice: &'a [String],
    /// What else is worth knowing, such as why this is only a warning.
    remarks: &'a [String],
}

impl<'a> Answer<'a> {
    pub(super) fn of(result: &'a Result) -> Self {
        let Diagnosis {
            outcome,
            digest,
            offered,
            pulls,
            runs,
            findings,
            evidence,
            advice,
            remarks,
            ..
        } = &result.diagnosis;
        let (outcome, cause, certainty) = split(outcome);
        Self {
            image: some(&result.image),
            outcome,
            cause,
            certainty,
            pulls: *pulls,
            runs: *runs,
            verdict: result.verdict.action.id(),
            policy: result.verdict.policy.as_deref(),
            rule: &result.verdict.rule,
            digest: digest.as_ref(),
            platforms: offered.iter().map(ToString::to_string).collect(),
            wanted: result.wanted.keys().map(ToString::to_string).collect(),
            uses: uses(result),
            findings: findings.iter().map(|it| Finding::of(it, result)).collect(),
            evidence: evidence.iter().map(Evidence::of).collect(),
            advice,
            remarks,
        }
    }
}

/// Outcome, cause or reason, and certainty.
pub(super) fn split(
    outcome: &Outcome,
) -> (&'static str, Option<&'static str>, Option<&'static str>) {
    match outcome {
        Outcome::Pullable => ("pullable", None, None),
        Outcome::Finding { cause, certainty } => {
            ("finding", Some(cause.id()), Some(certainty.id()))
        }
        Outcome::Inconclusive { reason } => ("inconclusive", Some(reason.id()), None),
    }
}

/// A broken text has one use that is nothing but a place.
fn uses(result: &Result) -> Vec<WorkloadUse<'_>> {
    let broken = result.broken.iter().map(|broken| WorkloadUse {
        site: Use { role: None, ..Use::at(Some(&broken.place), &NOTHING) },
        workload: None,
    });
    broken.chain(result.uses.iter().map(WorkloadUse::of)).collect()
}

static NOTHING: ObjectName = ObjectName {
    api_version: String::new(),
    kind: String::new(),
    namespace: String::new(),
    name: String::new(),
};

#[derive(Serialize)]
struct WorkloadUse<'a> {
    #[serde(flatten)]
    site: Use<'a>,
    workload: Option<PodSource<'a>>,
}

impl<'a> WorkloadUse<'a> {
    fn of(image: &'a ImageUse) -> Self {
        Self { site: Use::of(image), workload: Some(PodSource::of(&image.workload)) }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PodSource<'a> {
    #[serde(flatten)]
    object: Object<'a>,
    service_account: Option<&'a str>,
    image_pull_secrets: &'a [String],
}

impl<'a> PodSource<'a> {
    fn of(workload: &'a Workload) -> Self {
        Self {
            object: Object::of(&workload.object),
            service_account: workload.service_account.as_deref(),
            image_pull_secrets: &workload.pull_secrets,
        }
    }
}

/// A place where an image is written.
#[derive(Serialize)]
pub(super) struct Use<'a> {
    file: Option<&'a str>,
    line: Option<usize>,
    column: Option<usize>,
    object: Object<'a>,
    path: Option<&'a str>,
    role: Option<&'static str>,
    guess: bool,
}

impl<'a> Use<'a> {
    pub(super) fn of(image: &'a ImageUse) -> Self {
        Self {
            path: some(&image.site.path),
            role: Some(image.role.id()),
            guess: image.guess,
            ..Self::at(image.site.place.as_ref(), &image.workload.object)
        }
    }

    fn at(place: Option<&'a Place>, object: &'a ObjectName) -> Self {
        Self {
            file: place.map(|it| it.source.name.as_str()),
            line: place.map(|it| it.line),
            column: place.map(|it| it.column),
            object: Object::of(object),
            path: None,
            role: None,
            guess: false,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    api_version: Option<&'a str>,
    kind: Option<&'a str>,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
}

impl<'a> Object<'a> {
    fn of(object: &'a ObjectName) -> Self {
        let ObjectName { api_version, kind, namespace, name } = object;
        Self {
            api_version: some(api_version),
            kind: some(kind),
            namespace: some(namespace),
            name: some(name),
        }
    }
}

#[derive(Serialize)]
struct Finding<'a> {
    id: &'static str,
    class: &'static str,
    text: &'a str,
    /// Why it does not count, where it does not.
    waived: Option<&'a str>,
}

impl<'a> Finding<'a> {
    fn of(listed: &'a Listed, result: &'a Result) -> Self {
        Self {
            id: listed.cause.id(),
            class: listed.cause.class().id(),
            text: &listed.text,
            waived: result.waiver(listed.cause).map(|waiver| waiver.rule.as_str()),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Evidence<'a> {
    seen_by: &'static str,
    host: Option<&'a str>,
    status: Option<u16>,
    codes: &'a [String],
    credential: Option<Credential<'a>>,
    text: &'a str,
}

#[derive(Serialize)]
struct Credential<'a> {
    user: &'a str,
    source: &'a str,
}

impl<'a> Evidence<'a> {
    fn of(seen: &'a Seen) -> Self {
        let Seen { host, status, codes, credential, text } = seen;
        let credential = credential.as_ref().map(|(user, source)| Credential { user, source });
        Self { seen_by: "registry", host: some(host), status: *status, codes, credential, text }
    }
}

/// Something worth saying that is no finding.
#[derive(Serialize)]
pub(super) struct Note<'a> {
    id: &'a str,
    text: &'a str,
    file: Option<&'a str>,
    line: Option<usize>,
}

impl<'a> Note<'a> {
    pub(super) fn of(note: &'a manifest::Note) -> Self {
        let (file, line) = note.place.as_ref().map(|(file, line)| (file.as_str(), *line)).unzip();
        Self { id: note.id, text: &note.text, file, line }
    }

    pub(super) fn of_broken(broken: &'a manifest::Broken) -> Self {
        let id = crate::diagnosis::Cause::UnparsableManifest.id();
        let Place { source, line, .. } = &broken.place;
        Self { id, text: &broken.reason, file: Some(&source.name), line: Some(*line) }
    }
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::sample;

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn holds_the_listed_keys_and_no_others() {
        let document: Value = serde_json::from_str(&render(&sample::report())).unwrap();
        // serde_json sorts the keys it reads; their order is pinned by the snapshot.
        assert_eq!(keys(&document), ["notes", "results", "schema", "summary"]);
        let totals = "cached deny findings images inconclusive neverPulled oldestSeconds ownOnly \
                      pullable requests seconds warn";
        assert_eq!(keys(&document["summary"]).join(" "), totals);
        assert_eq!(keys(&document["notes"][0]).join(" "), "file id line text");
        for result in document["results"].as_array().unwrap() {
            let listed = "advice cause certainty digest evidence findings image outcome platforms \
                          policy pulls remarks rule runs uses verdict wanted";
            assert_eq!(keys(result).join(" "), listed);
            for place in result["uses"].as_array().unwrap() {
                let listed = "column file guess line object path role workload";
                assert_eq!(keys(place).join(" "), listed);
                assert_eq!(keys(&place["object"]).join(" "), "apiVersion kind name namespace");
            }
        }
        let first = &document["results"][0];
        assert_eq!(keys(&first["findings"][0]).join(" "), "class id text waived");
        let evidence = "codes credential host seenBy status text";
        assert_eq!(keys(&first["evidence"][0]).join(" "), evidence);
        let workload = "apiVersion imagePullSecrets kind name namespace serviceAccount";
        assert_eq!(keys(&first["uses"][0]["workload"]).join(" "), workload);
    }

    #[test]
    fn b45_values_are_what_came_from_outside() {
        let report = sample::report();
        let document: Value = serde_json::from_str(&render(&report)).unwrap();
        let hostile = report.results.last().unwrap();
        let last = document["results"].as_array().unwrap().last().unwrap();
        assert_eq!(last["image"], hostile.image.as_str());
        assert_eq!(last["advice"][0], sample::HOSTILE);
    }
}
