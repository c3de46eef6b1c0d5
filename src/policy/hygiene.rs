//! What is unwise about an image although it pulls: no pull failure, listed beside the outcome. Rules
//! that only a policy can act on are listed only where one does.

use super::ImageCheckPolicy;
use super::matching::Subject;
use crate::diagnosis::{Cause, Diagnosis, Listed};
use crate::image::{ImageUse, PullPolicy, Reference, Role, pull_policy};

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

/// Adds what is unwise about how this use is pulled; `is_local`: the settings call its name one that
/// only exists on developers' machines. Of what has no Pod, or is only guessed at, nothing is known.
pub fn add_of_use(found: &ImageUse, is_local: bool, diagnosis: &mut Diagnosis) {
    let Ok(reference) = &found.reference else { return };
    let is_known = !found.guess && found.role != Role::Custom;
    if !is_known || found.workload.object.kind.is_empty() {
        return;
    }
    let name = reference.familiar();
    let text = match pull_policy::effective(&found.text, found.pull_policy) {
        PullPolicy::Always if is_local => {
            format!("{name} is in no registry, and imagePullPolicy Always asks one all the same")
        }
        PullPolicy::IfNotPresent if !is_local && is_moving(reference) => format!(
            "{name} has a tag that moves, and with imagePullPolicy IfNotPresent nodes keep what they have"
        ),
        _ => return,
    };
    list(diagnosis, Cause::PullPolicyUnfit, text);
}

/// Tags that are pushed again and again, by their names.
const MOVING: &[&str] = &[
    "latest",
    "stable",
    "edge",
    "nightly",
    "main",
    "master",
    "trunk",
    "develop",
    "dev",
    "canary",
    "unstable",
    "snapshot",
    "rolling",
    "current",
    "head",
    "staging",
    "production",
];

fn is_moving(reference: &Reference) -> bool {
    reference.digest().is_none() && reference.tag().is_none_or(|tag| MOVING.contains(&tag))
}

fn is_latest(reference: &Reference) -> bool {
    reference.digest().is_none() && reference.tag().is_none_or(|tag| tag == "latest")
}

fn list(diagnosis: &mut Diagnosis, cause: Cause, text: String) {
    if diagnosis.findings.iter().all(|listed| listed.cause != cause) {
        diagnosis.findings.push(Listed { cause, text });
    }
}
