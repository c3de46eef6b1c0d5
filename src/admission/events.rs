//! Events of the webhook: for Pods that a controller makes, whose answers nobody reads, and for what a
//! policy only wants counted.

use super::handler::Case;
use super::review::MAX_NAME;
use super::words;
use crate::cluster::events::Note;
use crate::diagnosis::{Certainty, Outcome};
use crate::image::usage::ObjectName;
use crate::policy::Action;
use crate::report::Result as Answered;

impl Case<'_> {
    /// Raises Events where nobody reads an answer: for Pods that a controller makes, and for what is
    /// only counted.
    pub(super) fn raise_events(&self, results: &[Answered]) {
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
            // An object brings these itself: the API server has no such owner.
            let names = [&*about.api_version, &about.kind, &about.name, uid];
            if names.iter().any(|name| name.len() > MAX_NAME) {
                continue;
            }
            cluster.events.tell(Note {
                about,
                uid: uid.clone().into_owned(),
                reason: reason(result),
                action: if result.verdict.action == Action::Deny { "Denied" } else { "Admitted" },
                warns: result.verdict.action > Action::Audit,
                text: words::warning(result, self.object),
            });
        }
    }
}

/// One word for what is the matter.
fn reason(result: &Answered) -> &'static str {
    match (&result.diagnosis.outcome, result.diagnosis.pulls) {
        _ if words::of_hygiene(result).is_some() => "ImagePolicy",
        (Outcome::Finding { certainty: Certainty::Certain, .. }, Some(false)) => "ImageWillNotPull",
        (Outcome::Finding { .. }, Some(true)) => "ImageDoesNotFit",
        (Outcome::Finding { .. }, _) => "ImageMayNotPull",
        (Outcome::Inconclusive { .. }, _) => "ImageNotConfirmed",
        (Outcome::Pullable, _) => "ImagePolicy",
    }
}
