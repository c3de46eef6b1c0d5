//! The values: a typo is refused, each is known to the schema and explained in the chart's README.

use std::process::Command;

use pullproof::manifest::yaml;
use serde_json::Value;

use super::helm::{chart, helm, kinds_of_install, read, render_file, try_render};

#[test]
fn lint_has_nothing_to_say() {
    for file in kinds_of_install() {
        let chart = chart();
        let arguments = ["lint", "--strict", "--quiet", chart.to_str().unwrap(), "--values"];
        let output = helm(&[&arguments, &[file.to_str().unwrap()][..]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}: {text}", file.display());
    }
}

#[test]
fn typos_and_wrong_values_are_refused() {
    for (value, said) in [
        ("serve.replica=3", "replica"),
        ("failurePolicy=\"Fail\"", "failurePolicy"),
        ("webhook.failurePolicy=\"Fail\"", "failurePolicy"),
        ("serve.replicas=0", "replicas"),
        ("serve.answerDetail=\"short\"", "answerDetail"),
        ("serve.platforms=[\"amd64\"]", "platforms"),
        ("webhook.timeoutSeconds=31", "timeoutSeconds"),
        ("webhook.excludeNamespaces=[\"prod-*\"]", "excludeNamespaces"),
        ("webhook.namespaceSelector.matchLabel={}", "matchLabel"),
        ("strictNamespaces=\"payments\"", "strictNamespaces"),
        ("certificates.mode=\"self\"", "mode"),
        ("certificates.caBundle=\"LS0t\"", "caBundle"),
        ("secrets.access=\"all\"", "access"),
        ("image.digest=\"sha256:1\"", "digest"),
        ("networkPolicy.registryPorts=[\"https\"]", "registryPorts"),
        ("networkPolicy.webhookFrom=[\"10.0.0.1\"]", "webhookFrom"),
        ("registryCertificates={\"registries.toml\":\"x\"}", "registries.toml"),
        ("metrics.serviceMonitor.on=true", "on"),
        ("priorityClass.value=2000000000", "value"),
    ] {
        let refused = try_render(&["--set-json", value]);
        let error = refused.expect_err(value);
        assert!(error.contains("schema") && error.contains(said), "{value}: {error}");
    }
    let refused = try_render(&["--set", "secrets.access=namespaces"]).unwrap_err();
    assert!(refused.contains("needs secrets.namespaces"), "{refused}");
}

#[test]
fn the_definition_is_what_the_program_prints() {
    let output = Command::new(env!("CARGO_BIN_EXE_pullproof")).arg("crds").output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let same = read("crds/imagecheckpolicies.yaml") == printed;
    assert!(same, "pullproof crds > charts/pullproof/crds/imagecheckpolicies.yaml");
}

fn default_values() -> Value {
    let text = read("values.yaml");
    let parsed = yaml::parse(&text);
    parsed.documents[0].root().to_json()
}

/// Paths of all values that have no further structure in the schema.
fn leaves(schema: &Value, path: &str, found: &mut Vec<String>) {
    match schema["properties"].as_object() {
        Some(properties) => {
            assert_eq!(schema["additionalProperties"], false, "{path} takes anything");
            for (name, property) in properties {
                let dot = if path.is_empty() { "" } else { "." };
                leaves(property, &format!("{path}{dot}{name}"), found);
            }
        }
        None => found.push(path.to_owned()),
    }
}

fn all_values() -> Vec<String> {
    let schema = serde_json::from_str(&read("values.schema.json")).unwrap();
    let mut found = Vec::new();
    leaves(&schema, "", &mut found);
    // Helm's own, for charts that hold this one.
    found.retain(|path| path != "global");
    found
}

#[test]
fn every_value_has_a_default_and_a_line_in_the_readme() {
    let (values, readme) = (default_values(), read("README.md"));
    for path in all_values() {
        let pointer = format!("/{}", path.replace('.', "/"));
        let optional = path.contains(".issuerRef.");
        assert!(optional || values.pointer(&pointer).is_some(), "{path} is not in values.yaml");
        assert!(optional || readme.contains(&format!("`{path}`")), "README.md lacks `{path}`");
    }
}

#[test]
fn the_readme_names_no_value_that_is_not_there() {
    let values = default_values();
    let readme = read("README.md");
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let mut rows = rows.map(|(path, _)| path).peekable();
    assert!(rows.peek().is_some());
    for path in rows {
        let pointer = format!("/{}", path.replace('.', "/"));
        assert!(values.pointer(&pointer).is_some(), "README.md explains {path}");
    }
}

#[test]
fn every_object_is_labelled_and_lies_where_it_should() {
    for file in kinds_of_install() {
        for object in render_file(&file) {
            let kind = object["kind"].as_str().unwrap();
            if kind == "CustomResourceDefinition" {
                continue;
            }
            let metadata = &object["metadata"];
            assert_eq!(metadata["labels"]["app.kubernetes.io/instance"], "check", "{metadata}");
            let everywhere = ["ClusterRole", "ClusterRoleBinding", "PriorityClass"];
            let is_cluster_wide =
                everywhere.contains(&kind) || kind.ends_with("WebhookConfiguration");
            assert_eq!(metadata.get("namespace").is_none(), is_cluster_wide, "{metadata}");
        }
    }
}
