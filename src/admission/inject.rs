//! Which pull secrets a Pod is given: where a policy names one for an image that none of the Pod's own
//! credentials is for, and where the secret is there, is a login for that image, and may be mounted
//! by the Pod's ServiceAccount. Else a warning says which of these failed.

use std::sync::Arc;

use tokio::time::Instant;

use super::sources::Sources;
use crate::credential::keyring::covers;
use crate::image::ImageUse;
use crate::image::usage::Workload;
use crate::logins::{Login, Looked};
use crate::pipeline::{Labels, subject};
use crate::policy::ImageCheckPolicy;
use crate::text::clean;

/// What came of the policies' rules for one Pod.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Injection {
    /// Names of secrets to add, in the order of the images.
    pub secrets: Vec<String>,
    pub warnings: Vec<String>,
}

/// A secret that a policy names for an image.
#[derive(Debug, PartialEq, Eq)]
struct Wanted<'a> {
    policy: &'a str,
    secret: &'a str,
    /// The image's name without tag and digest.
    image: String,
}

/// The secrets that the policies want for the images of a Pod: the first rule that is for an image
/// counts, policies in the order of their names.
fn wanted<'a>(
    policies: &'a [ImageCheckPolicy],
    uses: &[ImageUse],
    labels: &Labels,
    login: &Login,
) -> Vec<Wanted<'a>> {
    let mut all: Vec<Wanted<'a>> = Vec::new();
    for found in uses {
        let Ok(reference) = &found.reference else { continue };
        let image = reference.keyring_lookup();
        if !login.keyring.lookup(image).candidates.is_empty() {
            continue;
        }
        let subject = subject(found, labels);
        let rules = policies
            .iter()
            .filter(|policy| policy.matches(&subject))
            .flat_map(|policy| policy.spec.pull_secrets.iter().map(move |rule| (policy, rule)));
        let Some((policy, rule)) =
            rules.into_iter().find(|(_, rule)| covers(&rule.registry, image))
        else {
            continue;
        };
        let is_named = found.workload.pull_secrets.contains(&rule.secret);
        if !is_named && all.iter().all(|known| known.secret != rule.secret) {
            let (policy, secret) = (policy.name.as_str(), rule.secret.as_str());
            all.push(Wanted { policy, secret, image: image.to_owned() });
        }
    }
    all
}

/// Looks at each secret that a policy wants, in the namespace of the request.
pub async fn look(
    sources: &Sources,
    policies: &[ImageCheckPolicy],
    namespace: &str,
    uses: &[ImageUse],
    (labels, login): (&Labels, &Arc<Login>),
    deadline: Instant,
) -> Injection {
    let mut injection = Injection::default();
    let Some(workload) = uses.first().map(|found| &found.workload) else { return injection };
    for want in wanted(policies, uses, labels, login) {
        match refusal(sources, namespace, workload, &want, deadline).await {
            None => injection.secrets.push(want.secret.to_owned()),
            Some(why) => injection.warnings.push(format!(
                "policy {}: secret {} is not added for {}: {why}",
                clean(want.policy, 63),
                clean(want.secret, 63),
                clean(&want.image, 80)
            )),
        }
    }
    injection
}

/// Why a secret is not added.
async fn refusal(
    sources: &Sources,
    namespace: &str,
    workload: &Workload,
    want: &Wanted<'_>,
    deadline: Instant,
) -> Option<&'static str> {
    let Some(cluster) = &sources.cluster else { return Some("no cluster is known") };
    let named = Workload { pull_secrets: vec![want.secret.to_owned()], ..workload.clone() };
    let login = sources.login(namespace, &named, deadline).await;
    if !login.known.missing.is_empty() {
        return Some("it is not in this namespace");
    }
    if !login.known.rights_missing.is_empty() {
        return Some("the webhook may not read it");
    }
    // The last good one may still be named: the kubelet reads it anew.
    if !login.known.unread.is_empty() && !login.stale {
        return Some("it could not be read");
    }
    if login.broken.is_some() || !login.known.ignored.is_empty() {
        return Some("it is no pull secret that can be decoded");
    }
    if login.keyring.lookup(&want.image).candidates.is_empty() {
        return Some("it has no entry for this image");
    }
    let account = workload.service_account.as_deref().unwrap_or("default");
    match cluster.secrets.may_mount(namespace, account, want.secret, deadline.into_std()).await {
        Looked::Found(true) | Looked::Absent => None,
        Looked::Found(false) => Some("the ServiceAccount does not let it be mounted"),
        Looked::Forbidden(_) => Some("the webhook may not read the Pod's ServiceAccount"),
        Looked::Unread => Some("the Pod's ServiceAccount could not be read"),
    }
}
