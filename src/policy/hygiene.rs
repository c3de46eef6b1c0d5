//! What is unwise about an image although it pulls: no pull failure, listed beside the outcome. Rules
//! that only a policy can act on are listed only where one does.

use super::ImageCheckPolicy;
use super::matching::Subject;
use crate::diagnosis::{Cause, Diagnosis, Listed};
use crate::image::Reference;

/// Adds what is unwise about the image of this subject.
pub fn add(policies: &[ImageCheckPolicy], subject: &Subject<'_>, diagnosis: &mut Diagnosis) {
    let Some(reference) = subject.reference else { return };
    if is_latest(reference) {
        list(
            diagnosis,
            Cause::LatestTag,
            format!(
                "{} names no version: what runs changes whenever somebody pushes",
                reference.familiar()
            ),
        );
    }
    let matching = || policies.iter().filter(|policy| policy.matches(subject));
    let is_acted_on = |cause: Cause| {
        matching().any(|policy| policy.spec.causes.iter().any(|listed| listed.id == cause.id()))
    };
    if reference.digest().is_none() && is_acted_on(Cause::Unpinned) {
        list(
            diagnosis,
            Cause::Unpinned,
            format!("{} has no digest: its tag may be moved", reference.familiar()),
        );
    }
    let is_outside = |policy: &ImageCheckPolicy| {
        policy.spec.registries.as_ref().is_some_and(|allowed| !allowed.allows(reference))
    };
    if let Some(policy) = matching().find(|policy| is_outside(policy)) {
        list(
            diagnosis,
            Cause::RegistryNotAllowed,
            format!(
                "{} is not in the registries of policy {}",
                reference.keyring_lookup(),
                policy.name
            ),
        );
    }
}

fn is_latest(reference: &Reference) -> bool {
    reference.digest().is_none() && reference.tag().is_none_or(|tag| tag == "latest")
}

fn list(diagnosis: &mut Diagnosis, cause: Cause, text: String) {
    if diagnosis.findings.iter().all(|listed| listed.cause != cause) {
        diagnosis.findings.push(Listed { cause, text });
    }
}
