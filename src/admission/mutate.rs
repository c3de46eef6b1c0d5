//! What `/mutate` does to a Pod: images pinned to the digest that a registry says now, pull secrets
//! added, each only where a policy asks for it.

use std::sync::Arc;

use super::handler::{Case, Decision, MOST_IMAGES, split_off_too_many};
use super::inject;
use super::object::Admitted;
use super::patch::{Before, Changes, ORIGINAL_IMAGES, Pin};
use super::review::Answer;
use super::words::{self, Detail};
use crate::diagnosis::Outcome;
use crate::image::platform::Runtime;
use crate::image::{ImageUse, PullPolicy, Role, pull_policy};
use crate::policy::ImageCheckPolicy;

impl Case<'_> {
    /// The changes to a Pod, as a patch.
    pub(super) async fn mutate(mut self, mut uses: Vec<ImageUse>) -> Decision {
        self.leave_out_what_is_open();
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
                        name: kept_as(found, self.object),
                        from: found.text.clone(),
                        to: format!("{}@{digest}", found.text),
                    }));
                }
                // What is wrong with it is said by the other webhook.
                (Outcome::Finding { .. }, _) if self.webhook.detail == Detail::Full => {}
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
            warnings: words::not_changed(warnings, self.webhook.detail),
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
        (Changes { pull_secrets: injection.secrets, ..Changes::default() }, injection.warnings)
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

    /// While the labels of the namespace are not known, policies that select by them change nothing.
    fn leave_out_what_is_open(&mut self) {
        if !self.are_labels_known {
            let open = |policy: &ImageCheckPolicy| policy.spec.matches.namespace_selector.is_some();
            let known = self.policies.iter().filter(|policy| !open(policy)).cloned().collect();
            self.policies = Arc::new(known);
        }
    }
}

/// The name an original image is kept under: that of the container, or `volume/` and the volume's.
fn kept_as(found: &ImageUse, object: &Admitted<'_>) -> String {
    let name = object.name_at(&found.site.path);
    if found.role == Role::Volume { format!("volume/{name}") } else { name.to_owned() }
}
