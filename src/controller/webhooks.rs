//! Webhook configurations as they are read: whether the webhooks that call our Service trust our
//! authority, and what else is not as it should be. Plain functions over the objects' JSON, so that
//! fields newer than this program survive a write.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Names of changed fields that are told.
const TOLD: usize = 8;

/// The two kinds of configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Mutating,
    Validating,
}

impl Kind {
    pub const BOTH: [Kind; 2] = [Kind::Mutating, Kind::Validating];

    /// The name in metrics.
    pub fn id(self) -> &'static str {
        match self {
            Kind::Mutating => "mutating",
            Kind::Validating => "validating",
        }
    }

    /// The kind of the object.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Mutating => "MutatingWebhookConfiguration",
            Kind::Validating => "ValidatingWebhookConfiguration",
        }
    }
}

/// What is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Drift {
    /// There is no such configuration: nothing is reviewed.
    Missing,
    /// None of its webhooks calls our Service.
    Elsewhere,
    /// A webhook of ours has no rule: it is never called.
    NoRules,
    /// The caBundle was not ours; it is written again.
    Bundle,
}

impl Drift {
    pub const ALL: [Drift; 4] = [Drift::Missing, Drift::Elsewhere, Drift::NoRules, Drift::Bundle];

    /// The name in metrics.
    pub fn id(self) -> &'static str {
        match self {
            Drift::Missing => "missing",
            Drift::Elsewhere => "elsewhere",
            Drift::NoRules => "no-rules",
            Drift::Bundle => "ca-bundle",
        }
    }

    /// What it means, for a log and an Event.
    pub fn text(self) -> &'static str {
        match self {
            Drift::Missing => "the configuration is not there: no Pod is reviewed through it",
            Drift::Elsewhere => "no webhook of it calls pullproof's Service",
            Drift::NoRules => {
                "a webhook that calls pullproof's Service has no rules: it is never called"
            }
            Drift::Bundle => "a caBundle was not pullproof's and was written again",
        }
    }
}

/// Whom the webhooks should call.
#[derive(Debug, Clone)]
pub struct Target {
    pub namespace: String,
    pub service: String,
}

/// What is not right in a configuration, apart from being there.
pub fn drifts(configuration: &Value, target: &Target) -> Vec<Drift> {
    let mut ours = webhooks(configuration).filter(|webhook| calls(webhook, target)).peekable();
    if ours.peek().is_none() {
        return vec![Drift::Elsewhere];
    }
    let is_empty = |webhook: &Value| webhook["rules"].as_array().is_none_or(Vec::is_empty);
    if ours.any(is_empty) { vec![Drift::NoRules] } else { Vec::new() }
}

/// Writes the authorities into the webhooks that call our Service. `None`: they are there already;
/// else whether one of them had another bundle before.
pub fn set_bundle(configuration: &mut Value, target: &Target, authorities: &str) -> Option<bool> {
    let bundle = Value::String(STANDARD.encode(authorities));
    let mut changed = None;
    let webhooks = configuration.get_mut("webhooks").and_then(Value::as_array_mut)?;
    for webhook in webhooks.iter_mut().filter(|webhook| calls(webhook, target)) {
        let config = &mut webhook["clientConfig"];
        if config["caBundle"] == bundle {
            continue;
        }
        let had_another = config["caBundle"].as_str().is_some_and(|bundle| !bundle.is_empty());
        changed = Some(changed.unwrap_or(false) || had_another);
        config["caBundle"] = bundle.clone();
    }
    changed
}

/// The fields of the webhooks that differ, caBundles apart, some of them.
pub fn changes(before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(&before["webhooks"], &after["webhooks"], "webhooks", &mut found);
    found
}

fn compare(before: &Value, after: &Value, path: &str, found: &mut Vec<String>) {
    if before == after || found.len() >= TOLD || path.ends_with(".caBundle") {
        return;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                compare(
                    &before[key.as_str()],
                    &after[key.as_str()],
                    &format!("{path}.{key}"),
                    found,
                );
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (at, (old, new)) in old.iter().zip(new).enumerate() {
                compare(old, new, &format!("{path}[{at}]"), found);
            }
        }
        _ => found.push(crate::text::clean(path, 120)),
    }
}

fn webhooks(configuration: &Value) -> impl Iterator<Item = &Value> {
    configuration["webhooks"].as_array().into_iter().flatten()
}

fn calls(webhook: &Value, target: &Target) -> bool {
    let service = &webhook["clientConfig"]["service"];
    service["name"] == *target.service && service["namespace"] == *target.namespace
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn target() -> Target {
        Target { namespace: "checks".into(), service: "pullproof".into() }
    }

    fn webhook(service: &str) -> Value {
        json!({
            "name": "a.pullproof.dev",
            "clientConfig": {"service": {"name": service, "namespace": "checks", "path": "/validate"}},
            "rules": [{"operations": ["CREATE"]}], "failurePolicy": "Ignore", "newField": 1,
        })
    }

    #[test]
    fn a_bundle_is_written_into_our_webhooks_alone_and_once() {
        let mut read = json!({"webhooks": [webhook("pullproof"), webhook("other")]});
        assert_eq!(set_bundle(&mut read, &target(), "PEM"), Some(false));
        assert_eq!(read["webhooks"][0]["clientConfig"]["caBundle"], "UEVN");
        assert_eq!(read["webhooks"][0]["newField"], 1);
        assert_eq!(read["webhooks"][1], webhook("other"));
        assert_eq!(set_bundle(&mut read, &target(), "PEM"), None);
        assert_eq!(set_bundle(&mut read, &target(), "NEW"), Some(true));
        assert_eq!(set_bundle(&mut json!({}), &target(), "PEM"), None);
    }

    #[test]
    fn webhooks_that_call_nobody_of_ours_or_are_never_called_are_told() {
        let drift = |webhooks: Value| drifts(&json!({"webhooks": webhooks}), &target());
        assert_eq!(drift(json!([webhook("pullproof")])), []);
        assert_eq!(drift(json!([webhook("other")])), [Drift::Elsewhere]);
        assert_eq!(drift(Value::Null), [Drift::Elsewhere]);
        let mut idle = webhook("pullproof");
        idle["rules"] = json!([]);
        assert_eq!(drift(json!([webhook("pullproof"), idle])), [Drift::NoRules]);
    }

    #[test]
    fn changed_fields_are_named_without_their_values_and_bundles_do_not_count() {
        let before = json!({"webhooks": [webhook("pullproof")]});
        let mut after = before.clone();
        after["webhooks"][0]["clientConfig"]["caBundle"] = json!("x");
        assert_eq!(changes(&before, &after), Vec::<String>::new());
        after["webhooks"][0]["failurePolicy"] = json!("Fail");
        after["webhooks"][0]["rules"] = json!([]);
        assert_eq!(changes(&before, &after), ["webhooks[0].failurePolicy", "webhooks[0].rules"]);
        assert_eq!(changes(&before, &json!({})), ["webhooks"]);
    }
}
