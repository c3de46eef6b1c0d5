//! `diagnose POD` and `auth check`: the Pod, its events and its logins come from the cluster.

use serde_json::{Value, json};

use super::secrets::secret;
use super::stub::{ApiServer, Fault};
use crate::cli::sandbox::{Run, Sandbox};
use crate::support::{Config, FakeRegistry};

const POD: &str = "/api/v1/namespaces/shop/pods/web-1";

fn pod(image: &str) -> Value {
    let message = format!("Back-off pulling image \"{image}\"");
    json!({
        "metadata": {"name": "web-1", "namespace": "shop"},
        "spec": {"imagePullSecrets": [{"name": "pull"}], "containers": [{"name": "main", "image": image}]},
        "status": {"phase": "Pending", "containerStatuses": [
            {"name": "main", "image": image, "state": {"waiting": {"reason": "ImagePullBackOff", "message": message}}},
        ]},
    })
}

fn event(image: &str) -> Value {
    let message = format!(
        "Failed to pull image \"{image}\": rpc error: code = NotFound desc = failed to pull and unpack image \"{image}\": failed to resolve image: {image}: not found"
    );
    json!({"type": "Warning", "reason": "Failed", "message": message, "involvedObject": {"kind": "Pod", "name": "web-1", "namespace": "shop", "fieldPath": "spec.containers{main}"}})
}

async fn diagnose(api: &ApiServer, arguments: &[&str]) -> Run {
    let config = api.kubeconfig().display().to_string();
    let mut all = vec!["diagnose".to_owned(), "--kubeconfig".to_owned(), config];
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let run = tokio::task::spawn_blocking(move || Sandbox::new().run(&all)).await.unwrap();
    assert!(!run.stdout.contains("canary") && !run.stderr.contains("canary"), "{run:?}");
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_of_the_cluster_is_read_with_its_events() {
    let api = ApiServer::start().await;
    let image = "registry.test/app:1";
    api.put(POD, pod(image));
    api.list("/api/v1/namespaces/shop/events", vec![event(image)]);
    for name in ["web-1", "pod/web-1"] {
        let run = diagnose(&api, &[name, "-o", "json"]).await.exits(0);
        assert!(run.stdout.contains("tag-not-found") || run.stdout.contains("absent"), "{run:?}");
    }
    let asked = api.requests();
    let events = asked.iter().find(|it| it.contains("/events?")).unwrap();
    assert!(events.contains("involvedObject.name%3Dweb-1"), "{events}");
    // Without the right to list events the Pod still tells.
    api.fail("/api/v1/namespaces/shop/events", Fault::Status(403));
    let run = diagnose(&api, &["web-1"]).await.exits(0);
    assert!(run.stdout.contains("registry.test/app:1"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_is_asked_with_the_login_of_the_pod() {
    let api = ApiServer::start().await;
    let registry = FakeRegistry::start(Config::basic().user("robot", "canary-password")).await;
    registry.push_image("app", "1", "linux/amd64");
    let image = format!("{}/app:1", registry.host());
    api.put(POD, pod(&image));
    api.put("/api/v1/namespaces/shop/secrets/pull", secret(registry.host(), "canary-password"));
    let run = diagnose(&api, &["web-1", "--ask", "-o", "json"]).await.exits(0);
    let told: Value = serde_json::from_str(&run.stdout).unwrap();
    let asked = told.to_string();
    assert!(asked.contains("\"pullable\""), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_can_not_be_read_is_told_apart() {
    let api = ApiServer::start().await;
    let run = diagnose(&api, &["web-1"]).await.exits(2);
    assert!(run.stderr.contains("Pod shop/web-1: it does not exist"), "{run:?}");
    api.fail("/api/v1/namespaces/bank", Fault::Status(403));
    let run = diagnose(&api, &["web-1", "-n", "bank"]).await.exits(2);
    assert!(run.stderr.contains("get on pods in namespace bank"), "{run:?}");
    let before = api.requests().len();
    for name in ["../x", "web 1", "WEB"] {
        diagnose(&api, &[name]).await.exits(2);
    }
    assert_eq!(api.requests().len(), before);
    let run = tokio::task::spawn_blocking(|| Sandbox::new().run(["diagnose", "web-1"])).await;
    let run = run.unwrap().exits(2);
    assert!(run.stderr.contains("no file web-1"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_logins_of_an_account_are_checked() {
    let api = ApiServer::start().await;
    let registry = FakeRegistry::start(Config::basic().user("robot", "canary-password")).await;
    registry.push_image("app", "1", "linux/amd64");
    let image = format!("{}/app:1", registry.host());
    let path = |name: &str| format!("/api/v1/namespaces/shop/secrets/{name}");
    api.put(&path("good"), secret(registry.host(), "canary-password"));
    api.put(&path("bad"), secret(registry.host(), "canary-wrong"));
    let account = json!({"imagePullSecrets": [{"name": "good"}]});
    api.put("/api/v1/namespaces/shop/serviceaccounts/robot", account);
    let check = async |arguments: &[&str]| {
        let config = api.kubeconfig().display().to_string();
        let mut all: Vec<String> =
            ["auth", "check", &image, "--from-cluster", "--kubeconfig", &config]
                .map(str::to_owned)
                .to_vec();
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let run = tokio::task::spawn_blocking(move || Sandbox::new().run(&all)).await.unwrap();
        assert!(!run.stdout.contains("canary") && !run.stderr.contains("canary"), "{run:?}");
        run
    };
    let run = check(&["--service-account", "robot"]).await.exits(0);
    assert!(run.stdout.contains("secret shop/good"), "{run:?}");
    let run = check(&["--pull-secret", "bad", "--pull-secret", "gone"]).await.exits(1);
    assert!(run.stdout.contains("secret shop/bad"), "{run:?}");
    assert!(run.stderr.contains("secret shop/gone does not exist"), "{run:?}");
    api.fail("/api", Fault::Status(403));
    let run = check(&["--service-account", "robot"]).await;
    assert!(run.stderr.contains("get on serviceaccounts in namespace shop"), "{run:?}");
}
