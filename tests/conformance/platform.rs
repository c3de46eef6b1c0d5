//! The manifest that a node takes from an image, by each way of choosing.

use serde_json::{Value, json};

use super::{Case, cases};
use pullproof::image::platform::{Choice, Content, Entry, Platform, Runtime, choose, runs};

const KNOWN: &[&str] = &[
    "id",
    "node",
    "kind",
    "manifests",
    "config_platform",
    "media_type",
    "chosen",
    "error",
    "chosen_transfer",
    "error_transfer",
    "chosen_crio",
    "runs",
    "why",
    "source",
];
const SCHEMA_1: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];
const MANIFESTS: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
];
const INDEXES: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
];

pub fn platform(table: &Value) -> Vec<String> {
    cases(table).iter().flat_map(compare).collect()
}

fn compare(value: &Value) -> Vec<String> {
    let mut case = Case::new(value);
    case.only(KNOWN);
    let Some(node) = read_platform(&value["node"]) else {
        case.fail("no node");
        return case.failures;
    };
    let image = content(value, None);
    let ask = |runtime| outcome(&choose(runtime, &node, &image));
    let (chosen, error) = ask(Runtime::ContainerdLocal);
    case.field("chosen", chosen);
    case.field("error", error);
    let (chosen, error) = ask(Runtime::ContainerdTransfer);
    case.field("chosen_transfer", chosen);
    case.field("error_transfer", error);
    case.field_if_there("chosen_crio", ask(Runtime::Crio).0);
    if let Content::Manifest { config } = &image {
        case.field_if_there("runs", config.as_ref().map(|config| runs(&node, config)));
    } else if value.get("runs").is_some() {
        case.field("runs", Value::Null);
    }
    case.failures
}

/// What a case or one of its entries stands for; an entry's config says what its descriptor says
/// unless the case tells otherwise.
fn content(value: &Value, described: Option<&Platform>) -> Content {
    match value["media_type"].as_str() {
        Some(kind) if SCHEMA_1.contains(&kind) => return Content::Schema1,
        Some(kind) if !MANIFESTS.contains(&kind) && !INDEXES.contains(&kind) => {
            return Content::Other;
        }
        _ => {}
    }
    match value["manifests"].as_array() {
        Some(entries) => Content::Index(entries.iter().map(entry).collect()),
        None => {
            let config = read_platform(&value["config_platform"]).or_else(|| described.cloned());
            Content::Manifest { config: Some(config.unwrap_or_default()) }
        }
    }
}

fn entry(value: &Value) -> Entry {
    let platform = read_platform(&value["platform"]);
    Entry { content: content(value, platform.as_ref()), platform }
}

fn read_platform(value: &Value) -> Option<Platform> {
    serde_json::from_value(value.clone()).ok()
}

/// The path and the error as the table writes them: `self`, a position, or `0/1` for nested ones.
fn outcome(choice: &Choice) -> (Value, Value) {
    match choice {
        Choice::Chosen(path) => match path[..] {
            [] => (json!("self"), Value::Null),
            [at] => (json!(at), Value::Null),
            _ => (
                json!(path.iter().map(usize::to_string).collect::<Vec<_>>().join("/")),
                Value::Null,
            ),
        },
        Choice::Refused(refusal) => (Value::Null, json!(refusal.id())),
        open => (json!(format!("{open:?}")), Value::Null),
    }
}
