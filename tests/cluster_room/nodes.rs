//! Nodes as they come and go: a watch that is cut, that is too old, that repeats itself.

use pullproof::cluster::Nodes;
use serde_json::{Value, json};

use super::stub::{ApiServer, Fault, connect, eventually};

const NODES: &str = "/api/v1/nodes";

fn node(name: &str, arch: &str, version: u64) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "uid": name, "resourceVersion": version.to_string(), "labels": {"kubernetes.io/arch": arch}, "annotations": {"large": "x".repeat(1000)}},
        "spec": {"taints": [{"key": "gpu", "effect": "NoSchedule"}], "unschedulable": version == 99},
        "status": {
            "nodeInfo": {"operatingSystem": "linux", "architecture": arch, "containerRuntimeVersion": "containerd://2.1.4",
                "machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": "", "osImage": "", "kubeletVersion": "", "kubeProxyVersion": ""},
            "images": [{"names": ["ghcr.io/acme/web:1", "ghcr.io/acme/web@sha256:00"], "sizeBytes": 1}],
        },
    })
}

fn names(nodes: &Nodes) -> Vec<String> {
    nodes.now().iter().map(|node| format!("{}:{}", node.name, node.architecture)).collect()
}

async fn become_(nodes: &Nodes, expected: &[&str]) {
    eventually(|| names(nodes) == expected, &format!("the nodes are not {expected:?}")).await;
}

#[tokio::test]
async fn f40_nodes_are_kept_as_they_are_now() {
    let api = ApiServer::start().await;
    api.list(NODES, vec![node("a", "amd64", 1), node("b", "arm64", 1)]);
    let (nodes, work) = Nodes::watch(&api.cluster().await);
    assert!(!nodes.is_ready() && nodes.now().is_empty());
    let work = tokio::spawn(work);
    become_(&nodes, &["a:amd64", "b:arm64"]).await;
    assert!(nodes.is_ready());
    let first = nodes.now();
    assert_eq!(first[0].runtime, "containerd://2.1.4");
    assert_eq!(first[0].taints[0].key, "gpu");
    assert!(first[0].images.contains("ghcr.io/acme/web:1"));

    // Twice, out of order, and of what is not known: the last word counts.
    api.watched(NODES).await;
    api.send(NODES, "ADDED", node("c", "s390x", 5));
    api.send(NODES, "ADDED", node("c", "s390x", 5));
    api.send(NODES, "DELETED", node("nobody", "amd64", 6));
    api.send(NODES, "DELETED", node("a", "amd64", 7));
    api.send(NODES, "DELETED", node("a", "amd64", 7));
    api.send(NODES, "MODIFIED", node("b", "amd64", 99));
    become_(&nodes, &["b:amd64", "c:s390x"]).await;
    eventually(|| nodes.now()[0].unschedulable, "b is not cordoned").await;

    // Too old: everything is listed again.
    api.list(NODES, vec![node("d", "amd64", 20)]);
    let gone = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old resource version"});
    api.send(NODES, "ERROR", gone);
    become_(&nodes, &["d:amd64"]).await;

    // Cut: the watch goes on.
    api.watched(NODES).await;
    api.cut(NODES);
    api.watched(NODES).await;
    api.send(NODES, "ADDED", node("e", "arm64", 21));
    become_(&nodes, &["d:amd64", "e:arm64"]).await;
    work.abort();
}

#[tokio::test]
async fn an_api_server_that_goes_and_comes_back_is_followed_again() {
    let api = ApiServer::start().await;
    let host = api.stop().await;
    let (nodes, work) = Nodes::watch(&connect(&host).await);
    let work = tokio::spawn(work);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert!(!nodes.is_ready());
    let back = ApiServer::start_at(&host).await;
    back.list(NODES, vec![node("a", "amd64", 1)]);
    back.fail(NODES, Fault::Status(503));
    let started = std::time::Instant::now();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    back.mend();
    become_(&nodes, &["a:amd64"]).await;
    assert!(started.elapsed().as_secs() < 15, "{:?}", started.elapsed());
    work.abort();
}

#[tokio::test]
async fn a_large_cluster_is_listed_page_by_page() {
    let api = ApiServer::start().await;
    let many: Vec<Value> = (0..1200).map(|nth| node(&format!("n{nth:04}"), "amd64", 1)).collect();
    api.list(NODES, many);
    let cluster = api.cluster().await;
    let (nodes, work) = Nodes::watch(&cluster);
    let work = tokio::spawn(work);
    eventually(|| nodes.now().len() == 1200, "not all nodes").await;
    assert!(api.requests()[0].contains("limit=500"), "{:?}", api.requests()[0]);
    assert_eq!(cluster.nodes().await.unwrap().len(), 1200);
    work.abort();
}

#[tokio::test]
async fn without_the_right_to_read_nodes_there_are_none_to_wait_for() {
    let api = ApiServer::start().await;
    api.fail(NODES, Fault::Status(403));
    let (nodes, work) = Nodes::watch(&api.cluster().await);
    let work = tokio::spawn(work);
    eventually(|| nodes.is_ready(), "never ready").await;
    assert!(nodes.now().is_empty());
    api.list(NODES, vec![node("a", "amd64", 1)]);
    api.mend();
    become_(&nodes, &["a:amd64"]).await;
    work.abort();
}
