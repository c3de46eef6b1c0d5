//! What is known of an image without an answer of its registry: why nobody was asked, or nobody
//! answered in time.

use std::collections::BTreeMap;
use std::time::Duration;

use super::questions::asker;
use super::verdicts::Bench;
use super::{Labels, Road};
use crate::credential::Source;
use crate::diagnosis::{Cause, Certainty, Diagnosis, Outcome, Reason, without_asking};
use crate::image::usage::Workload;
use crate::image::{ImageUse, PullPolicy, Reference, pull_policy};
use crate::report::Result as Answered;
use crate::settings::HostSettings;
use crate::waivers::Waivers;

impl Road<'_> {
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

    /// Why no node pulls this image.
    pub(super) fn never_pulled(&self, found: &ImageUse) -> Option<&'static str> {
        if pull_policy::effective(&found.text, found.pull_policy) == PullPolicy::Never {
            return Some("imagePullPolicy is Never");
        }
        self.is_local(found).then_some("a local name by the settings")
    }

    /// Whether the settings call the name one that only exists on developers' machines.
    pub(super) fn is_local(&self, found: &ImageUse) -> bool {
        let local = &self.settings.registries.local;
        let Ok(reference) = &found.reference else { return false };
        !local.is_empty()
            && [reference.keyring_lookup(), &reference.familiar(), &found.text]
                .iter()
                .any(|name| local.iter().any(|glob| glob.matches(name)))
    }

    /// Why the registry is not asked, although a node would pull.
    pub(super) fn never_asked(&self, host: &HostSettings) -> Option<&'static str> {
        if self.options.offline {
            return Some("--offline");
        }
        (!host.ask).then_some("ask = false for this registry")
    }
}

/// The text is no image reference.
pub(super) fn no_reference(text: &str, error: crate::image::reference::Error) -> Diagnosis {
    let outcome =
        Outcome::Finding { cause: Cause::InvalidReference, certainty: Certainty::Certain };
    let shown = crate::text::clean(text, crate::text::SHOWN);
    let summary = format!("\"{shown}\" is no image reference: {}", error.describe(text));
    without_asking(outcome, summary, "no image reference")
}

pub(super) fn not_asked(reference: &Reference, why: &str) -> Diagnosis {
    let outcome = Outcome::Inconclusive { reason: Reason::NotAsked };
    let summary = format!("{}: not asked, {why}", reference.pull_ref());
    without_asking(outcome, summary, "not asked")
}

/// The namespace has asked too much.
pub(super) fn throttled(reference: &Reference) -> Diagnosis {
    let outcome = Outcome::Inconclusive { reason: Reason::Throttled };
    let name = reference.pull_ref();
    let summary = format!("{name}: not asked, this namespace asks for too many images at once");
    without_asking(outcome, summary, "not asked")
}

/// The registry, or another `host` on the way, is asked still, and nobody waits for it.
pub(super) fn out_of_time(
    reference: &Reference,
    host: Option<&str>,
    waited: Duration,
) -> Diagnosis {
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
pub(super) fn broken_secret(source: &Source, reason: &str, workload: &Workload) -> Diagnosis {
    let outcome = Outcome::Finding { cause: Cause::SecretInvalid, certainty: Certainty::Certain };
    let asker = asker(workload);
    let summary = format!("{source} cannot be decoded, so no image of {asker} is pulled: {reason}");
    without_asking(outcome, summary, "pull secret cannot be decoded")
}
