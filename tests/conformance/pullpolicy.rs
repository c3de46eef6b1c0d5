//! The policy after the API server's defaulting.

use serde_json::Value;

use super::{Case, cases};
use pullproof::image::PullPolicy;
use pullproof::image::pull_policy::effective;

pub fn pullpolicy(table: &Value) -> Vec<String> {
    cases(table).iter().flat_map(compare).collect()
}

fn compare(value: &Value) -> Vec<String> {
    let mut case = Case::new(value);
    case.only(&["id", "kind", "image", "explicit", "effective", "why", "source"]);
    let explicit = value["explicit"].as_str().map(PullPolicy::parse);
    match (value["image"].as_str(), explicit) {
        (Some(image), None) => case.field("effective", effective(image, None).id()),
        (Some(image), Some(Some(policy))) => {
            case.field("effective", effective(image, Some(policy)).id());
        }
        _ => case.fail("no image, or a policy that does not exist"),
    }
    case.failures
}
