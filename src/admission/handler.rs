//! One review to one answer: what passes untouched, what the road says of the rest, and what that
//! means for the object. Nothing here knows HTTP, and nothing of ours ever denies: what goes wrong on
//! our side is a warning.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::object::{self, Admitted};
use super::patch::{Before, Changes, ORIGINAL_IMAGES, Pin};
use super::review::{Answer, Request};
use super::sources::Sources;
use super::throttle::Throttle;
use super::words::{self, Detail};
use super::{exempt, inject};
use crate::cluster::events::Note;
use crate::diagnosis::{Outcome, Reason};
use crate::image::platform::Runtime;
use crate::image::usage::{ObjectName, Ownership};
use crate::image::{ImageUse, PullPolicy, pull_policy};
use crate::pipeline::{Options, Road, Surroundings};
use crate::policy::{Action, ImageCheckPolicy};
use crate::registry::Registry;
use crate::report::Result as Answered;
use crate::settings::Settings;

/// Distinct images that one review may ask about.
const MOST_IMAGES: usize = 100;

/// Which of the two webhooks was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    Mutate,
    Validate,
}

impl Endpoint {
    /// The name used in metrics and logs.
    pub fn id(self) -> &'static str {
        match self {
            Endpoint::Mutate => "mutate",
            Endpoint::Validate => "validate",
        }
    }
}

/// Everything reviews are answered with.
pub struct Webhook {
    pub settings: Settings,
    pub registry: Registry,
    pub sources: Sources,
    pub options: Options,
    pub detail: Detail,
    pub throttle: Arc<Throttle>,
}

/// An answer, and what it was made of, for metrics and the log.
#[derive(Debug, Default)]
pub struct Decision {
    pub answer: Answer,
    /// Why the object was not looked at.
    pub exempt: Option<&'static str>,
    pub results: Vec<Answered>,
}

impl Decision {
    fn exempt(why: &'static str) -> Self {
        Self { exempt: Some(why), ..Self::default() }
    }

    /// The strictest verdict.
    pub fn action(&self) -> Action {
        self.results.iter().map(|result| result.verdict.action).max().unwrap_or(Action::Allow)
    }
}

impl Webhook {
    /// Answers a request within a time.
    pub async fn decide(
        &self,
        endpoint: Endpoint,
        request: &Request<'_>,
        budget: Duration,
    ) -> Decision {
        let deadline = Instant::now() + budget;
        if let Some(why) = exempt::by_request(request) {
            return Decision::exempt(why);
        }
        let Some(raw) = request.object else { return Decision::exempt("no-object") };
        let object = match object::read(&request.kind, raw) {
            None => return Decision::exempt("kind"),
            Some(Ok(object)) => object,
            // The API server has read it before us; whoever sent this is no API server.
            Some(Err(_)) => {
                let answer =
                    Answer::warn("pullproof could not read this object; nothing was checked");
                return Decision { answer, exempt: Some("unreadable"), ..Decision::default() };
            }
        };
        if let Some(why) = exempt::by_object(request, &object) {
            return Decision::exempt(why);
        }
        if endpoint == Endpoint::Mutate && !(object.is_pod() && request.operation == "CREATE") {
            return Decision::exempt("kind");
        }
        let old = request.old_object.filter(|_| request.operation == "UPDATE");
        let old = old.and_then(|raw| object::read(&request.kind, raw)).and_then(Result::ok);
        let uses = exempt::changed(object.uses(&request.kind, &request.namespace), old.as_ref());
        let Some(first) = uses.first() else { return Decision::exempt("unchanged") };
        let namespace = &*request.namespace;
        let labels = self.sources.labels(namespace, deadline).await;
        let are_labels_known = labels.is_some();
        let around = Surroundings {
            login: self.sources.login(namespace, &first.workload, deadline).await,
            labels: labels.unwrap_or_default(),
            landing: self.sources.landing(&first.workload),
            fresh: endpoint == Endpoint::Mutate,
            deadline,
            admits: {
                let (throttle, namespace) = (Arc::clone(&self.throttle), namespace.to_owned());
                Some(Box::new(move || throttle.admits(&namespace, std::time::Instant::now())))
            },
        };
        let policies = self.sources.policies.now();
        let case =
            Case { webhook: self, policies, around, object: &object, namespace, are_labels_known };
        match endpoint {
            Endpoint::Validate => {
                let decision = case.validate(uses).await;
                if request.dry_run != Some(true) {
                    case.tell(&decision.results);
                }
                decision
            }
            Endpoint::Mutate => Box::pin(case.mutate(uses)).await,
        }
    }
}

/// Registries with a metric of their own, beside those the settings name.
const KNOWN: [&str; 8] = [
    "docker.io",
    "gcr.io",
    "ghcr.io",
    "mcr.microsoft.com",
    "public.ecr.aws",
    "quay.io",
    "registry.gitlab.com",
    "registry.k8s.io",
];

impl Webhook {
    /// The registry of a result by a name out of a closed set.
    pub fn registry_label(&self, result: &Answered) -> &str {
        let reference = result.uses.first().and_then(|found| found.reference.as_ref().ok());
        self.label_of(reference.map(|reference| reference.registry()).unwrap_or_default())
    }

    /// A registry by a name out of a closed set.
    pub fn label_of(&self, registry: &str) -> &str {
        let known = KNOWN.into_iter().find(|known| *known == registry);
        known.or_else(|| self.settings.registries.named(registry)).unwrap_or("other")
    }
}

/// One object under review.
struct Case<'a> {
    webhook: &'a Webhook,
    policies: Arc<Vec<ImageCheckPolicy>>,
    around: Surroundings,
    object: &'a Admitted<'a>,
    namespace: &'a str,
    /// Else it is open which of the policies with a selector are meant.
    are_labels_known: bool,
}

impl Case<'_> {
    fn road(&self) -> Road<'_> {
        Road {
            settings: &self.webhook.settings,
            policies: &self.policies,
            registry: &self.webhook.registry,
            options: &self.webhook.options,
        }
    }

    async fn validate(&self, mut uses: Vec<ImageUse>) -> Decision {
        let road = self.road();
        let rest = split_off_too_many(&mut uses);
        let mut results = road.review(uses, &self.around).await;
        if !rest.is_empty() {
            let reason = Reason::TooManyImages;
            let text = format!("only {MOST_IMAGES} images of one object are checked");
            results.extend(road.without_asking(rest, &self.around.labels, reason, &text));
        }
        results.sort_by(|a, b| path(a).cmp(path(b)));
        self.spare(&mut results);
        let detail = self.webhook.detail;
        let answer = Answer {
            denied: words::denial(&results, self.object, detail),
            warnings: words::warnings(&results, self.object, detail),
            patch: None,
            annotations: Vec::new(),
        };
        Decision { answer, exempt: None, results }
    }

    async fn mutate(mut self, mut uses: Vec<ImageUse>) -> Decision {
        let (mut changes, mut warnings) = self.injected(&uses).await;
        uses.retain(|found| self.is_to_be_pinned(found));
        let rest = split_off_too_many(&mut uses);
        if !rest.is_empty() {
            warnings.push(format!("only {MOST_IMAGES} images of one object are pinned"));
        }
        let results =
            if uses.is_empty() { Vec::new() } else { self.road().review(uses, &self.around).await };
        for result in &results {
            match (&result.diagnosis.outcome, &result.diagnosis.digest) {
                (Outcome::Pullable, Some(digest)) => {
                    changes.pins.extend(result.uses.iter().map(|found| Pin {
                        path: found.site.path.clone(),
                        name: self.object.name_at(&found.site.path).to_owned(),
                        from: found.text.clone(),
                        to: format!("{}@{digest}", found.text),
                    }));
                }
                // What is wrong with it is said by the other webhook.
                (Outcome::Finding { .. }, _) => {}
                _ => warnings.push(format!(
                    "{} is not pinned to a digest: it could not be confirmed",
                    crate::text::clean(&result.image, 200)
                )),
            }
        }
        changes.pins.sort_by(|a, b| a.path.cmp(&b.path));
        let annotations = self.object.metadata.annotations.as_ref();
        let before = Before {
            has_annotations: annotations.is_some(),
            original_images: annotations.and_then(|all| all.get(ORIGINAL_IMAGES)).map(|it| &**it),
            has_pull_secrets: self.object.spec.image_pull_secrets.is_some(),
        };
        let answer = Answer {
            patch: changes.to_patch(before),
            warnings: words::bounded(warnings),
            ..Answer::default()
        };
        // Nothing is judged here, so nothing counts as judged.
        Decision { answer, exempt: None, results: Vec::new() }
    }

    /// The secrets to add; with them the images are asked about as the Pod will pull them.
    async fn injected(&mut self, uses: &[ImageUse]) -> (Changes, Vec<String>) {
        let (sources, deadline) = (&self.webhook.sources, self.around.deadline);
        let known = (&self.around.labels, &self.around.login);
        let injection =
            inject::look(sources, &self.policies, self.namespace, uses, known, deadline).await;
        if let (Some(first), false) = (uses.first(), injection.secrets.is_empty()) {
            let mut changed = (*first.workload).clone();
            changed.pull_secrets.extend(injection.secrets.iter().cloned());
            self.around.login = sources.login(self.namespace, &changed, deadline).await;
        }
        let warnings = words::not_added(injection.warnings, self.webhook.detail);
        (Changes { pull_secrets: injection.secrets, ..Changes::default() }, warnings)
    }

    /// Nobody is refused because we do not know which policies are meant. And a Pod that a controller
    /// made is not while a node has its image: a drain must not die of a tag that was cleaned up.
    fn spare(&self, results: &mut [Answered]) {
        for result in results.iter_mut().filter(|it| it.verdict.action == Action::Deny) {
            let is_held = |found: &ImageUse| {
                let policy = pull_policy::effective(&found.text, found.pull_policy);
                found.workload.ownership == Ownership::OwnedPod
                    && policy == PullPolicy::IfNotPresent
                    && self.webhook.sources.is_held(found)
            };
            if !self.are_labels_known || result.uses.iter().all(is_held) {
                result.verdict.action = Action::Warn;
            }
        }
    }

    /// Raises Events where nobody reads an answer: for Pods that a controller makes, and for what is
    /// only counted.
    fn tell(&self, results: &[Answered]) {
        let Some(cluster) = &self.webhook.sources.cluster else { return };
        let owner = self.object.metadata.owner();
        for result in results.iter().filter(|result| result.verdict.action > Action::Allow) {
            if owner.is_none() && result.verdict.action != Action::Audit {
                continue;
            }
            let Some(found) = result.uses.first() else { continue };
            let own = &found.workload.object;
            let (about, uid) = match owner {
                None => (own.clone(), &self.object.metadata.uid),
                Some(owner) => (
                    ObjectName {
                        api_version: owner.api_version.clone().into_owned(),
                        kind: owner.kind.clone().into_owned(),
                        namespace: own.namespace.clone(),
                        name: owner.name.clone().into_owned(),
                    },
                    &owner.uid,
                ),
            };
            let is_finding = matches!(result.diagnosis.outcome, Outcome::Finding { .. });
            cluster.events.tell(Note {
                about,
                uid: uid.clone().into_owned(),
                reason: if is_finding { "ImageWillNotPull" } else { "ImageNotConfirmed" },
                action: "Admitted",
                warns: result.verdict.action > Action::Audit,
                text: words::warning(result, self.object),
            });
        }
    }

    /// Whether a policy asks for a digest, and the text leaves it open which.
    fn is_to_be_pinned(&self, found: &ImageUse) -> bool {
        let Ok(reference) = &found.reference else { return false };
        let is_pulled = pull_policy::effective(&found.text, found.pull_policy) != PullPolicy::Never;
        let is_short =
            reference.registry().is_empty() || !found.text.starts_with(reference.registry());
        let subject = crate::pipeline::subject(found, &self.around.labels);
        reference.digest().is_none()
            && is_pulled
            && (!is_short || self.all_nodes_run_containerd())
            && self.policies.iter().any(|policy| policy.spec.pin && policy.matches(&subject))
    }

    /// CRI-O may look a short name up somewhere else.
    fn all_nodes_run_containerd(&self) -> bool {
        let known = self.around.landing.as_ref().map(|landing| &landing.runtimes);
        let runtimes = known.unwrap_or(&self.webhook.options.runtimes);
        !runtimes.is_empty() && !runtimes.contains(&Runtime::Crio)
    }
}

/// Takes the uses off that name more than the images one review may ask about.
fn split_off_too_many(uses: &mut Vec<ImageUse>) -> Vec<ImageUse> {
    if uses.len() <= MOST_IMAGES {
        return Vec::new();
    }
    let mut asked: HashSet<String> = HashSet::new();
    let is_asked = |found: &ImageUse| {
        asked.contains(&found.text)
            || (asked.len() < MOST_IMAGES && asked.insert(found.text.clone()))
    };
    let (kept, rest) = std::mem::take(uses).into_iter().partition(is_asked);
    *uses = kept;
    rest
}

fn path(result: &Answered) -> &str {
    result.uses.first().map(|found| &*found.site.path).unwrap_or_default()
}
