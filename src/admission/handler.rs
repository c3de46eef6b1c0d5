//! One review to one answer: what passes untouched, what the road says of the rest, and what that
//! means for the object. Nothing here knows HTTP, and nothing of ours ever denies: what goes wrong on
//! our side is a warning.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::exempt;
use super::object::{Admitted, Shape};
use super::review::{Answer, Request};
use super::sources::Sources;
use super::throttle::Throttle;
use super::words::{self, Detail};
use crate::diagnosis::Reason;
use crate::image::usage::Ownership;
use crate::image::{ImageUse, PullPolicy, pull_policy};
use crate::pipeline::{Options, Road, Surroundings};
use crate::policy::{Action, ImageCheckPolicy};
use crate::registry::Registry;
use crate::report::Result as Answered;
use crate::settings::Settings;

/// Distinct images that one review may ask about.
pub(super) const MOST_IMAGES: usize = 100;

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
        let Some(shape) = Shape::of(&request.kind) else { return Decision::exempt("kind") };
        let object = match &request.object {
            None => return Decision::exempt("no-object"),
            Some(Ok(object)) => Admitted::new(shape, object),
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
        let old = request.old_object.as_ref().filter(|_| request.operation == "UPDATE");
        let old = old.and_then(|old| old.as_ref().ok()).map(|old| Admitted::new(shape, old));
        let uses = exempt::changed(object.uses(request), old.as_ref());
        let Some(first) = uses.first() else { return Decision::exempt("unchanged") };
        let policies = self.sources.policies.now();
        if endpoint == Endpoint::Mutate && !policies.iter().any(changes_pods) {
            return Decision::default();
        }
        let namespace = &*request.namespace;
        let labels = self.sources.labels(&policies, namespace, deadline).await;
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
        let case =
            Case { webhook: self, policies, around, object: &object, namespace, are_labels_known };
        match endpoint {
            Endpoint::Validate => {
                let decision = case.validate(uses).await;
                if request.dry_run != Some(true) {
                    case.raise_events(&decision.results);
                }
                decision
            }
            Endpoint::Mutate => Box::pin(case.mutate(uses)).await,
        }
    }
}

fn changes_pods(policy: &ImageCheckPolicy) -> bool {
    policy.spec.pin || !policy.spec.pull_secrets.is_empty()
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
pub(super) struct Case<'a> {
    pub webhook: &'a Webhook,
    pub policies: Arc<Vec<ImageCheckPolicy>>,
    pub around: Surroundings,
    pub object: &'a Admitted<'a>,
    pub namespace: &'a str,
    /// Else it is open which of the policies with a selector are meant.
    pub are_labels_known: bool,
}

impl Case<'_> {
    pub(super) fn road(&self) -> Road<'_> {
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
            annotations: words::for_audit(&results),
        };
        Decision { answer, exempt: None, results }
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
}

/// Takes the uses off that name more than the images one review may ask about.
pub(super) fn split_off_too_many(uses: &mut Vec<ImageUse>) -> Vec<ImageUse> {
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
