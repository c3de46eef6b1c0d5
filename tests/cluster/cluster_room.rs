//! The definition of ImageCheckPolicy, and what is read from a cluster, with a real API server.

use std::process::Command;
use std::time::{Duration, Instant};

use pullproof::cluster::{Options, Policies, Secrets};
use pullproof::image::usage::Workload;
use pullproof::policy::ImageCheckPolicy;
use serde_json::{Value, json};

use crate::support::{Cluster, until};

fn crds() -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_pullproof")).arg("crds").output().unwrap();
    assert!(out.status.success());
    String::from_utf8(out.stdout).unwrap()
}

fn policy(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "pullproof.dev/v1alpha1", "kind": "ImageCheckPolicy", "metadata": {"name": name}, "spec": spec})
}

async fn connect(cluster: &Cluster, user: Option<&str>) -> pullproof::cluster::Cluster {
    let kubeconfig = user.map_or_else(|| cluster.kubeconfig(), |user| cluster.kubeconfig_of(user));
    let options = Options { kubeconfig: Some(kubeconfig), context: None };
    pullproof::cluster::Cluster::connect(&options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_definition_is_taken_and_refuses_what_the_parser_refuses() {
    let cluster = Cluster::start();
    let (policies, work) = Policies::watch(&connect(&cluster, None).await);
    let work = tokio::spawn(work);
    until("no kind, no policies", async || policies.is_ready().then_some(())).await;
    assert!(policies.seen().warning.unwrap().contains("not installed"));
    cluster.apply(&crds());
    let established = "--for=condition=Established";
    cluster
        .kubectl(&["wait", established, "--timeout=60s", "crd/imagecheckpolicies.pullproof.dev"])
        .expect_ok();
    let takes = |spec: &Value| {
        cluster.kubectl_with(
            &["create", "--dry-run=server", "-f", "-"],
            &policy("p", spec).to_string(),
        )
    };
    let parses = |spec: &Value| ImageCheckPolicy::from_value(&policy("p", spec)).is_ok();
    let selector = |operator: &str, values: Value| json!({"match": {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": operator, "values": values}]}}});
    let full = json!({
        "match": {
            "namespaces": ["prod-*"], "images": ["ghcr.io/acme/**"],
            "namespaceSelector": {"matchLabels": {"team": "red"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]},
            "exclude": {"namespaces": ["x"], "images": ["y"], "serviceAccounts": ["z"]},
        },
        "action": "Deny", "causes": [{"id": "latest-tag", "action": "Deny"}], "inconclusive": "Warn",
        "enforceOn": ["Workload", "BarePod", "OwnedPod"],
        "requirePlatforms": ["linux/amd64", "linux/arm/v7", "windows(10.0.20348)/amd64"],
        "registries": {"allow": ["ghcr.io", "registry.internal:5000"]}, "pin": true,
        "pullSecrets": [{"registry": "ghcr.io/acme", "secret": "ghcr-pull.v2"}],
    });
    for good in
        [json!({}), full.clone(), selector("In", json!(["b"])), selector("Exists", json!([]))]
    {
        assert!(parses(&good), "{good}");
        takes(&good).expect_ok();
    }
    for bad in [
        json!({"actoin": "Deny"}),
        json!({"action": "deny"}),
        json!({"match": {"images": [""]}}),
        json!({"causes": [{"id": "tag-not-foud", "action": "Deny"}]}),
        json!({"causes": [{"id": "timeout", "action": "Deny"}]}),
        json!({"causes": [{"id": "unpinned", "action": "Deny"}, {"id": "unpinned", "action": "Warn"}]}),
        json!({"requirePlatforms": ["linux"]}),
        json!({"requirePlatforms": ["linux/amd64/"]}),
        json!({"requirePlatforms": ["https://x/y"]}),
        json!({"registries": {"allow": [""]}}),
        json!({"pullSecrets": [{"registry": "", "secret": "s"}]}),
        json!({"pullSecrets": [{"registry": "r", "secret": "../s"}]}),
        json!({"pullSecrets": [{"registry": "r", "secret": "S"}]}),
        selector("In", json!([])),
        selector("Exists", json!(["b"])),
    ] {
        assert!(!parses(&bad), "the parser takes {bad}");
        let said = takes(&bad);
        assert!(!said.ok, "the API server takes {bad}");
    }
    cluster.apply(&policy("b", &full).to_string());
    cluster.apply(&policy("a", &json!({"action": "Warn"})).to_string());
    let names = || policies.now().iter().map(|it| it.name.clone()).collect::<Vec<_>>();
    until("both policies", async || (names() == ["a", "b"]).then_some(())).await;
    assert_eq!(policies.seen().warning, None);
    let shown = cluster.kubectl(&["get", "icheck"]).expect_ok();
    assert!(shown.contains("ACTION") && shown.contains("Deny"), "{shown}");
    let stored = cluster.kubectl(&["get", "icheck", "a", "-o", "json"]).expect_ok();
    let stored: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(stored["spec"], json!({"action": "Warn"}), "nothing is written into it");
    cluster.kubectl(&["delete", "icheck", "b"]).expect_ok();
    until("one policy", async || (names() == ["a"]).then_some(())).await;
    work.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_read_with_the_right_to_get_it_by_name_and_not_without() {
    let cluster = Cluster::shared();
    let namespace = cluster.namespace("logins").await;
    let user = format!("system:serviceaccount:{namespace}:reader");
    let create = [
        "create",
        "secret",
        "docker-registry",
        "pull",
        "-n",
        &namespace,
        "--docker-server=ghcr.io",
        "--docker-username=robot",
        "--docker-password=s3cret",
    ];
    cluster.kubectl(&create).expect_ok();
    let pod = |name: &str| Workload { pull_secrets: vec![name.into()], ..Workload::default() };
    let soon = || Instant::now() + Duration::from_secs(30);
    let secrets = Secrets::new(&connect(cluster, Some(&user)).await);
    let login = secrets.login(&namespace, &pod("pull"), soon()).await;
    assert_eq!(login.known.unread, ["secret pull"]);
    assert!(login.known.rights_missing[0].contains("get on secrets"), "{:?}", login.known);
    cluster.apply(&format!(
        r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: reader, namespace: {namespace}}}
rules: [{{apiGroups: [""], resources: [secrets], resourceNames: [pull], verbs: [get]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: reader, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}}
subjects: [{{kind: ServiceAccount, name: reader, namespace: {namespace}}}]
"#
    ));
    until("the secret is read", async || {
        let login = secrets.login(&namespace, &pod("pull"), soon()).await;
        let found = login.keyring.lookup("ghcr.io/acme/web").candidates;
        found.iter().any(|it| it.credential.user() == "robot").then_some(())
    })
    .await;
    // Another name is another right.
    let login = secrets.login(&namespace, &pod("other"), soon()).await;
    assert!(login.known.missing.is_empty() && !login.known.rights_missing.is_empty());
    // Who may get all, hears that it is not there.
    let all = Secrets::new(&connect(cluster, None).await);
    let login = all.login(&namespace, &pod("other"), soon()).await;
    assert_eq!(login.known.missing.len(), 1, "{:?}", login.known);
}
