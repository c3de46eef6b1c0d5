//! The CustomResourceDefinition: that it is one a cluster takes, and that it refuses what the parser
//! of files refuses.

use std::process::Command;

use pullproof::diagnosis::{Cause, Class};
use pullproof::manifest::yaml;
use pullproof::policy::ImageCheckPolicy;
use pullproof::policy::image_check_policy::{self, Status};
use serde_json::{Value, json};

fn schema() -> Value {
    let definition = image_check_policy::definition();
    definition.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap().clone()
}

/// What an API server would say of a value by the structural part of the schema, unknown fields
/// refused as kubectl asks for. Patterns and CEL rules are left to the cluster.
fn refuses(schema: &Value, value: &Value) -> Option<String> {
    let limit = |key: &str| schema.get(key).and_then(Value::as_u64);
    if value.is_null() && schema["nullable"] == true {
        return None;
    }
    if let Some(listed) = schema["enum"].as_array()
        && !listed.contains(value)
    {
        return Some(format!("{value} is not listed"));
    }
    match (schema["type"].as_str()?, value) {
        ("object", Value::Object(fields)) => {
            for required in schema["required"].as_array().into_iter().flatten() {
                if !fields.contains_key(required.as_str().unwrap()) {
                    return Some(format!("{required} is missing"));
                }
            }
            fields.iter().find_map(|(key, value)| {
                let inner = match schema["properties"].get(key) {
                    Some(inner) => inner,
                    None if schema.get("additionalProperties").is_some() => {
                        &schema["additionalProperties"]
                    }
                    None => return Some(format!("{key} is unknown")),
                };
                refuses(inner, value)
            })
        }
        ("array", Value::Array(items)) => {
            if limit("maxItems").is_some_and(|most| items.len() as u64 > most) {
                return Some("too many".into());
            }
            if let Some(key) = schema.pointer("/x-kubernetes-list-map-keys/0") {
                let mut keys: Vec<String> =
                    items.iter().map(|item| item[key.as_str().unwrap()].to_string()).collect();
                keys.sort();
                let all = keys.len();
                keys.dedup();
                if keys.len() < all {
                    return Some("twice".into());
                }
            }
            items.iter().find_map(|item| refuses(&schema["items"], item))
        }
        ("string", Value::String(text)) => {
            let length = text.chars().count() as u64;
            let fits = limit("minLength").is_none_or(|least| length >= least)
                && limit("maxLength").is_none_or(|most| length <= most);
            (!fits).then(|| format!("{text:?} has the wrong length"))
        }
        ("boolean", Value::Bool(_)) | ("integer", Value::Number(_)) => None,
        (wanted, other) => Some(format!("{other} is no {wanted}")),
    }
}

fn parser_refuses(spec: &Value) -> Option<String> {
    let object = json!({"apiVersion": "pullproof.dev/v1alpha1", "kind": "ImageCheckPolicy", "metadata": {"name": "p"}, "spec": spec});
    ImageCheckPolicy::from_value(&object).err().map(|error| error.to_string())
}

#[test]
fn the_schema_and_the_parser_agree() {
    let schema = &schema()["properties"]["spec"];
    let full = json!({
        "match": {
            "namespaces": ["prod-*"],
            "namespaceSelector": {"matchLabels": {"team": "red"}, "matchExpressions": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "In", "values": ["c"]}]},
            "images": ["ghcr.io/acme/**"],
            "exclude": {"namespaces": ["x"], "images": ["y"], "serviceAccounts": ["z"]},
        },
        "action": "Deny", "causes": [{"id": "latest-tag", "action": "Deny"}, {"id": "unpinned", "action": "Audit"}],
        "inconclusive": "Warn", "enforceOn": ["Workload", "BarePod", "OwnedPod"],
        "requirePlatforms": ["linux/amd64", "linux/arm64", "windows(10.0.20348)/amd64", "linux/arm/v7"],
        "registries": {"allow": ["ghcr.io", "registry.internal:5000"]}, "pin": true,
        "pullSecrets": [{"registry": "ghcr.io/acme", "secret": "ghcr-pull"}],
    });
    for good in [json!({}), full, json!({"action": null}), json!({"registries": {"allow": []}})] {
        assert_eq!(refuses(schema, &good), None, "{good}");
        assert_eq!(parser_refuses(&good), None, "{good}");
    }
    for bad in [
        json!({"actionn": "Deny"}),
        json!({"action": "deny"}),
        json!({"match": {"namespace": ["x"]}}),
        json!({"match": {"exclude": {"pods": []}}}),
        json!({"match": {"images": [""]}}),
        json!({"match": {"namespaces": "prod"}}),
        json!({"match": {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}}}),
        json!({"causes": [{"id": "tag-not-foud", "action": "Deny"}]}),
        json!({"causes": [{"id": "timeout", "action": "Deny"}]}),
        json!({"causes": [{"id": "latest-tag"}]}),
        json!({"causes": [{"id": "latest-tag", "action": "Deny"}, {"id": "latest-tag", "action": "Warn"}]}),
        json!({"enforceOn": ["Pod"]}),
        json!({"requirePlatforms": [""]}),
        json!({"registries": {"allow": [""]}}),
        json!({"registries": {}}),
        json!({"pin": "yes"}),
        json!({"pullSecrets": [{"registry": "", "secret": "s"}]}),
        json!({"pullSecrets": [{"registry": "r"}]}),
    ] {
        assert!(refuses(schema, &bad).is_some(), "the schema takes {bad}");
        assert!(parser_refuses(&bad).is_some(), "the parser takes {bad}");
    }
}

#[test]
fn every_cause_a_policy_can_act_on_is_listed_and_no_other() {
    let schema = schema();
    let listed = schema.pointer("/properties/spec/properties/causes/items/properties/id/enum");
    let listed: Vec<&str> =
        listed.unwrap().as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let wanted: Vec<&str> =
        Cause::all().filter(|cause| cause.class() != Class::Environment).map(Cause::id).collect();
    assert_eq!(listed, wanted);
}

#[test]
fn the_schema_is_structural_and_writes_nothing_into_objects() {
    fn walk(schema: &Value, path: &str) {
        let Value::Object(fields) = schema else { return };
        assert!(fields.contains_key("type"), "{path} has no type");
        for forbidden in
            ["$ref", "definitions", "default", "oneOf", "anyOf", "allOf", "uniqueItems"]
        {
            assert!(!fields.contains_key(forbidden), "{path} has {forbidden}");
        }
        let both = fields.contains_key("properties") && fields.contains_key("additionalProperties");
        assert!(!both, "{path} has properties and additionalProperties");
        for (name, inner) in
            fields.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            walk(inner, &format!("{path}.{name}"));
        }
        for inner in ["items", "additionalProperties"].iter().filter_map(|key| fields.get(*key)) {
            walk(inner, &format!("{path}[]"));
        }
    }
    walk(&schema(), "");
}

#[test]
fn a_status_is_written_as_the_schema_says() {
    let status = Status {
        observed_generation: Some(3),
        conditions: vec![image_check_policy::Condition {
            type_: "Ready".into(),
            reason: "Understood".into(),
            ..Default::default()
        }],
    };
    let written = serde_json::to_value(status).unwrap();
    assert_eq!(refuses(&schema()["properties"]["status"], &written), None, "{written}");
}

#[test]
fn crds_prints_the_definition_as_yaml() {
    let out = Command::new(env!("CARGO_BIN_EXE_pullproof")).arg("crds").output().unwrap();
    assert!(out.status.success());
    let text = String::from_utf8(out.stdout).unwrap();
    let parsed = yaml::parse(&text);
    assert!(parsed.errors.is_empty());
    assert_eq!(parsed.documents.len(), 1);
    assert_eq!(parsed.documents[0].root().to_json(), image_check_policy::definition());
    let definition = image_check_policy::definition();
    assert_eq!(definition["metadata"]["name"], "imagecheckpolicies.pullproof.dev");
    assert_eq!(definition["spec"]["scope"], "Cluster");
    assert_eq!(definition["spec"]["names"]["shortNames"], json!(["icheck"]));
    assert_eq!(definition["spec"]["versions"][0]["subresources"], json!({"status": {}}));
}

#[test]
fn the_chart_installs_the_same_definition() {
    let file =
        concat!(env!("CARGO_MANIFEST_DIR"), "/charts/pullproof/crds/imagecheckpolicies.yaml");
    let parsed = yaml::parse(&std::fs::read_to_string(file).unwrap()).documents[0].root().to_json();
    assert_eq!(
        parsed,
        image_check_policy::definition(),
        "write it with: pullproof crds > charts/pullproof/crds/imagecheckpolicies.yaml"
    );
}
