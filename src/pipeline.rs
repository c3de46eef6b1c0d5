//! The road: uses of images become questions, equal ones are asked once, answers are diagnosed and
//! judged, and a report comes out. The one place that joins the rooms; knows no door.

use std::collections::BTreeMap;
use std::time::Instant;

use futures_util::StreamExt;

use crate::credential::{Keyring, Source};
use crate::diagnosis::{
    Cause, Certainty, Context, Diagnosis, Listed, Outcome, PodLogin, Question, Reason, diagnose,
    without_asking,
};
use crate::image::platform::Runtime;
use crate::image::usage::{Ownership, Workload};
use crate::image::{ImageUse, Platform, PullPolicy, Reference, Role, pull_policy};
use crate::logins::{Login, Logins};
use crate::manifest::{Extraction, Note};
use crate::policy::matching::Subject;
use crate::policy::{Action, ImageCheckPolicy, Verdict, hygiene, judge, wants};
use crate::registry::Registry;
use crate::registry::identity::Identity;
use crate::report::{Report, Result as Answered, Summary};
use crate::settings::{NodeCredentials, Settings};

/// What a door wants of a run.
#[derive(Debug, Default)]
pub struct Options {
    /// Platforms asked for by the person, on top of nothing.
    pub platforms: Vec<Platform>,
    /// Runtimes that the nodes may use; empty: any.
    pub runtimes: Vec<Runtime>,
    /// Ask no registry.
    pub offline: bool,
}

/// Told as questions are answered: how many are done, of how many.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Everything the road needs beside its inputs.
pub struct Road<'a> {
    pub settings: &'a Settings,
    pub policies: &'a [ImageCheckPolicy],
    pub registry: &'a Registry,
    pub options: &'a Options,
}

/// Uses that ask the same thing.
struct Group {
    uses: Vec<ImageUse>,
    task: Task,
    wanted: BTreeMap<Platform, String>,
}

/// What is to be done for a group.
enum Task {
    /// Known without asking.
    Known(Box<Diagnosis>),
    Ask(Box<Question>, Box<Context>),
}

/// What makes two uses ask the same thing.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// Known without asking: one result for each text and reason.
    Text(String, &'static str, Vec<Source>),
    Question {
        pull_ref: String,
        candidates: Vec<(Identity, Source)>,
        platforms: Vec<Platform>,
        login: PodLogin,
        is_volume: bool,
    },
}

impl Road<'_> {
    /// Walks the whole road for what was extracted.
    pub async fn check(&self, mut extraction: Extraction, progress: Progress<'_>) -> Report {
        let started = Instant::now();
        let logins = Logins::new(&extraction);
        let labels: BTreeMap<String, BTreeMap<String, String>> =
            std::mem::take(&mut extraction.namespaces)
                .into_iter()
                .map(|found| (found.name, found.labels))
                .collect();
        let groups = self.groups(std::mem::take(&mut extraction.uses), &logins, &labels);
        let files = extraction.files;
        let mut results = self.ask_all(groups, &labels, progress).await;
        for broken in std::mem::take(&mut extraction.broken) {
            results.push(self.unparsable(broken));
        }
        results.sort_by_cached_key(place_of);
        let mut notes: Vec<Note> = extraction.notes;
        notes.sort_by(|a, b| a.place.cmp(&b.place));
        let summary = self.summary(&results, files, started);
        Report { results, notes, summary }
    }

    fn groups(
        &self,
        uses: Vec<ImageUse>,
        logins: &Logins,
        labels: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Vec<Group> {
        let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
        for found in uses {
            let (key, task, wanted) = self.task(&found, logins, labels);
            groups
                .entry(key)
                .or_insert_with(|| Group { uses: Vec::new(), task, wanted })
                .uses
                .push(found);
        }
        groups.into_values().collect()
    }

    /// What is to be done about one use.
    fn task(
        &self,
        found: &ImageUse,
        logins: &Logins,
        labels: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> (Key, Task, BTreeMap<Platform, String>) {
        let known = |why: &'static str, diagnosis: Diagnosis| {
            (
                Key::Text(found.text.clone(), why, Vec::new()),
                Task::Known(Box::new(diagnosis)),
                BTreeMap::new(),
            )
        };
        let reference = match &found.reference {
            Ok(reference) => reference,
            Err(error) => {
                let outcome = Outcome::Finding {
                    cause: Cause::InvalidReference,
                    certainty: Certainty::Certain,
                };
                let text = crate::text::clean(&found.text, crate::text::SHOWN);
                return known(
                    "invalid",
                    without_asking(
                        outcome,
                        format!(
                            "\"{text}\" is no image reference: {}",
                            error.describe(&found.text)
                        ),
                        "no image reference",
                    ),
                );
            }
        };
        let not_asked = |why: &'static str| {
            let outcome = Outcome::Inconclusive { reason: Reason::NotAsked };
            let summary = format!("{}: not asked, {why}", reference.pull_ref());
            known(why, without_asking(outcome, summary, "not asked"))
        };
        if let Some(why) = self.never_pulled(found, reference) {
            return not_asked(why);
        }
        let login = logins.of(&found.workload);
        if let Some((source, reason)) = &login.broken {
            let outcome =
                Outcome::Finding { cause: Cause::SecretInvalid, certainty: Certainty::Certain };
            let summary = format!(
                "{source} can not be decoded, so no image of {} is pulled: {reason}",
                asker(&found.workload)
            );
            let diagnosis = without_asking(outcome, summary, "pull secret can not be decoded");
            return (
                Key::Text(found.text.clone(), "secret", vec![source.clone()]),
                Task::Known(Box::new(diagnosis)),
                BTreeMap::new(),
            );
        }
        if let Some(why) = self.never_asked(reference) {
            return not_asked(why);
        }
        let subject = subject(found, labels);
        let wanted = wants::platforms(
            self.policies,
            &subject,
            &found.workload.constraints,
            &self.options.platforms,
        );
        let (question, context) =
            self.question(found, reference, &login, wanted.keys().cloned().collect());
        let key = Key::Question {
            pull_ref: reference.pull_ref(),
            candidates: question
                .candidates
                .iter()
                .map(|candidate| (self.registry.identity(candidate), candidate.source.clone()))
                .collect(),
            platforms: question.platforms.clone(),
            login: context.pod_login.clone(),
            is_volume: context.is_volume,
        };
        (key, Task::Ask(Box::new(question), Box::new(context)), wanted)
    }

    /// Why no node pulls this image.
    fn never_pulled(&self, found: &ImageUse, reference: &Reference) -> Option<&'static str> {
        if pull_policy::effective(&found.text, found.pull_policy) == PullPolicy::Never {
            return Some("imagePullPolicy is Never");
        }
        let is_local =
            |name: &str| self.settings.registries.local.iter().any(|glob| glob.matches(name));
        (is_local(reference.keyring_lookup())
            || is_local(&reference.familiar())
            || is_local(&found.text))
        .then_some("a local name by the settings")
    }

    /// Why the registry is not asked, although a node would pull.
    fn never_asked(&self, reference: &Reference) -> Option<&'static str> {
        if self.options.offline {
            return Some("--offline");
        }
        (!self.settings.registries.host(reference.registry()).ask)
            .then_some("ask = false for this registry")
    }

    fn question(
        &self,
        found: &ImageUse,
        reference: &Reference,
        login: &Login,
        platforms: Vec<Platform>,
    ) -> (Question, Context) {
        let name = reference.keyring_lookup();
        let candidates = login.keyring.lookup(name).candidates;
        let own = match &self.settings.own_login {
            Some(config) => Keyring::new([], Some(config))
                .map(|keyring| keyring.lookup(name).candidates)
                .unwrap_or_default(),
            None => Vec::new(),
        };
        let mut pod_login = login.known.clone();
        if !candidates.is_empty() {
            pod_login.without_entry.clear();
        }
        let host = self.settings.registries.host(reference.registry());
        let context = Context {
            asker: asker(&found.workload),
            is_volume: found.role == Role::Volume,
            nodes_may_log_in: host.node_credentials(reference.registry())
                == NodeCredentials::Unknown,
            has_mirrors: !host.mirrors.is_empty(),
            pod_login,
        };
        let runtimes = match self.options.runtimes.as_slice() {
            [] => vec![Runtime::ContainerdLocal, Runtime::ContainerdTransfer, Runtime::Crio],
            named => named.to_vec(),
        };
        (Question { reference: reference.clone(), candidates, own, platforms, runtimes }, context)
    }

    async fn ask_all(
        &self,
        groups: Vec<Group>,
        labels: &BTreeMap<String, BTreeMap<String, String>>,
        progress: Progress<'_>,
    ) -> Vec<Answered> {
        let total = groups.iter().filter(|group| matches!(group.task, Task::Ask(..))).count();
        let work = groups.into_iter().map(async |group| {
            let Group { uses, task, wanted } = group;
            let (diagnosis, asked) = match task {
                Task::Known(diagnosis) => (*diagnosis, false),
                Task::Ask(question, context) => {
                    let answer = self.registry.ask(&question).await;
                    (diagnose(&question, &answer, &context), true)
                }
            };
            (self.answered(uses, diagnosis, wanted, labels), asked)
        });
        let mut answered =
            futures_util::stream::iter(work).buffer_unordered(self.settings.limits.in_flight);
        let (mut results, mut done) = (Vec::new(), 0);
        progress(0, total);
        while let Some((result, asked)) = answered.next().await {
            results.push(result);
            if asked {
                done += 1;
                progress(done, total);
            }
        }
        results
    }

    /// A result: the diagnosis, what is unwise about the uses, and the strictest verdict among them.
    fn answered(
        &self,
        mut uses: Vec<ImageUse>,
        mut diagnosis: Diagnosis,
        wanted: BTreeMap<Platform, String>,
        labels: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Answered {
        uses.sort_by_cached_key(place_of_use);
        let mut verdict: Option<Verdict> = None;
        let (seen, mut unwise) = (diagnosis.findings.len(), Vec::<Listed>::new());
        for found in &uses {
            let subject = subject(found, labels);
            hygiene::add(self.policies, &subject, &mut diagnosis);
            let judged = judge::judge(self.policies, &subject, &diagnosis);
            if verdict.as_ref().is_none_or(|strictest| judged.action > strictest.action) {
                verdict = Some(judged);
            }
            // What is unwise for one use must not be judged by the policies of the next.
            for listed in diagnosis.findings.drain(seen..) {
                if unwise.iter().all(|known| known.cause != listed.cause) {
                    unwise.push(listed);
                }
            }
        }
        diagnosis.findings.extend(unwise);
        let verdict = verdict.unwrap_or(Verdict {
            action: Action::Allow,
            policy: None,
            rule: "action".to_owned(),
        });
        let image = uses.first().map(|found| found.text.clone()).unwrap_or_default();
        Answered { image, uses, broken: None, diagnosis, verdict, wanted }
    }

    fn unparsable(&self, broken: crate::manifest::Broken) -> Answered {
        let outcome =
            Outcome::Finding { cause: Cause::UnparsableManifest, certainty: Certainty::Certain };
        let reason = crate::text::clean(&broken.reason, crate::text::SHOWN);
        let mut diagnosis = without_asking(
            outcome,
            format!("this is no usable manifest: {reason}"),
            "does not parse",
        );
        (diagnosis.pulls, diagnosis.runs) = (None, None);
        let subject = Subject {
            namespace: DEFAULT_NAMESPACE,
            namespace_labels: None,
            service_account: DEFAULT_ACCOUNT,
            ownership: Ownership::Workload,
            reference: None,
        };
        let verdict = judge::judge(self.policies, &subject, &diagnosis);
        Answered {
            image: String::new(),
            uses: Vec::new(),
            broken: Some(broken),
            diagnosis,
            verdict,
            wanted: BTreeMap::new(),
        }
    }

    fn summary(&self, results: &[Answered], files: usize, started: Instant) -> Summary {
        let count =
            |test: &dyn Fn(&Answered) -> bool| results.iter().filter(|result| test(result)).count();
        Summary {
            images: count(&|result| result.broken.is_none()),
            files,
            pullable: count(&|result| result.diagnosis.outcome == Outcome::Pullable),
            findings: count(&|result| matches!(result.diagnosis.outcome, Outcome::Finding { .. })),
            inconclusive: count(&|result| {
                matches!(result.diagnosis.outcome, Outcome::Inconclusive { .. })
            }),
            deny: count(&|result| result.verdict.action == Action::Deny),
            warn: count(&|result| result.verdict.action == Action::Warn),
            requests: self.registry.requests(),
            elapsed: started.elapsed(),
            platforms_asked: results.iter().any(|result| !result.wanted.is_empty()),
            offline: self.options.offline,
        }
    }
}

/// Where an object lands whose manifest names no namespace.
const DEFAULT_NAMESPACE: &str = "default";
const DEFAULT_ACCOUNT: &str = "default";

/// What of a use the policies look at.
fn subject<'a>(
    found: &'a ImageUse,
    labels: &'a BTreeMap<String, BTreeMap<String, String>>,
) -> Subject<'a> {
    let namespace = match found.workload.object.namespace.as_str() {
        "" => DEFAULT_NAMESPACE,
        namespace => namespace,
    };
    Subject {
        namespace,
        namespace_labels: labels.get(namespace),
        service_account: found.workload.service_account.as_deref().unwrap_or(DEFAULT_ACCOUNT),
        ownership: found.workload.ownership,
        reference: found.reference.as_ref().ok(),
    }
}

/// `Deployment shop/cart`; empty where there is no object.
fn asker(workload: &Workload) -> String {
    let object = &workload.object;
    let name = match (object.namespace.as_str(), object.name.as_str()) {
        ("", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    };
    crate::text::clean(format!("{} {name}", object.kind).trim(), 160)
}

type PlaceKey = (bool, String, usize, usize, String);

fn place_of_use(found: &ImageUse) -> PlaceKey {
    match &found.site.place {
        Some(place) => {
            (false, place.source.name.clone(), place.line, place.column, found.site.path.clone())
        }
        None => (true, String::new(), 0, 0, found.text.clone()),
    }
}

fn place_of(result: &Answered) -> PlaceKey {
    match (&result.broken, result.uses.first()) {
        (Some(broken), _) => (
            false,
            broken.place.source.name.clone(),
            broken.place.line,
            broken.place.column,
            String::new(),
        ),
        (None, Some(found)) => place_of_use(found),
        (None, None) => (true, String::new(), 0, 0, String::new()),
    }
}
