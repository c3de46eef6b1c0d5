//! The policies of a cluster, the wrong ones among them, and those of a folder.

use std::path::Path;

use pullproof::cluster::Policies;
use serde_json::{Value, json};

use super::stub::{ApiServer, Fault, eventually};

const ALL: &str = "/apis/pullproof.dev/v1alpha1/imagecheckpolicies";

fn policy(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "pullproof.dev/v1alpha1", "kind": "ImageCheckPolicy",
        "metadata": {"name": name, "uid": name, "resourceVersion": "1"}, "spec": spec,
    })
}

fn names(policies: &Policies) -> Vec<String> {
    policies.now().iter().map(|policy| policy.name.clone()).collect()
}

#[tokio::test]
async fn policies_are_in_order_of_name_and_a_wrong_one_takes_no_other_with_it() {
    let api = ApiServer::start().await;
    let wrong = policy("b", json!({"causes": [{"id": "no-such-cause", "action": "Deny"}]}));
    api.list(ALL, vec![policy("c", json!({"action": "Deny"})), wrong, policy("a", json!({}))]);
    let (policies, work) = Policies::watch(&api.cluster().await);
    assert!(!policies.is_ready());
    let work = tokio::spawn(work);
    eventually(|| policies.is_ready(), "never ready").await;
    assert_eq!(names(&policies), ["a", "c"]);
    let seen = policies.seen();
    assert_eq!(seen.invalid.len(), 1);
    assert_eq!(seen.invalid[0].name, "b");
    assert!(seen.invalid[0].reason.contains("no-such-cause"), "{:?}", seen.invalid);
    assert_eq!(seen.warning, None);

    api.watched(ALL).await;
    api.send(ALL, "MODIFIED", policy("b", json!({"action": "Warn"})));
    eventually(|| names(&policies) == ["a", "b", "c"], "b is not mended").await;
    assert!(policies.seen().invalid.is_empty());
    api.send(ALL, "MODIFIED", policy("a", json!({"actoin": "Warn"})));
    eventually(|| names(&policies) == ["b", "c"], "a is not left out").await;
    api.send(ALL, "DELETED", policy("c", json!({})));
    eventually(|| names(&policies) == ["b"], "c is not gone").await;
    work.abort();
}

/// A watch that repeats itself, brings old news after new ones, ends and is too old: the policies are
/// those of the last list and what came after it.
#[tokio::test]
async fn f40_policies_are_those_there_are_whatever_the_watch_goes_through() {
    let api = ApiServer::start().await;
    let of = |name: &str, action: &str| policy(name, json!({"action": action}));
    api.list(ALL, vec![of("a", "Deny"), of("b", "Warn")]);
    let (policies, work) = Policies::watch(&api.cluster().await);
    let work = tokio::spawn(work);
    eventually(|| names(&policies) == ["a", "b"], "not listed").await;
    let action = |name: &str| {
        let all = policies.now();
        let found = all.iter().find(|policy| policy.name == name);
        found.map(|policy| format!("{:?}", policy.spec.action)).unwrap_or_default()
    };

    api.watched(ALL).await;
    for _ in 0..3 {
        api.send(ALL, "ADDED", of("c", "Warn"));
        api.send(ALL, "DELETED", of("b", "Warn"));
        api.send(ALL, "DELETED", of("nobody", "Warn"));
    }
    // Deleted, and an older word on it afterwards; the next list has the truth.
    api.send(ALL, "DELETED", of("a", "Deny"));
    api.send(ALL, "MODIFIED", of("a", "Warn"));
    eventually(|| names(&policies) == ["a", "c"], "the watch is not followed").await;
    assert!(action("a").contains("Warn"), "{}", action("a"));

    let gone = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old resource version"});
    for round in 0..3 {
        let listed = format!("l{round}");
        api.list(ALL, vec![of("d", "Deny"), of(&listed, "Audit")]);
        api.send(ALL, "ERROR", gone.clone());
        eventually(|| names(&policies) == ["d", &listed], "not listed again").await;
        api.watched(ALL).await;
        api.cut(ALL);
        api.watched(ALL).await;
        api.send(ALL, "ADDED", of("e", "Warn"));
        eventually(|| names(&policies) == ["d", "e", &listed], "the cut watch is not followed")
            .await;
    }
    assert!(action("d").contains("Deny"), "{}", action("d"));

    // Refused as too old before it begins.
    api.list(ALL, vec![of("last", "Deny")]);
    api.fail(ALL, Fault::Status(410));
    api.cut(ALL);
    eventually(|| policies.seen().warning.is_some(), "the failure is not noticed").await;
    assert!(policies.is_ready() && names(&policies).len() == 3, "what is known goes on");
    api.mend();
    eventually(|| names(&policies) == ["last"], "not listed after the refusals").await;
    work.abort();
}

#[tokio::test]
async fn without_the_kind_there_are_no_policies_until_it_is_installed() {
    let api = ApiServer::start().await;
    let (policies, work) = Policies::watch(&api.cluster().await);
    let work = tokio::spawn(work);
    eventually(|| policies.is_ready(), "never ready").await;
    assert!(policies.now().is_empty());
    assert!(policies.seen().warning.unwrap().contains("not installed"));
    api.list(ALL, vec![policy("a", json!({}))]);
    eventually(|| names(&policies) == ["a"], "the kind is not noticed").await;
    assert_eq!(policies.seen().warning, None);
    work.abort();
}

#[tokio::test]
async fn an_api_server_that_fails_leaves_the_last_policies_and_is_not_ready_before_the_first() {
    let api = ApiServer::start().await;
    api.list(ALL, vec![policy("a", json!({}))]);
    api.fail(ALL, Fault::Status(403));
    let (policies, work) = Policies::watch(&api.cluster().await);
    let work = tokio::spawn(work);
    eventually(|| policies.seen().warning.is_some(), "no warning").await;
    assert!(!policies.is_ready());
    assert!(policies.seen().warning.unwrap().contains("list and watch"));
    api.mend();
    eventually(|| policies.is_ready(), "never ready").await;
    assert_eq!(names(&policies), ["a"]);
    api.watched(ALL).await;
    api.fail(ALL, Fault::Status(500));
    api.cut(ALL);
    eventually(|| policies.seen().warning.is_some(), "the failure is not noticed").await;
    assert!(policies.is_ready());
    assert_eq!(names(&policies), ["a"]);
    work.abort();
}

#[test]
fn a_folder_holds_policies_and_a_bad_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let text = |name: &str, spec: &str| {
        format!(
            "apiVersion: pullproof.dev/v1alpha1\nkind: ImageCheckPolicy\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        )
    };
    write("z.yaml", &format!("{}---\n{}", text("b", "{action: Deny}"), text("a", "{}")));
    write("c.json", &policy("c", json!({})).to_string());
    write("README.md", "{");
    let read = |path: &Path| Policies::from_dir(path);
    let policies = read(folder.path()).unwrap();
    assert_eq!(names(&policies), ["a", "b", "c"]);
    assert!(policies.is_ready());
    write("twice.yaml", &text("a", "{}"));
    assert!(read(folder.path()).unwrap_err().contains("a is there twice"));
    write("twice.yaml", &text("d", "{action: deny}"));
    let error = read(folder.path()).unwrap_err();
    assert!(error.contains("twice.yaml") && error.contains("deny"), "{error}");
    write("twice.yaml", "a: [");
    assert!(read(folder.path()).unwrap_err().contains("twice.yaml"));
    assert!(read(&folder.path().join("none")).unwrap_err().contains("none"));
}
