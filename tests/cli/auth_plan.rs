//! `auth plan`: `pullproof.auth.v1`, and every case of the keyring table run through the program.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::manifests::docker_config;
use super::sandbox::Sandbox;
use crate::conformance;

#[test]
fn every_case_of_the_keyring_table_comes_out_of_the_program() {
    let table = conformance::read("keyring").unwrap();
    let failures: Vec<String> = conformance::cases(&table).iter().flat_map(check).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn check(case: &Value) -> Vec<String> {
    let plan = planned(case);
    let mut failures = Vec::new();
    let mut same = |what: &str, got: Value, wanted: Value| {
        if got != wanted {
            failures.push(format!("{}: {what} is {got}, not {wanted}", case["id"]));
        }
    };
    same("lookup", plan["lookup"].clone(), case.get("lookup").cloned().unwrap_or_default());
    if let Some(error) = case["error"].as_str() {
        let told = plan["error"].as_str().unwrap_or_default();
        let class = if told.starts_with("keyring: ") { "keyring" } else { told };
        same("error", json!(class.starts_with(error)), json!(true));
        same("candidates", plan["candidates"].clone(), json!([]));
        return failures;
    }
    same("error", plan["error"].clone(), Value::Null);
    same("order", plan["order"].clone(), case["order"].clone());
    let (mut got, mut wanted) = (users(&plan), expected(case));
    if case["order"] == "undefined" {
        got.sort();
        wanted.sort();
    }
    same("candidates", json!(got), json!(wanted));
    failures
}

/// Runs the case's secrets, as a list of Secrets, and its node file through the program.
fn planned(case: &Value) -> Value {
    let sandbox = Sandbox::new();
    let secrets = case["secrets"].as_array().into_iter().flatten().enumerate();
    let items: Vec<Value> = secrets.map(|(at, secret)| as_manifest(at, secret)).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    sandbox.write("secrets.json", list.to_string());
    let mut arguments = vec!["auth", "plan", "-o", "json", "--secrets", "secrets.json"];
    if let Some(node) = case.get("node_config").filter(|node| !node.is_null()) {
        sandbox.write("node.json", text(node));
        arguments.extend(["--node-config", "node.json"]);
    }
    arguments.extend(["--", case["image"].as_str().unwrap_or_default()]);
    sandbox.run(arguments).exits(0).json()
}

fn as_manifest(at: usize, secret: &Value) -> Value {
    let data = secret["data"].as_object().into_iter().flatten();
    let data: Map<String, Value> =
        data.map(|(key, value)| (key.clone(), json!(STANDARD.encode(text(value))))).collect();
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": secret["type"],
        "metadata": {"name": format!("secret-{at}"), "namespace": "shop"}, "data": data,
    })
}

/// Text as it is; anything else stands for its JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn users(plan: &Value) -> Vec<String> {
    let candidates = plan["candidates"].as_array().unwrap().iter();
    candidates.map(|it| it["user"].as_str().unwrap().to_owned()).collect()
}

/// The users of the table's `user:password`.
fn expected(case: &Value) -> Vec<String> {
    let listed = case["expected"].as_array().into_iter().flatten().filter_map(Value::as_str);
    listed.map(|it| it.split(':').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn auth_plan_json_is_what_the_schema_says() {
    let sandbox = Sandbox::new();
    let entry = |name: &str, user: &str| {
        let document = STANDARD.encode(docker_config("https://r.io/v1/", user, "pw"));
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: shop}}\n\
             type: kubernetes.io/dockerconfigjson\ndata: {{.dockerconfigjson: {document}}}\n"
        )
    };
    sandbox.write("secrets.yaml", entry("one", "a") + &entry("two", "b"));
    let node = sandbox.write("node.json", docker_config("r.io", "node", "pw"));
    let arguments =
        ["auth", "plan", "r.io/app:1", "--secrets", "secrets.yaml", "--node-config", "node.json"];
    let run = sandbox.run(arguments.iter().chain(&["-o", "json"])).exits(0);
    assert_eq!(
        run.json(),
        json!({
            "schema": "pullproof.auth.v1", "image": "r.io/app:1", "lookup": "r.io/app", "error": null,
            "order": "fixed",
            "candidates": [
                {"user": "a", "source": "secret shop/one", "key": "https://r.io/v1/"},
                {"user": "b", "source": "secret shop/two", "key": "https://r.io/v1/"},
                {"user": "node", "source": "node config node.json", "key": "r.io"},
            ],
        })
    );
    let text = sandbox.run(arguments).exits(0).stdout;
    assert!(text.contains("1. a from secret shop/one, key https://r.io/v1/"), "{text}");
    std::fs::remove_file(node).unwrap();
    sandbox.run(arguments).exits(2);
}

#[test]
fn auth_plan_tells_an_image_that_is_none_and_a_node_file_that_is_broken() {
    let sandbox = Sandbox::with("node.json", "{");
    let run = sandbox.run(["auth", "plan", "Bad/Image", "-o", "json"]).exits(0);
    let expected = json!({
        "schema": "pullproof.auth.v1", "image": "Bad/Image", "lookup": null,
        "error": "image: uppercase: the repository name must be lower case", "order": "fixed", "candidates": [],
    });
    assert_eq!(run.json(), expected);
    let run = sandbox.run(["auth", "plan", "r.io/a", "--node-config", "node.json"]).exits(0);
    assert!(run.stderr.starts_with("note: a kubelet would go on without node.json: "), "{run:?}");
    assert!(run.stdout.contains("one anonymous pull"), "{run:?}");
}
