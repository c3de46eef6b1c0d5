//! The road: uses of images become questions, equal ones are asked once, answers are diagnosed and
//! judged, and a report comes out. The one place that joins the rooms; knows no door.

mod order;
mod placeholders;
mod verdicts;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::baseline::Baseline;
use crate::credential::own::{HelperFailed, OwnLogins};
use crate::credential::{Candidate, Source};
use crate::diagnosis::{
    Cause, Certainty, Context, Diagnosis, Outcome, PodLogin, Question, Reason, diagnose,
    without_asking,
};
use crate::image::platform::Runtime;
use crate::image::usage::{NodeConstraints, Workload};
use crate::image::{ImageUse, Platform, PullPolicy, Reference, Role, pull_policy};
use crate::logins::{self, Login, Logins};
use crate::manifest::{self, Extraction, Note};
use crate::policy::matching::Subject;
use crate::policy::wants::{Asked, Landing, Wanted, Whose};
use crate::policy::{ByDefault, IgnoreRule, ImageCheckPolicy, Rules, wants};
use crate::registry::identity::Identity;
use crate::registry::{Registry, Toll, another_login_may_help};
use crate::report::{Report, Result as Answered, Summary};
use crate::settings::{HostSettings, NodeCredentials, Settings};
use crate::waivers::Waivers;
use order::Lines;
use verdicts::Bench;

/// What a door wants of a run.
#[derive(Debug, Default)]
pub struct Options {
    /// Platforms asked for by the person, on top of nothing.
    pub platforms: Vec<Platform>,
    /// Runtimes that the nodes may use; empty: any.
    pub runtimes: Vec<Runtime>,
    /// Ask no registry.
    pub offline: bool,
    pub credentials: Credentials,
    /// Findings that the settings ask not to count.
    pub ignores: Vec<IgnoreRule>,
    /// Findings that are known and do not count.
    pub baseline: Option<Baseline>,
    /// What certain findings come to where no policy says so.
    pub by_default: ByDefault,
}

/// Whose credentials images are asked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Credentials {
    /// The Pod's alone, as a node would.
    Pod,
    /// The person's own alone; the Pod's secrets are neither used nor judged.
    Own,
    /// The Pod's, then the person's own where those were refused.
    #[default]
    Any,
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

/// The labels of namespaces, by their names.
pub type Labels = BTreeMap<String, BTreeMap<String, String>>;

/// What is known of an object under review beside its images.
pub struct Surroundings {
    pub login: Arc<Login>,
    pub labels: Labels,
    /// The nodes it may land on, where they are known.
    pub landing: Option<Arc<Landing>>,
    /// Only what a registry says now counts: for what is pinned.
    pub fresh: bool,
    /// When an answer is of no use any more.
    pub deadline: tokio::time::Instant,
    /// Whether one more question may be put to a registry; `None`: always.
    pub admits: Option<Box<dyn Fn() -> bool + Send + Sync>>,
}

/// What a cluster knows of the workloads of a run, in place of what stands beside them in files.
#[derive(Debug, Default)]
pub struct Known {
    pub logins: HashMap<logins::Key, Arc<Login>>,
    /// Where Pods with these constraints may land; none where the nodes are not known.
    pub landings: HashMap<NodeConstraints, Landing>,
}

/// What decides how one use is asked about, beside itself.
#[derive(Clone, Copy, Default)]
struct Around<'l> {
    landing: Option<&'l Landing>,
    fresh: bool,
    /// What pulls needs no words.
    is_brief: bool,
    /// Platforms of a flag count instead of those of the nodes; else beside them.
    instead: bool,
}

/// What all questions of a run are asked with.
struct Asking<'a> {
    /// The person's own logins; `None`: they are not tried.
    own: Option<&'a OwnLogins>,
    bench: &'a Bench<'a>,
    /// `None`: the limits of the registry are enough.
    around: Option<&'a Surroundings>,
}

/// Uses that ask the same thing.
struct Group {
    uses: Vec<ImageUse>,
    task: Task,
    wanted: Wanted,
}

impl Group {
    /// Who is asked; nobody for what is known.
    fn host(&self) -> String {
        match &self.task {
            Task::Known(_) => String::new(),
            Task::Ask(question, _) => question.reference.registry().to_owned(),
        }
    }
}

/// What is to be done for a group.
enum Task {
    /// Known without asking.
    Known(Box<Diagnosis>),
    Ask(Box<Question>, Box<Context>),
}

/// Why nobody is asked, and the secret that is to blame.
type Untold = (&'static str, Option<Source>);

/// What makes two uses ask the same thing.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// Known without asking: one result for each text and reason.
    Text(String, Option<Untold>),
    Question {
        pull_ref: String,
        candidates: Vec<(Identity, Source)>,
        platforms: Vec<(Platform, Whose)>,
        login: Box<PodLogin>,
        is_volume: bool,
        /// A flag that names an image asks for no Pod.
        has_pod: bool,
    },
}

impl Road<'_> {
    /// Walks the whole road for what was extracted.
    pub async fn check(&self, extraction: Extraction, progress: Progress<'_>) -> Report {
        let logins = Logins::new(&extraction);
        let login = |workload: &Workload| logins.of(workload);
        let mut report = self.walk(extraction, &login, &|_| Around::default(), progress).await;
        report.notes.extend(logins.not_read());
        report.notes.sort_by(|a, b| a.place.cmp(&b.place));
        report
    }

    /// The same for objects of which a cluster knows what they pull with and where they may land. A
    /// workload without a login there pulls with none.
    pub async fn check_known(
        &self,
        extraction: Extraction,
        known: &Known,
        progress: Progress<'_>,
    ) -> Report {
        let login = |workload: &Workload| {
            known.logins.get(&logins::key(workload)).cloned().unwrap_or_default()
        };
        let around = |workload: &Workload| Around {
            landing: known.landings.get(&workload.constraints),
            fresh: false,
            is_brief: false,
            instead: true,
        };
        self.walk(extraction, &login, &around, progress).await
    }

    async fn walk<'l>(
        &self,
        mut extraction: Extraction,
        logins: &(dyn Fn(&Workload) -> Arc<Login> + Sync),
        around: &(dyn Fn(&Workload) -> Around<'l> + Sync),
        progress: Progress<'_>,
    ) -> Report {
        let started = Instant::now();
        let labels: Labels = std::mem::take(&mut extraction.namespaces)
            .into_iter()
            .map(|found| (found.name, found.labels))
            .collect();
        let uses = std::mem::take(&mut extraction.uses);
        let mut groups = self.groups(uses, logins, &labels, around);
        groups.extend(placeholders::groups(std::mem::take(&mut extraction.placeholders)));
        let files = extraction.files;
        let Options { ignores, baseline, .. } = self.options;
        let waivers =
            Waivers::new(std::mem::take(&mut extraction.ignores), ignores, baseline.as_ref());
        let bench = Bench { labels: &labels, waivers };
        let own = self.own_logins();
        let asking = Asking { own: own.as_ref(), bench: &bench, around: None };
        let mut results = self.ask_all(groups, &asking, progress).await;
        for broken in std::mem::take(&mut extraction.broken) {
            results.push(self.unparsable(broken, &bench));
        }
        results.sort_by_cached_key(place_of);
        let mut notes: Vec<Note> = extraction.notes;
        notes.retain(|note| note.id != manifest::PLACEHOLDER);
        notes.extend(own.iter().flat_map(OwnLogins::failures).map(|it| helper_failed(&it)));
        bench.waivers.finish(&mut notes);
        notes.sort_by(|a, b| a.place.cmp(&b.place));
        let summary = self.summary(&results, files, started);
        Report { results, notes, summary }
    }

    /// Walks the road for the images of one object in a cluster: a result for each question. What is
    /// not answered by the deadline is inconclusive.
    pub async fn review(&self, uses: Vec<ImageUse>, around: &Surroundings) -> Vec<Answered> {
        let login = |_: &Workload| Arc::clone(&around.login);
        let each = Around {
            landing: around.landing.as_deref(),
            fresh: around.fresh,
            is_brief: true,
            instead: false,
        };
        let groups = self.groups(uses, &login, &around.labels, &|_| each);
        let bench = Bench { labels: &around.labels, waivers: Waivers::default() };
        let own = self.own_logins();
        let asking = Asking { own: own.as_ref(), bench: &bench, around: Some(around) };
        match <[Group; 1]>::try_from(groups) {
            // One question needs no order: most Pods have one image.
            Ok([group]) => self.answer(group, &asking).await.0,
            Err(groups) => self.ask_all(groups, &asking, &|_, _| ()).await,
        }
    }

    /// Results for images that are not asked about, all for the same reason.
    pub fn without_asking(
        &self,
        uses: Vec<ImageUse>,
        labels: &Labels,
        reason: Reason,
        why: &str,
    ) -> Vec<Answered> {
        let mut by_text: BTreeMap<String, Vec<ImageUse>> = BTreeMap::new();
        for found in uses {
            by_text.entry(found.text.clone()).or_default().push(found);
        }
        let bench = Bench { labels, waivers: Waivers::default() };
        let result = |(text, uses): (String, Vec<ImageUse>)| {
            let shown = crate::text::clean(&text, crate::text::SHOWN);
            let outcome = Outcome::Inconclusive { reason };
            let diagnosis = without_asking(outcome, format!("{shown}: {why}"), "not asked");
            self.answered(uses, diagnosis, BTreeMap::new(), &bench)
        };
        by_text.into_iter().flat_map(result).collect()
    }

    fn own_logins(&self) -> Option<OwnLogins> {
        (self.options.credentials != Credentials::Pod).then(|| self.settings.own_logins())
    }

    fn rules(&self) -> Rules<'_> {
        Rules { policies: self.policies, by_default: self.options.by_default }
    }

    fn groups<'l>(
        &self,
        uses: Vec<ImageUse>,
        logins: &dyn Fn(&Workload) -> Arc<Login>,
        labels: &Labels,
        around: &dyn Fn(&Workload) -> Around<'l>,
    ) -> Vec<Group> {
        let group = |found: ImageUse| {
            let login = match self.options.credentials {
                Credentials::Own => Arc::default(),
                Credentials::Pod | Credentials::Any => logins(&found.workload),
            };
            let around = around(&found.workload);
            let (known, task, wanted) = self.task(&found, &login, &subject(&found, labels), around);
            (known, Group { uses: vec![found], task, wanted })
        };
        if uses.len() == 1 {
            // There is nothing to tell it from.
            return uses.into_iter().map(|found| group(found).1).collect();
        }
        let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
        for (known, group) in uses.into_iter().map(group) {
            match groups.entry(self.key(known, &group)) {
                Entry::Vacant(free) => drop(free.insert(group)),
                Entry::Occupied(mut equal) => equal.get_mut().uses.extend(group.uses),
            }
        }
        groups.into_values().collect()
    }

    /// What makes other uses ask the same.
    fn key(&self, known: Option<Untold>, Group { uses, task, wanted }: &Group) -> Key {
        let (question, context) = match task {
            Task::Ask(question, context) => (question, context),
            Task::Known(_) => {
                let text = uses.first().map(|found| found.text.clone()).unwrap_or_default();
                return Key::Text(text, known);
            }
        };
        let who =
            |candidate: &Candidate| (self.registry.identity(candidate), candidate.source.clone());
        Key::Question {
            pull_ref: question.reference.pull_ref(),
            candidates: question.candidates.iter().map(who).collect(),
            platforms: wanted.iter().map(|(it, wish)| (it.clone(), wish.whose)).collect(),
            login: Box::new(context.pod_login.clone()),
            is_volume: context.is_volume,
            has_pod: !context.asker.is_empty(),
        }
    }

    /// What is to be done about one use.
    fn task(
        &self,
        found: &ImageUse,
        login: &Login,
        subject: &Subject<'_>,
        around: Around<'_>,
    ) -> (Option<Untold>, Task, Wanted) {
        let known = |known: Untold, diagnosis: Diagnosis| {
            (Some(known), Task::Known(Box::new(diagnosis)), BTreeMap::new())
        };
        let reference = match &found.reference {
            Ok(reference) => reference,
            Err(error) => return known(("invalid", None), no_reference(&found.text, *error)),
        };
        if let Some(why) = self.never_pulled(found) {
            let never_pulled = true;
            let diagnosis = Diagnosis { never_pulled, ..not_asked(reference, why) };
            return known((why, None), diagnosis);
        }
        if let Some((source, reason)) = &login.broken {
            let why = ("secret", Some(source.clone()));
            return known(why, broken_secret(source, reason, &found.workload));
        }
        let host = self.settings.registries.host(reference.registry());
        if let Some(why) = self.never_asked(&host) {
            return known((why, None), not_asked(reference, why));
        }
        let constraints = &found.workload.constraints;
        let Around { landing, fresh, is_brief, instead } = around;
        let asked = Asked { platforms: &self.options.platforms, instead };
        let wanted = wants::platforms(self.policies, subject, constraints, asked, landing);
        let (mut question, mut context) =
            self.question(found, reference, login, &host, wanted.keys().cloned().collect());
        question.fresh = fresh;
        context.is_brief = is_brief;
        if let Some(landing) = landing.filter(|landing| !landing.runtimes.is_empty()) {
            question.runtimes.clone_from(&landing.runtimes);
        }
        (None, Task::Ask(Box::new(question), Box::new(context)), wanted)
    }

    /// Why no node pulls this image.
    fn never_pulled(&self, found: &ImageUse) -> Option<&'static str> {
        if pull_policy::effective(&found.text, found.pull_policy) == PullPolicy::Never {
            return Some("imagePullPolicy is Never");
        }
        self.is_local(found).then_some("a local name by the settings")
    }

    /// Whether the settings call the name one that only exists on developers' machines.
    fn is_local(&self, found: &ImageUse) -> bool {
        let local = &self.settings.registries.local;
        let Ok(reference) = &found.reference else { return false };
        !local.is_empty()
            && [reference.keyring_lookup(), &reference.familiar(), &found.text]
                .iter()
                .any(|name| local.iter().any(|glob| glob.matches(name)))
    }

    /// Why the registry is not asked, although a node would pull.
    fn never_asked(&self, host: &HostSettings) -> Option<&'static str> {
        if self.options.offline {
            return Some("--offline");
        }
        (!host.ask).then_some("ask = false for this registry")
    }

    fn question(
        &self,
        found: &ImageUse,
        reference: &Reference,
        login: &Login,
        host: &HostSettings,
        platforms: Vec<Platform>,
    ) -> (Question, Context) {
        let name = reference.keyring_lookup();
        let candidates = login.keyring.lookup(name).candidates;
        let mut pod_login = login.known.clone();
        if !candidates.is_empty() {
            pod_login.without_entry.clear();
        }
        let context = Context {
            asker: asker(&found.workload),
            is_volume: found.role == Role::Volume,
            nodes_may_log_in: host.node_credentials(reference.registry())
                == NodeCredentials::Unknown,
            pod_login,
            own_only: self.options.credentials == Credentials::Own,
            own_failures: Vec::new(),
            is_brief: false,
        };
        let runtimes = match self.options.runtimes.as_slice() {
            [] => vec![Runtime::ContainerdLocal, Runtime::ContainerdTransfer, Runtime::Crio],
            named => named.to_vec(),
        };
        let (reference, own, fresh) = (reference.clone(), Vec::new(), false);
        (Question { reference, candidates, own, platforms, runtimes, fresh }, context)
    }

    /// Asks with the Pod's credentials, and looks the person's own up only where those are refused.
    async fn ask(
        &self,
        mut question: Question,
        mut context: Context,
        asking: &Asking<'_>,
    ) -> Diagnosis {
        let deadline = || match asking.around {
            Some(around) => around.deadline - A_LITTLE,
            None => self.registry.deadline(),
        };
        let began = tokio::time::Instant::now();
        let admits = asking.around.and_then(|around| around.admits.as_deref());
        let toll = Toll::by(admits.map(|admits| admits as _));
        let mut answer = self.registry.ask_for(&question, deadline(), &toll).await;
        if toll.was_refused() && answer.found().is_none() {
            return throttled(&question.reference);
        }
        if let Some(own) = asking.own
            && another_login_may_help(&answer)
        {
            let found = Box::pin(own.of(&question.reference)).await;
            context.own_failures =
                found.failures.iter().map(|failed| failed.failure.to_string()).collect();
            context.own_failures.dedup();
            question.own = found.candidates;
            Box::pin(self.registry.ask_own(&question, deadline(), &mut answer)).await;
        }
        let diagnosis = diagnose(&question, &answer, &context);
        match asking.around {
            Some(around) if was_cut(&diagnosis, around) => {
                let late = out_of_time(&question.reference, answer.late_host(), began.elapsed());
                let Diagnosis { findings, remarks, .. } = diagnosis;
                Diagnosis { findings, remarks, ..late }
            }
            _ => diagnosis,
        }
    }

    async fn ask_in_time(
        &self,
        question: Question,
        context: Context,
        asking: &Asking<'_>,
    ) -> Diagnosis {
        let Some(around) = asking.around else {
            return self.ask(question, context, asking).await;
        };
        let (reference, began) = (question.reference.clone(), tokio::time::Instant::now());
        let answer = self.ask(question, context, asking);
        let in_time = tokio::time::timeout_at(around.deadline, answer).await;
        in_time.unwrap_or_else(|_| out_of_time(&reference, None, began.elapsed()))
    }

    async fn ask_all(
        &self,
        groups: Vec<Group>,
        asking: &Asking<'_>,
        progress: Progress<'_>,
    ) -> Vec<Answered> {
        let total = groups.iter().filter(|group| matches!(group.task, Task::Ask(..))).count();
        let mut lines = Lines::new(groups, Group::host);
        let mut asked = FuturesUnordered::new();
        let (mut results, mut done) = (Vec::new(), 0);
        progress(0, total);
        let answer = |(line, group)| async move { (line, self.answer(group, asking).await) };
        while let Some(next) = lines.next() {
            asked.push(answer(next));
        }
        while let Some((line, (answers, was_asked))) = asked.next().await {
            if let Some(next) = lines.done(line) {
                asked.push(answer(next));
            }
            results.extend(answers);
            if was_asked {
                done += 1;
                progress(done, total);
            }
        }
        results
    }

    /// The results of one group, and whether anybody was asked for them.
    async fn answer(&self, group: Group, asking: &Asking<'_>) -> (Vec<Answered>, bool) {
        let Group { uses, task, wanted } = group;
        let (diagnosis, was_asked) = match task {
            Task::Known(diagnosis) => (*diagnosis, false),
            Task::Ask(question, context) => {
                let mut diagnosis = self.ask_in_time(*question, *context, asking).await;
                wants::weigh(&wanted, &mut diagnosis.lacking);
                (diagnosis, true)
            }
        };
        let wanted = wanted.into_iter().map(|(platform, wish)| (platform, wish.origin)).collect();
        (self.answered(uses, diagnosis, wanted, asking.bench), was_asked)
    }

    fn summary(&self, results: &[Answered], files: usize, started: Instant) -> Summary {
        Summary {
            files,
            requests: self.registry.requests(),
            elapsed: started.elapsed(),
            offline: self.options.offline,
            ..Summary::of(results)
        }
    }
}

/// Where an object lands whose manifest names no namespace.
const DEFAULT_NAMESPACE: &str = "default";
const DEFAULT_ACCOUNT: &str = "default";

/// What of a use the policies look at.
pub fn subject<'a>(found: &'a ImageUse, labels: &'a Labels) -> Subject<'a> {
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

/// The text is no image reference.
fn no_reference(text: &str, error: crate::image::reference::Error) -> Diagnosis {
    let outcome =
        Outcome::Finding { cause: Cause::InvalidReference, certainty: Certainty::Certain };
    let shown = crate::text::clean(text, crate::text::SHOWN);
    let summary = format!("\"{shown}\" is no image reference: {}", error.describe(text));
    without_asking(outcome, summary, "no image reference")
}

fn not_asked(reference: &Reference, why: &str) -> Diagnosis {
    let outcome = Outcome::Inconclusive { reason: Reason::NotAsked };
    let summary = format!("{}: not asked, {why}", reference.pull_ref());
    without_asking(outcome, summary, "not asked")
}

/// The namespace has asked too much.
fn throttled(reference: &Reference) -> Diagnosis {
    let outcome = Outcome::Inconclusive { reason: Reason::Throttled };
    let name = reference.pull_ref();
    let summary = format!("{name}: not asked, this namespace asks for too many images at once");
    without_asking(outcome, summary, "not asked")
}

/// What a review keeps back of its time, so that what was known before can stand in.
const A_LITTLE: Duration = Duration::from_millis(100);

/// Whether the review's own time ended the wait for a registry, which may yet answer. Who joined
/// another's question may have waited a little less.
fn was_cut(diagnosis: &Diagnosis, around: &Surroundings) -> bool {
    let is_late = tokio::time::Instant::now() + A_LITTLE / 2 >= around.deadline - A_LITTLE;
    let timeout = Outcome::Inconclusive { reason: Reason::Seen(Cause::Timeout) };
    is_late && diagnosis.outcome == timeout
}

/// The registry, or another `host` on the way, is asked still, and nobody waits for it.
fn out_of_time(reference: &Reference, host: Option<&str>, waited: Duration) -> Diagnosis {
    let outcome = Outcome::Inconclusive { reason: Reason::OutOfTime };
    let name = reference.pull_ref();
    let host = match host.unwrap_or_else(|| reference.registry()) {
        "" => "its registry".to_owned(),
        host => crate::text::clean(host, 255),
    };
    let seconds = waited.as_secs_f64();
    let summary = format!("{name}: {host} did not answer in {seconds:.1} s");
    without_asking(outcome, summary, "out of time")
}

/// One secret that can not be decoded stops every image of its Pod.
fn broken_secret(source: &Source, reason: &str, workload: &Workload) -> Diagnosis {
    let outcome = Outcome::Finding { cause: Cause::SecretInvalid, certainty: Certainty::Certain };
    let asker = asker(workload);
    let summary = format!("{source} cannot be decoded, so no image of {asker} is pulled: {reason}");
    without_asking(outcome, summary, "pull secret cannot be decoded")
}

/// A failed helper is told once, and beside each image that its login might have helped.
fn helper_failed(failed: &HelperFailed) -> Note {
    let text = format!("{} ({})", failed.failure, failed.source);
    Note {
        id: "credential-helper-failed",
        text: crate::text::clean(&text, 1000),
        place: None,
        object: None,
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
