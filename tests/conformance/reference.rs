//! Parsing, normal form and the strings derived from it.

use serde_json::{Value, json};

use super::{Case, cases};
use pullproof::image::Reference;
use pullproof::image::reference::{apiserver_pod, apiserver_template};

const ALWAYS: &[&str] =
    &["id", "input", "valid", "apiserver_pod", "apiserver_template", "why", "source"];
const VALID: &[&str] = &[
    "registry",
    "repository",
    "tag",
    "digest",
    "familiar",
    "pull_ref",
    "cri_image",
    "keyring_lookup",
    "containerd_ok",
    "endpoint_host",
];

pub fn reference(table: &Value) -> Vec<String> {
    cases(table).iter().flat_map(compare).collect()
}

fn compare(value: &Value) -> Vec<String> {
    let mut case = Case::new(value);
    let Some(input) = value["input"].as_str() else {
        case.fail("no input");
        return case.failures;
    };
    case.only(&[ALWAYS, VALID, &["error"]].concat());
    case.field("apiserver_pod", apiserver_pod(input).id());
    case.field("apiserver_template", apiserver_template(input).id());
    let parsed = Reference::parse(input);
    case.field("valid", parsed.is_ok());
    match parsed {
        Ok(reference) => valid(&mut case, &reference, input),
        Err(error) => case.field("error", error.id()),
    }
    case.failures
}

fn valid(case: &mut Case<'_>, reference: &Reference, input: &str) {
    case.field("error", Value::Null);
    let parts = json!(reference.parts());
    for name in ["registry", "repository", "tag", "digest"] {
        case.field(name, parts[name].clone());
    }
    case.field("familiar", reference.familiar());
    case.field("pull_ref", reference.pull_ref());
    case.field("cri_image", reference.cri_image());
    case.field("keyring_lookup", reference.keyring_lookup());
    case.field("containerd_ok", reference.containerd_ok());
    case.field("endpoint_host", reference.endpoint_host());
    if reference.text() != input {
        case.fail(format!("text is {:?}", reference.text()));
    }
}
