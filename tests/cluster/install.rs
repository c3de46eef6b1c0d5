//! The chart on a real node: the controller makes the certificates, the API server trusts them, and a
//! Pod whose image is missing is refused. Everything fails open, so a refusal proves the whole chain.

use std::path::Path;

use crate::support::node::{Node, REGISTRY};
use crate::support::{assets, until};

const NAMESPACE: &str = "pullproof-system";

fn values() -> String {
    serde_json::json!({
        "image": {"repository": format!("{REGISTRY}/pullproof"), "tag": "test"},
        "registries": format!("[registry.\"{REGISTRY}\"]\nplain_http = true\n"),
    })
    .to_string()
}

fn file(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
}

fn pod(image: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{generateName: p-}}, spec: {{containers: [\
         {{name: c, image: '{REGISTRY}/{image}'}}], terminationGracePeriodSeconds: 0}}}}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_installed_chart_refuses_a_pod_whose_image_is_missing() {
    let node = Node::shared();
    node.push_pullproof("test");
    node.push(REGISTRY, "shop", "1");
    let helm = assets::program("helm").display().to_string();
    let chart = file("charts/pullproof");
    let install = [
        &helm,
        "install",
        "pullproof",
        &chart,
        "--namespace",
        NAMESPACE,
        "--create-namespace",
        "--values",
        "-",
        "--wait",
        "--timeout",
        "180s",
    ];
    let said = node.inside(&install, &values());
    if !said.ok {
        let pods = node.kubectl(&["get", "pods,events", "-n", NAMESPACE, "-o", "wide"], "");
        let selector = "app.kubernetes.io/name=pullproof";
        let logs = node.kubectl(&["logs", "-n", NAMESPACE, "-l", selector, "--tail=20"], "");
        panic!("{}\n{}\n{}{}", said.errors, pods.out, logs.out, logs.errors);
    }
    node.kubectl(&["apply", "-f", &file("policies/deny-missing.yaml")], "").expect_ok();
    node.kubectl(&["create", "namespace", "shop"], "").expect_ok();
    let create = |image: &str| {
        node.kubectl(&["create", "-n", "shop", "--dry-run=server", "-f", "-"], &pod(image))
    };
    let refusal = until("a refusal", async || {
        let said = create("shop:absent");
        (!said.ok).then_some(said.errors)
    })
    .await;
    assert!(refusal.contains("denied the request"), "{refusal}");
    assert!(refusal.contains("shop:absent"), "{refusal}");
    create("shop:1").expect_ok();
    let accepted = "jsonpath={.status.conditions[?(@.type==\"Accepted\")].status}";
    let said = node.kubectl(&["get", "icheck", "deny-missing", "-o", accepted], "");
    assert_eq!(said.expect_ok(), "True");
}
