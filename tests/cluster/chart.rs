//! The Helm chart on a real API server: what it applies is valid, and its conditions spare what they
//! say. Nothing answers the webhook here, so that in a strict namespace every call is a refusal, and
//! everywhere else the request passes.

use std::path::Path;
use std::process::Command;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Cluster, Said, assets, pki, until};

const STRICT: &str = "failed calling webhook \"strict.validate.pullproof.dev\"";

/// `helm VERB pullproof CHART` with these values.
fn helm(cluster: &Cluster, verb: &str, values: &[&str]) {
    let home = TempDir::new().unwrap();
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/pullproof");
    let mut command = Command::new(assets::program("helm"));
    for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(name, home.path());
    }
    command.env("KUBECONFIG", cluster.kubeconfig()).args([verb, "pullproof"]).arg(chart);
    command.args(["--namespace", "pullproof"]);
    if verb == "install" {
        command.arg("--create-namespace");
    }
    for value in values {
        command.args(["--set-json", value]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn containers(image: &str) -> Value {
    json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": image}], "restartPolicy": "Always"}})
}

fn named(kind: &str, api_version: &str, name: &str, rest: Value) -> String {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    for (key, value) in rest.as_object().unwrap() {
        object[key] = value.clone();
    }
    object.to_string()
}

fn pod(name: &str) -> String {
    named("Pod", "v1", name, json!({"spec": containers("example.com/app:1")["spec"]}))
}

fn job() -> Value {
    let mut template = containers("example.com/app:1");
    template["spec"]["restartPolicy"] = json!("Never");
    json!({"template": template})
}

/// A ReplicaSet or a Job that somebody owns.
fn owned(kind: &str, owner: &Value) -> String {
    let (api_version, spec) = match kind {
        "Job" => ("batch/v1", job()),
        _ => (
            "apps/v1",
            json!({"selector": {"matchLabels": {"a": "b"}}, "template": containers("example.com/app:1")}),
        ),
    };
    let metadata = json!({"name": "owned", "ownerReferences": [owner]});
    json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}).to_string()
}

fn owner(api_version: &str, kind: &str, controller: bool) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "name": "d", "uid": "0", "controller": controller})
}

#[track_caller]
fn is_called(said: Said) {
    let refused = said.expect_refused();
    assert!(refused.contains(STRICT), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_asks_about_images_and_spares_the_rest() {
    let cluster = Cluster::start();
    let strict = cluster.namespace("strict").await;
    let open = cluster.namespace("open").await;
    let template = containers("example.com/app:1");
    let selector = json!({"matchLabels": {"a": "b"}});
    for object in [
        pod("p"),
        named(
            "Deployment",
            "apps/v1",
            "d",
            json!({"spec": {"selector": selector, "template": template}}),
        ),
        named(
            "CronJob",
            "batch/v1",
            "j",
            json!({"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": job()}}}),
        ),
        named("PodTemplate", "v1", "t", json!({"template": template})),
    ] {
        cluster.create(&strict, &object, false).expect_ok();
    }

    let here = format!("strictNamespaces=[\"{strict}\"]");
    helm(&cluster, "install", &[&here]);
    let refused = async || (!cluster.create(&strict, &pod("new"), true).ok).then_some(());
    until("the webhook is called", refused).await;

    // The definition that the chart brings takes the ready-made policies.
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    cluster.kubectl(&["apply", "-f", policies.to_str().unwrap()]).expect_ok();

    let kubectl = |line: &str| {
        let words: Vec<&str> = line.split(' ').chain(["-n", &strict]).collect();
        cluster.kubectl(&words)
    };
    for line in [
        "label pod p x=y",
        "label deployment d x=y",
        "label cronjob j x=y",
        "label podtemplate t x=y",
        r#"patch deployment d -p {"spec":{"replicas":3}}"#,
        r#"patch cronjob j -p {"spec":{"suspend":true}}"#,
    ] {
        kubectl(line).expect_ok();
    }
    for line in [
        "set image pod/p c=example.com/app:2",
        "set image deployment/d c=example.com/app:2",
        "set image cronjob/j c=example.com/app:2",
        r#"patch podtemplate t -p {"template":{"spec":{"containers":[{"name":"c","image":"a:2"}]}}}"#,
        "debug p --image=example.com/app:2 -c debug",
    ] {
        is_called(kubectl(line));
    }

    let create = |object: &str| cluster.create(&strict, object, true);
    create(&owned("ReplicaSet", &owner("apps/v1", "Deployment", true))).expect_ok();
    create(&owned("Job", &owner("batch/v1", "CronJob", true))).expect_ok();
    is_called(create(&owned("ReplicaSet", &owner("apps/v1", "Deployment", false))));
    is_called(create(&owned("ReplicaSet", &owner("argoproj.io/v1", "Rollout", true))));
    is_called(create(&owned("Job", &owner("apps/v1", "Deployment", true))));

    // Where it fails open, and in its own namespace, it being down stops nobody.
    cluster.create(&open, &pod("p"), false).expect_ok();
    kubectl("delete pod p --wait=false").expect_ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_keeps_the_ca_bundle_and_the_off_switch_works() {
    let cluster = Cluster::start();
    let strict = cluster.namespace("strict").await;
    let here = format!("strictNamespaces=[\"{strict}\"]");
    helm(&cluster, "install", &[&here]);
    let object = ["validatingwebhookconfiguration", "pullproof"];
    let field = |path: &str| {
        let path = format!("jsonpath={{{path}}}");
        cluster.kubectl(&["get", object[0], object[1], "-o", &path]).expect_ok()
    };
    // As the controller writes it.
    let bundle = STANDARD.encode(pki::Authority::new().pem());
    let patch =
        json!([{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": bundle}]);
    let patch = patch.to_string();
    cluster.kubectl(&["patch", object[0], object[1], "--type=json", "-p", &patch]).expect_ok();
    helm(&cluster, "upgrade", &[&here, "webhook.timeoutSeconds=7"]);
    assert_eq!(field(".webhooks[0].timeoutSeconds"), "7");
    assert_eq!(field(".webhooks[0].clientConfig.caBundle"), bundle);

    let refused = async || (!cluster.create(&strict, &pod("p"), true).ok).then_some(());
    until("the webhook is called", refused).await;
    let both = "validatingwebhookconfiguration,mutatingwebhookconfiguration";
    cluster.kubectl(&["delete", both, "-l", "app.kubernetes.io/instance=pullproof"]).expect_ok();
    until("nobody is asked", async || cluster.create(&strict, &pod("p"), true).ok.then_some(()))
        .await;
    helm(&cluster, "upgrade", &[&here]);
    assert_eq!(field(".webhooks[0].name"), "validate.pullproof.dev");
}
