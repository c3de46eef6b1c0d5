//! ImageCheckPolicy as people write it (`pullproof.dev/v1alpha1`): the same file for a cluster and for
//! the command line. Unknown fields, causes and platforms are refused with the field's path.
//!
//! The same types are the CustomResourceDefinition: what the parser refuses, its schema and CEL rules
//! refuse where they can see it.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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

/// What is to be done about images that will not pull, for the objects that `match` names.
#[derive(CustomResource, JsonSchema, Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[kube(
    group = "pullproof.dev",
    version = "v1alpha1",
    kind = "ImageCheckPolicy",
    root = "Resource",
    plural = "imagecheckpolicies",
    shortname = "icheck",
    status = "Status",
    doc = "What is to be done about images that will not pull. All policies that match count; the strictest action wins.",
    printcolumn = r#"{"name": "Action", "type": "string", "jsonPath": ".spec.action"}"#,
    printcolumn = r#"{"name": "Inconclusive", "type": "string", "jsonPath": ".spec.inconclusive"}"#,
    printcolumn = r#"{"name": "Pin", "type": "boolean", "jsonPath": ".spec.pin"}"#,
    printcolumn = r#"{"name": "Accepted", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Accepted\")].status"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Spec {
    /// What the policy speaks for: all given parts must hold; empty matches everything.
    #[serde(rename = "match")]
    pub matches: Match,
    /// For certain findings of class image and credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Actions of single causes; they override `action`, and are the only way to act on hygiene.
    #[schemars(schema_with = "causes_schema")]
    pub causes: Vec<CauseAction>,
    /// For what could not be told; Warn unless it is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inconclusive: Option<Action>,
    /// Which objects may be denied; Workload and BarePod unless it is given.
    #[schemars(length(max = 3))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforce_on: Option<Vec<EnforceOn>>,
    /// Platforms that images must offer, on top of what the Pod's node constraints ask for.
    #[schemars(length(max = 32))]
    pub require_platforms: Vec<PlatformName>,
    /// The registries that images may come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registries: Option<AllowedRegistries>,
    /// Write the digest behind each tag; by the mutating webhook, on Pods only.
    pub pin: bool,
    /// Pull secrets to add where no credential of the Pod matches the image; by the mutating webhook.
    #[schemars(length(max = 64))]
    pub pull_secrets: Vec<PullSecretRule>,
}

/// What the controller says of a policy.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// The generation of the spec that the conditions speak of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}

/// One thing that is so or not so of a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Accepted`: the policy is understood and used. `Risk`: what it asks for may hurt.
    #[serde(rename = "type")]
    pub type_: String,
    pub status: ConditionStatus,
    /// One word in CamelCase.
    pub reason: String,
    pub message: String,
    /// When the status last changed.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// Whether it is so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ConditionStatus {
    True,
    False,
    #[default]
    Unknown,
}

/// All given parts must hold; empty matches everything.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Match {
    #[schemars(length(max = 1000))]
    pub namespaces: Vec<Glob>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Over the normal form `registry/repository`.
    #[schemars(length(max = 1000))]
    pub images: Vec<Glob>,
    pub exclude: Exclude,
}

/// What a policy leaves alone.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Exclude {
    #[schemars(length(max = 1000))]
    pub namespaces: Vec<Glob>,
    #[schemars(length(max = 1000))]
    pub images: Vec<Glob>,
    #[schemars(length(max = 1000))]
    pub service_accounts: Vec<Glob>,
}

/// A Kubernetes label selector.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct LabelSelector {
    pub match_labels: BTreeMap<String, String>,
    #[schemars(length(max = 64))]
    pub match_expressions: Vec<LabelRequirement>,
}

/// One requirement of a label selector.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : !has(self.values) || size(self.values) == 0")
        .message("In and NotIn take values, Exists and DoesNotExist take none")
)]
pub struct LabelRequirement {
    pub key: String,
    pub operator: LabelOperator,
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum LabelOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// The action of one cause.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CauseAction {
    #[schemars(schema_with = "cause_schema")]
    pub id: String,
    pub action: Action,
}

/// Which objects a policy may deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum EnforceOn {
    Workload,
    BarePod,
    OwnedPod,
}

/// A platform as written in a policy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlatformName(pub Platform);

impl From<PlatformName> for String {
    fn from(name: PlatformName) -> Self {
        name.0.to_string()
    }
}

impl TryFrom<String> for PlatformName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if !text.contains('/') {
            return Err(format!("\"{}\" is not os/arch[/variant]", crate::text::clean(&text, 80)));
        }
        Platform::parse(&text).map(PlatformName).map_err(|error| error.to_string())
    }
}

/// The registries that images may come from.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AllowedRegistries {
    /// Globs over the registry, or over the whole name without tag and digest.
    #[schemars(length(max = 1000))]
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
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PullSecretRule {
    /// A registry, or the beginning of a name in one, for example `ghcr.io/acme`.
    #[schemars(length(min = 1, max = 512))]
    pub registry: String,
    /// The name of a Secret in the Pod's namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = SECRET_NAME))]
    pub secret: String,
}

/// Why a policy is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ImageCheckPolicy {name}: {reason}")]
pub struct Invalid {
    pub name: String,
    pub reason: String,
}

/// The names that Secrets can have.
const SECRET_NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
const MAX_GLOB: usize = 512;

/// As [`SECRET_NAME`] says.
fn is_secret_name(text: &str) -> bool {
    let is_end = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let is_part = |part: &str| {
        let bytes = part.as_bytes();
        is_end(bytes.first())
            && is_end(bytes.last())
            && bytes.iter().all(|byte| *byte == b'-' || is_end(Some(byte)))
    };
    text.len() <= 253 && text.split('.').all(is_part)
}

impl JsonSchema for Glob {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Glob".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": MAX_GLOB})
    }
}

impl JsonSchema for PlatformName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Platform".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": 64, "pattern": PLATFORM})
    }
}

/// `os/arch[/variant]`, the system with a version in parentheses where it has one.
const PLATFORM: &str = r"^[A-Za-z0-9_.-]+(\([A-Za-z0-9_.-]*\))?/[A-Za-z0-9_-]+(/[A-Za-z0-9_.-]+)?$";

/// The causes a policy can act on; those of the environment make an answer inconclusive.
fn actionable() -> impl Iterator<Item = Cause> {
    Cause::all().filter(|cause| cause.class() != Class::Environment)
}

fn cause_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "description": "The id of a cause, as `pullproof explain` knows it.",
        "enum": actionable().map(Cause::id).collect::<Vec<_>>(),
    })
}

/// One entry a cause.
fn causes_schema(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "description": "Actions of single causes; they override `action`, and are the only way to act on hygiene.",
        "items": generator.subschema_for::<CauseAction>(),
        "maxItems": 64,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["id"],
    })
}

fn conditions_schema(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": generator.subschema_for::<Condition>(),
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

/// The CustomResourceDefinition, as `kubectl apply` takes it.
pub fn definition() -> Value {
    let definition: CustomResourceDefinition = Resource::crd();
    let mut definition = serde_json::to_value(definition).unwrap_or_else(|_| json!({}));
    if let Some(schema) = definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        without_defaults(schema);
    }
    definition
}

/// A default in the schema is written into every object, which GitOps tools then call a drift.
fn without_defaults(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    fields.remove("default");
    fields.remove("title");
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(without_defaults);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(schema) = fields.get_mut(inner) {
            without_defaults(schema);
        }
    }
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
    let Match { namespaces, images, exclude, .. } = &spec.matches;
    let allow = spec.registries.as_ref().map_or(&[][..], |registries| &registries.allow);
    for (field, globs) in [
        ("match.namespaces", namespaces.as_slice()),
        ("match.images", images),
        ("match.exclude.namespaces", &exclude.namespaces),
        ("match.exclude.images", &exclude.images),
        ("match.exclude.serviceAccounts", &exclude.service_accounts),
        ("registries.allow", allow),
    ] {
        if globs.iter().any(|glob| glob.as_str().is_empty()) {
            return Err(format!("spec.{field}: an empty name"));
        }
    }
    for (at, rule) in spec.pull_secrets.iter().enumerate() {
        if rule.registry.is_empty() || rule.secret.is_empty() {
            return Err(format!("spec.pullSecrets[{at}]: registry and secret must both be named"));
        }
        if !is_secret_name(&rule.secret) {
            let secret = crate::text::clean(&rule.secret, 80);
            return Err(format!(
                "spec.pullSecrets[{at}].secret: no Secret can be named \"{secret}\""
            ));
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
            (json!({"pullSecrets": [{"registry": "r", "secret": "../s"}]}), "../s"),
            (json!({"match": {"namespaces": [""]}}), "match.namespaces"),
            (json!({"requirePlatforms": ["arm64"]}), "os/arch"),
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
