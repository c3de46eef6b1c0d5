//! The road: uses of images become questions, equal ones are asked once, answers are diagnosed and
//! judged, and a report comes out. The one place that joins the rooms; knows no door.

mod asking;
mod order;
mod placeholders;
mod places;
mod questions;
mod unasked;
mod verdicts;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use crate::baseline::Baseline;
use crate::credential::own::{HelperFailed, OwnLogins};
use crate::image::platform::Runtime;
use crate::image::usage::{NodeConstraints, Workload};
use crate::image::{ImageUse, Platform};
use crate::logins::{self, DEFAULT_ACCOUNT, DEFAULT_NAMESPACE, Login, Logins};
use crate::manifest::{self, Extraction, Note};
use crate::policy::matching::Subject;
use crate::policy::wants::Landing;
use crate::policy::{ByDefault, IgnoreRule, ImageCheckPolicy, Rules};
use crate::registry::Registry;
use crate::report::{Report, Result as Answered, Summary};
use crate::settings::Settings;
use crate::waivers::Waivers;
use asking::Asking;
use places::place_of;
use questions::Group;
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

    fn own_logins(&self) -> Option<OwnLogins> {
        (self.options.credentials != Credentials::Pod).then(|| self.settings.own_logins())
    }

    fn rules(&self) -> Rules<'_> {
        Rules { policies: self.policies, by_default: self.options.by_default }
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
