//! ImageCheckPolicy as people write it (`pullproof.dev/v1alpha1`): the same file for a cluster and for
//! the command line. Unknown fields, causes and platforms are refused with the field's path.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Action;
use super::glob::Glob;
use crate::diagnosis::{Cause, Class};
use crate::image::{Platform, Reference};

pub const GROUP: &str = "pullproof.dev";
pub const VERSION: &str = "v1alpha1";
pub const API_VERSION: &str = "pullproof.dev/v1alpha1";
pub const KIND: &str = "ImageCheckPolicy";

/// A checked policy.
#[derive(Debug, Clone)]
pub struct ImageCheckPolicy {
    pub name: String,
    pub spec: Spec,
}

/// What a policy asks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Spec {
    #[serde(rename = "match")]
    pub matches: Match,
    /// For certain findings of class image and credential.
    pub action: Option<Action>,
    /// Actions of single causes; they override `action`.
    pub causes: Vec<CauseAction>,
    pub inconclusive: Option<Action>,
    pub enforce_on: Option<Vec<EnforceOn>>,
    /// On top of what the Pod's node constraints ask for.
    pub require_platforms: Vec<PlatformName>,
    pub registries: Option<AllowedRegistries>,
    /// Acted on by the mutating webhook only.
    pub pin: bool,
    /// Acted on by the mutating webhook only.
    pub pull_secrets: Vec<PullSecretRule>,
}

/// All given parts must hold; empty matches everything.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Match {
    pub namespaces: Vec<Glob>,
    pub namespace_selector: Option<LabelSelector>,
    /// Over the normal form `registry/repository`.
    pub images: Vec<Glob>,
    pub exclude: Exclude,
}

/// What a policy leaves alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Exclude {
    pub namespaces: Vec<Glob>,
    pub images: Vec<Glob>,
    pub service_accounts: Vec<Glob>,
}

/// A Kubernetes label selector.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct LabelSelector {
    pub match_labels: BTreeMap<String, String>,
    pub match_expressions: Vec<LabelRequirement>,
}

/// One requirement of a label selector.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelRequirement {
    pub key: String,
    pub operator: LabelOperator,
    #[serde(default)]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum LabelOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// The action of one cause.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CauseAction {
    pub id: String,
    pub action: Action,
}

/// Which objects a policy may deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum EnforceOn {
    Workload,
    BarePod,
    OwnedPod,
}

/// A platform as written in a policy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PlatformName(pub Platform);

impl TryFrom<String> for PlatformName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Platform::parse(&text).map(PlatformName).map_err(|error| error.to_string())
    }
}

/// The registries that images may come from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedRegistries {
    pub allow: Vec<Glob>,
}

impl AllowedRegistries {
    /// Whether an image's registry, or its whole name, is in the list.
    pub fn allows(&self, reference: &Reference) -> bool {
        let name = reference.keyring_lookup();
        self.allow.iter().any(|glob| glob.matches(reference.registry()) || glob.matches(name))
    }
}

/// Adds a pull secret where no credential of the Pod matches.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullSecretRule {
    pub registry: String,
    pub secret: String,
}

/// Why a policy is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ImageCheckPolicy {name}: {reason}")]
pub struct Invalid {
    pub name: String,
    pub reason: String,
}

impl ImageCheckPolicy {
    /// Reads one object; `Ok(None)` when it is of another kind.
    pub fn from_value(object: &Value) -> Result<Option<Self>, Invalid> {
        let text =
            |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        if text("/kind") != KIND {
            return Ok(None);
        }
        let name = text("/metadata/name").to_owned();
        let invalid = |reason: String| Invalid {
            name: if name.is_empty() { "without a name".to_owned() } else { name.clone() },
            reason,
        };
        if text("/apiVersion") != API_VERSION {
            return Err(invalid(format!("apiVersion must be {API_VERSION}")));
        }
        if name.is_empty() {
            return Err(invalid("metadata.name is missing".to_owned()));
        }
        let spec = match object.get("spec") {
            None | Some(Value::Null) => Spec::default(),
            Some(spec) => {
                Spec::deserialize(spec).map_err(|error| invalid(format!("spec: {error}")))?
            }
        };
        check(&spec).map_err(invalid)?;
        Ok(Some(Self { name, spec }))
    }
}

/// What serde cannot see: unknown cause ids, empty names, selectors without values.
fn check(spec: &Spec) -> Result<(), String> {
    for (at, cause) in spec.causes.iter().enumerate() {
        let known: Result<Cause, ()> = cause.id.parse();
        match known.map(Cause::class) {
            Err(()) => {
                return Err(format!(
                    "spec.causes[{at}].id: there is no cause \"{}\"",
                    crate::text::clean(&cause.id, 80)
                ));
            }
            Ok(Class::Environment) => {
                return Err(format!(
                    "spec.causes[{at}].id: {} makes an answer inconclusive; use spec.inconclusive",
                    cause.id
                ));
            }
            Ok(_) => {}
        }
        if spec.causes[..at].iter().any(|other| other.id == cause.id) {
            return Err(format!("spec.causes[{at}].id: {} is there twice", cause.id));
        }
    }
    if let Some(registries) = &spec.registries
        && registries.allow.iter().any(|glob| glob.as_str().is_empty())
    {
        return Err("spec.registries.allow: an empty name".to_owned());
    }
    for (at, rule) in spec.pull_secrets.iter().enumerate() {
        if rule.registry.is_empty() || rule.secret.is_empty() {
            return Err(format!("spec.pullSecrets[{at}]: registry and secret must both be named"));
        }
    }
    let requirements =
        spec.matches.namespace_selector.iter().flat_map(|selector| &selector.match_expressions);
    for requirement in requirements {
        let takes_values = matches!(requirement.operator, LabelOperator::In | LabelOperator::NotIn);
        if takes_values == requirement.values.is_empty() {
            return Err(format!(
                "spec.match.namespaceSelector: {} does not fit its values",
                requirement.key
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(spec: Value) -> Result<Option<ImageCheckPolicy>, Invalid> {
        ImageCheckPolicy::from_value(
            &json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "p"}, "spec": spec}),
        )
    }

    #[test]
    fn a_full_policy_is_read() {
        let policy = read(json!({
            "match": {"namespaces": ["prod-*"], "images": ["ghcr.io/acme/**"], "exclude": {"namespaces": ["x"], "images": [], "serviceAccounts": []}},
            "action": "Deny", "causes": [{"id": "latest-tag", "action": "Deny"}], "inconclusive": "Warn",
            "enforceOn": ["Workload", "BarePod"], "requirePlatforms": ["linux/amd64", "linux/arm64"],
            "registries": {"allow": ["ghcr.io"]}, "pin": true, "pullSecrets": [{"registry": "ghcr.io/acme", "secret": "ghcr-pull"}],
        }));
        assert_eq!(policy.unwrap().unwrap().spec.require_platforms.len(), 2);
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_field() {
        for (spec, word) in [
            (json!({"actionn": "Deny"}), "actionn"),
            (json!({"action": "deny"}), "deny"),
            (json!({"causes": [{"id": "tag-not-foud", "action": "Deny"}]}), "tag-not-foud"),
            (json!({"causes": [{"id": "timeout", "action": "Deny"}]}), "inconclusive"),
            (json!({"requirePlatforms": ["linux"]}), "linux"),
            (json!({"registries": {"allow": [""]}}), "empty"),
            (json!({"pullSecrets": [{"registry": "", "secret": "s"}]}), "pullSecrets[0]"),
        ] {
            let error = read(spec).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn another_kind_is_no_policy() {
        assert!(
            ImageCheckPolicy::from_value(&json!({"apiVersion": "v1", "kind": "Pod"}))
                .unwrap()
                .is_none()
        );
    }
}
