//! Does a policy speak for an image of a workload? All given parts of `match` must hold, and no part
//! of `exclude` may.

use std::collections::BTreeMap;

use super::image_check_policy::{
    EnforceOn, ImageCheckPolicy, LabelOperator, LabelRequirement, LabelSelector,
};
use crate::image::Reference;
use crate::image::usage::Ownership;

/// What of a use a policy looks at.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The namespace the object lands in.
    pub namespace: &'a str,
    pub namespace_labels: Option<&'a BTreeMap<String, String>>,
    pub service_account: &'a str,
    pub ownership: Ownership,
    /// `None` when the text is no reference; only `match.images` cannot match then.
    pub reference: Option<&'a Reference>,
}

/// The label every namespace carries.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

impl ImageCheckPolicy {
    /// Whether the policy speaks for this subject.
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        let matches = &self.spec.matches;
        let name = subject.reference.map(Reference::keyring_lookup);
        let any_name = |globs: &[super::glob::Glob]| {
            name.is_some_and(|name| globs.iter().any(|glob| glob.matches(name)))
        };
        (matches.namespaces.is_empty()
            || matches.namespaces.iter().any(|glob| glob.matches(subject.namespace)))
            && matches.namespace_selector.as_ref().is_none_or(|selector| selects(selector, subject))
            && (matches.images.is_empty() || any_name(&matches.images))
            && !matches.exclude.namespaces.iter().any(|glob| glob.matches(subject.namespace))
            && !matches
                .exclude
                .service_accounts
                .iter()
                .any(|glob| glob.matches(subject.service_account))
            && !any_name(&matches.exclude.images)
    }

    /// Whether the policy may deny objects of this kind.
    pub fn enforces_on(&self, ownership: Ownership) -> bool {
        let kind = match ownership {
            Ownership::Workload => EnforceOn::Workload,
            Ownership::BarePod => EnforceOn::BarePod,
            Ownership::OwnedPod => EnforceOn::OwnedPod,
        };
        match &self.spec.enforce_on {
            None => kind != EnforceOn::OwnedPod,
            Some(kinds) => kinds.contains(&kind),
        }
    }
}

fn selects(selector: &LabelSelector, subject: &Subject<'_>) -> bool {
    let label = |key: &str| match subject.namespace_labels.and_then(|labels| labels.get(key)) {
        None if key == NAMESPACE_NAME => Some(subject.namespace),
        found => found.map(String::as_str),
    };
    selector.match_labels.iter().all(|(key, value)| label(key) == Some(value.as_str()))
        && selector
            .match_expressions
            .iter()
            .all(|requirement| holds(requirement, label(&requirement.key)))
}

fn holds(requirement: &LabelRequirement, value: Option<&str>) -> bool {
    let listed =
        || value.is_some_and(|value| requirement.values.iter().any(|listed| listed == value));
    match requirement.operator {
        LabelOperator::In => listed(),
        LabelOperator::NotIn => !listed(),
        LabelOperator::Exists => value.is_some(),
        LabelOperator::DoesNotExist => value.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn policy(spec: Value) -> ImageCheckPolicy {
        let object = json!({"apiVersion": "pullproof.dev/v1alpha1", "kind": "ImageCheckPolicy", "metadata": {"name": "p"}, "spec": spec});
        ImageCheckPolicy::from_value(&object).unwrap().unwrap()
    }

    fn subject<'a>(namespace: &'a str, reference: &'a Reference) -> Subject<'a> {
        Subject {
            namespace,
            namespace_labels: None,
            service_account: "default",
            ownership: Ownership::Workload,
            reference: Some(reference),
        }
    }

    #[test]
    fn all_parts_must_hold_and_no_exclusion_may() {
        let image = Reference::parse("ghcr.io/acme/team/web:1").unwrap();
        let p = policy(
            json!({"match": {"namespaces": ["prod-*"], "images": ["ghcr.io/acme/**"], "exclude": {"namespaces": ["prod-x"]}}}),
        );
        assert!(p.matches(&subject("prod-a", &image)));
        assert!(!p.matches(&subject("prod-x", &image)) && !p.matches(&subject("dev", &image)));
        assert!(!p.matches(&subject("prod-a", &Reference::parse("nginx").unwrap())));
    }

    #[test]
    fn a_short_name_is_matched_in_its_normal_form() {
        let p = policy(json!({"match": {"images": ["docker.io/library/*"]}}));
        assert!(p.matches(&subject("x", &Reference::parse("nginx").unwrap())));
    }

    #[test]
    fn selectors_see_the_name_label_without_being_told() {
        let image = Reference::parse("nginx").unwrap();
        let p = policy(
            json!({"match": {"namespaceSelector": {"matchExpressions": [{"key": NAMESPACE_NAME, "operator": "NotIn", "values": ["kube-system"]}]}}}),
        );
        assert!(p.matches(&subject("shop", &image)) && !p.matches(&subject("kube-system", &image)));
    }

    #[test]
    fn owned_pods_are_enforced_only_when_named() {
        let p = policy(json!({}));
        assert!(
            p.enforces_on(Ownership::Workload)
                && p.enforces_on(Ownership::BarePod)
                && !p.enforces_on(Ownership::OwnedPod)
        );
    }
}
