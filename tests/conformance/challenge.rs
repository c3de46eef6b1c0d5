//! The challenge table: every field of every case against `registry::challenge`.

use pullproof::registry::challenge::{self, Challenge, Scheme, Use};
use serde_json::{Map, Value, json};

/// One line for each field that differs.
pub fn check(table: &Value) -> Vec<String> {
    let cases = table["cases"].as_array().expect("the table has cases");
    cases.iter().flat_map(check_case).collect()
}

fn check_case(case: &Value) -> Vec<String> {
    let headers: Vec<_> = case["headers"].as_array().expect("headers").iter().map(text).collect();
    let challenges = challenge::parse(&headers);
    let mut seen = shown_use(&challenge::choose(&challenges));
    seen.insert("parsed".to_owned(), challenges.iter().map(shown).collect());
    if let ("basic", Some(error)) = (text(&seen["use"]), basic_error(&challenges)) {
        // The retry rule is Bearer's; where a table names the error of another scheme it is this.
        if case.get("challenge_error").is_some() {
            seen.insert("challenge_error".to_owned(), error.into());
        }
    }
    let fields = ["parsed", "use", "realm", "service", "scopes", "token_error", "challenge_error"];
    let id = text(&case["id"]);
    let differs = fields.into_iter().filter(|f| case.get(f) != seen.get(*f));
    differs
        .map(|f| format!("{id}: {f}: expected {:?}, got {:?}", case.get(f), seen.get(f)))
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn basic_error(challenges: &[Challenge]) -> Option<String> {
    let basic = challenges.iter().find(|c| c.scheme == Scheme::Basic)?;
    basic.parameters.get("error").cloned()
}

fn shown(challenge: &Challenge) -> Value {
    let scheme = match challenge.scheme {
        Scheme::Basic => "basic",
        Scheme::Digest => "digest",
        Scheme::Bearer => "bearer",
    };
    json!({"scheme": scheme, "params": challenge.parameters})
}

fn shown_use(chosen: &Use) -> Map<String, Value> {
    let (mut shown, error) = match chosen {
        Use::Bearer(b) => (
            json!({"use": "bearer", "realm": b.realm, "service": b.service, "scopes": b.scopes}),
            b.error.clone(),
        ),
        Use::BearerUnusable { reason, error } => {
            (json!({"use": "bearer", "token_error": reason.to_string()}), error.clone())
        }
        Use::Basic { .. } => (json!({"use": "basic"}), None),
        Use::None => (json!({"use": "none"}), None),
    };
    if let Some(error) = error {
        shown["challenge_error"] = error.into();
    }
    shown.as_object().expect("an object").clone()
}
