//! The harness itself: what the other tests of this folder build on.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;

use crate::support::{Answer, Cluster, Hook, until};

const POD: &str = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
  "spec": {"containers": [{"name": "c", "image": "example.com/app:1"}]}}"#;

#[tokio::test]
async fn a_pod_is_created_in_a_namespace_of_its_own() {
    let cluster = Cluster::shared();
    let namespace = cluster.namespace("self-test").await;
    cluster.create(&namespace, POD, false).expect_ok();
    let pods = Api::<Pod>::namespaced(cluster.client().await, &namespace);
    let pod = pods.get("p").await.unwrap();
    assert_eq!(pod.spec.unwrap().service_account_name.as_deref(), Some("default"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_calls_a_webhook_that_is_registered() {
    let cluster = Cluster::shared();
    let namespace = cluster.namespace("hook").await;
    let hook = Hook::start(Answer::Deny("not today")).await;
    cluster.register("self-test", &namespace, &hook.url, &hook.authority_pem);
    let said = until("the webhook is called", async || {
        let said = cluster.create(&namespace, POD, true);
        (!said.ok).then_some(said)
    })
    .await;
    assert!(said.errors.contains("denied the request: not today"), "{}", said.errors);
    let seen = &hook.seen()[0];
    assert_eq!(seen.path, "mutate");
    assert_eq!(seen.request["dryRun"], true);
    assert_eq!(seen.request["object"]["metadata"]["namespace"], namespace.as_str());
    let elsewhere = cluster.namespace("elsewhere").await;
    cluster.create(&elsewhere, POD, true).expect_ok();
}

#[tokio::test]
async fn a_user_without_rights_is_refused() {
    let cluster = Cluster::shared();
    let kubeconfig = cluster.kubeconfig_of("system:serviceaccount:nowhere:nobody");
    let client = Cluster::client_of(&kubeconfig).await;
    let error = Api::<Pod>::all(client).list(&Default::default()).await.unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.code == 403));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_makes_pods_where_controllers_run() {
    let cluster = Cluster::shared();
    cluster.run_controllers();
    let namespace = cluster.namespace("deployment").await;
    let deployment = r#"{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
      "spec": {"selector": {"matchLabels": {"app": "d"}}, "template": {
        "metadata": {"labels": {"app": "d"}},
        "spec": {"containers": [{"name": "c", "image": "example.com/app:1"}]}}}}"#;
    cluster.create(&namespace, deployment, false).expect_ok();
    let pods = Api::<Pod>::namespaced(cluster.client().await, &namespace);
    until("a Pod of the Deployment", async || {
        pods.list(&Default::default()).await.unwrap().items.pop()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_its_own_ends_with_its_owner() {
    let cluster = Cluster::start();
    let kubeconfig = cluster.kubeconfig();
    let client = cluster.client().await;
    client.apiserver_version().await.unwrap();
    drop(cluster);
    assert!(client.apiserver_version().await.is_err());
    assert!(!kubeconfig.exists());
}
