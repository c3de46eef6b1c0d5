//! The keyring table: candidates, their order and failures against `credential::Keyring`.

use pullproof::credential::{Candidate, DockerConfig, Keyring, Order, PullSecret};
use pullproof::image::Reference;
use serde_json::Value;

/// One line for each case that differs.
pub fn check(table: &Value) -> Vec<String> {
    let cases = table["cases"].as_array().expect("the table has cases");
    cases.iter().filter_map(|case| check_case(case).err()).collect()
}

/// The name a keyring is asked for, or the class of error of an image that is none.
fn lookup_name(case: &Value) -> Result<String, String> {
    let image = case["image"].as_str().unwrap_or_default();
    match Reference::parse(image) {
        Ok(reference) => Ok(reference.keyring_lookup().to_owned()),
        Err(error) => Err(format!("image: {}", error.id())),
    }
}

fn check_case(case: &Value) -> Result<(), String> {
    let id = case["id"].as_str().expect("an id");
    let fail = |what: &str, expected: &dyn std::fmt::Debug, got: &dyn std::fmt::Debug| {
        Err(format!("{id}: {what}: expected {expected:?}, got {got:?}"))
    };
    let found = lookup(case);
    if let Some(expected) = case["error"].as_str() {
        return match found {
            Err(error) if error == expected => Ok(()),
            other => fail("error", &expected, &other),
        };
    }
    if let Some(name) = case["lookup"].as_str()
        && lookup_name(case).as_deref() != Ok(name)
    {
        return fail("lookup", &name, &lookup_name(case));
    }
    let mut expected: Vec<_> = case["expected"].as_array().expect("expected").iter().collect();
    let (mut got, order) = found.map_err(|error| format!("{id}: failed with {error}"))?;
    if case["order"] != order {
        return fail("order", &case["order"], &order);
    }
    if order == "undefined" {
        expected.sort_by_key(|v| v.as_str());
        got.sort();
    }
    if expected != got.iter().map(String::as_str).collect::<Vec<_>>() {
        return fail("expected", &expected, &got);
    }
    Ok(())
}

fn lookup(case: &Value) -> Result<(Vec<String>, &'static str), String> {
    let name = lookup_name(case)?;
    let secrets: Vec<_> = case["secrets"].as_array().into_iter().flatten().map(secret).collect();
    // A kubelet goes on without a node file that it cannot read.
    let node = case.get("node_config").filter(|n| !n.is_null());
    let node = node.and_then(|n| DockerConfig::node("config.json", &bytes(n)).ok());
    let keyring = Keyring::new(&secrets, node.as_ref()).map_err(|_| "keyring".to_owned())?;
    let found = keyring.lookup(&name);
    let order = match found.order {
        Order::Fixed => "fixed",
        Order::Undefined => "undefined",
    };
    Ok((found.candidates.iter().map(shown).collect(), order))
}

fn secret(value: &Value) -> PullSecret {
    let data = value["data"].as_object().into_iter().flatten();
    PullSecret {
        namespace: String::new(),
        name: "secret".to_owned(),
        secret_type: value["type"].as_str().unwrap_or_default().to_owned(),
        data: data.map(|(key, value)| (key.clone(), bytes(value))).collect(),
    }
}

/// Text as it is; anything else stands for its JSON.
fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        Value::Null => Vec::new(),
        other => other.to_string().into_bytes(),
    }
}

/// `user:password`; a stray byte shows as one U+FFFD, as in the table.
fn shown(candidate: &Candidate) -> String {
    let credential = &candidate.credential;
    let text = [credential.user_bytes(), b":", credential.password_bytes()].concat();
    let mut out = String::new();
    for chunk in text.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| '\u{fffd}'));
    }
    out
}
