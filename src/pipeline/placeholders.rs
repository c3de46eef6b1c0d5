//! Placeholders in built-in kinds as results of their own: no image and nothing to ask, a rule of
//! hygiene that policies act on. Equal texts are one result.

use std::collections::BTreeMap;

use super::questions::{Group, Task};
use crate::diagnosis::{Cause, Diagnosis, Listed, Outcome, Reason, without_asking};
use crate::image::ImageUse;
use crate::manifest::placeholder;

/// The groups of what was found.
pub(super) fn groups(found: Vec<ImageUse>) -> impl Iterator<Item = Group> {
    let mut by_text: BTreeMap<String, Vec<ImageUse>> = BTreeMap::new();
    for it in found {
        by_text.entry(it.text.clone()).or_default().push(it);
    }
    by_text.into_values().map(|uses| {
        let path = uses.first().map(|it| it.site.path.as_str()).unwrap_or_default();
        let text = uses.first().map(|it| it.text.as_str()).unwrap_or_default();
        let known = Box::new(diagnosis(placeholder::text(path, text)));
        Group { uses, task: Task::Known(known), wanted: BTreeMap::new() }
    })
}

fn diagnosis(text: String) -> Diagnosis {
    let cause = Cause::UnresolvedPlaceholder;
    let outcome = Outcome::Inconclusive { reason: Reason::NotAsked };
    Diagnosis {
        findings: vec![Listed { cause, text: text.clone() }],
        advice: cause.cure().iter().map(|cure| (*cure).to_owned()).collect(),
        is_placeholder: true,
        ..without_asking(outcome, text, "not filled in")
    }
}
