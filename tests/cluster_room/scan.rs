//! `scan` against a cluster and a registry: what is asked about, with which login, and what is said.

use serde_json::{Value, json};

use super::secrets::secret;
use super::stub::{ApiServer, Fault, TOKEN};
use crate::cli::sandbox::{Run, Sandbox};
use crate::support::{Config, FakeRegistry};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/shop/deployments";
const PODS: &str = "/api/v1/namespaces/shop/pods";
const NODES: &str = "/api/v1/nodes";

fn meta(name: &str) -> Value {
    json!({"name": name, "namespace": "shop", "uid": name, "resourceVersion": "1", "managedFields": [{"manager": "x"}]})
}

fn pod_spec(image: &str) -> Value {
    json!({"containers": [{"name": "main", "image": image}]})
}

/// As in a list of the API server: without kind and version.
fn deployment(name: &str, spec: Value) -> Value {
    json!({"metadata": meta(name), "spec": {"template": {"spec": spec}}})
}

fn pod(name: &str, owner: Option<(&str, &str)>, image: &str) -> Value {
    let mut metadata = meta(name);
    if let Some((version, kind)) = owner {
        metadata["ownerReferences"] = json!([{"apiVersion": version, "kind": kind, "name": "o", "uid": "o", "controller": true}]);
    }
    json!({
        "metadata": metadata, "spec": pod_spec(image),
        "status": {"phase": "Running", "containerStatuses": [{"name": "main", "state": {"running": {}}}]},
    })
}

fn node(name: &str, arch: &str) -> Value {
    let info = json!({"operatingSystem": "linux", "architecture": arch, "containerRuntimeVersion": "containerd://1.7.0",
        "machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": "", "osImage": "", "kubeletVersion": "", "kubeProxyVersion": ""});
    json!({"metadata": {"name": name, "labels": {"kubernetes.io/arch": arch, "kubernetes.io/os": "linux"}}, "status": {"nodeInfo": info}})
}

async fn registry() -> FakeRegistry {
    let registry = FakeRegistry::start(Config::open()).await;
    registry.push_image("app", "1", "linux/amd64");
    registry
}

/// Runs `validate --from-cluster` on this manifest, in the same way.
async fn validate(api: &ApiServer, manifest: String, arguments: &[&str]) -> Run {
    let config = api.kubeconfig().display().to_string();
    let mut all: Vec<String> = [
        "validate",
        ".",
        "-o",
        "json",
        "--credentials",
        "pod",
        "--from-cluster",
        "--kubeconfig",
        &config,
    ]
    .map(str::to_owned)
    .to_vec();
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let run = move || Sandbox::with("app.yaml", manifest).run(&all);
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// Runs the program, which must not keep the servers of this runtime from answering.
async fn scan(api: &ApiServer, arguments: &[&str]) -> Run {
    let config = api.kubeconfig();
    let mut all = vec!["scan".to_owned(), "--kubeconfig".to_owned(), config.display().to_string()];
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let run = tokio::task::spawn_blocking(move || Sandbox::new().run(&all)).await.unwrap();
    for secret in [TOKEN, "canary-password"] {
        assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{run:?}");
    }
    run
}

fn report(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:?}"))
}

fn causes(report: &Value) -> Vec<String> {
    let of = |result: &Value| {
        let object = &result["uses"][0]["object"];
        format!(
            "{} {}: {}",
            object["kind"].as_str().unwrap(),
            object["name"].as_str().unwrap(),
            result["cause"].as_str().unwrap_or("pullable")
        )
    };
    report["results"].as_array().unwrap().iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_not_come_back_is_an_error_and_says_how_many_pods_run() {
    let (api, registry) = (ApiServer::start().await, registry().await);
    let (good, gone) =
        (format!("{}/app:1", registry.host()), format!("{}/app:gone", registry.host()));
    api.list(
        DEPLOYMENTS,
        vec![deployment("good", pod_spec(&good)), deployment("bad", pod_spec(&gone))],
    );
    let owner = Some(("apps/v1", "ReplicaSet"));
    api.list(
        PODS,
        vec![pod("bad-1", owner, &gone), pod("bad-2", owner, &gone), pod("good-1", owner, &good)],
    );
    api.list(NODES, vec![node("a", "amd64")]);
    let run = scan(&api, &["-o", "json"]).await;
    assert_eq!(run.code, 1, "{run:?}");
    let report = report(&run);
    let mut found = causes(&report);
    found.sort();
    assert_eq!(found, ["Deployment bad: tag-not-found", "Deployment good: pullable"]);
    let text = scan(&api, &[]).await.stdout;
    assert!(text.contains("2 Pods run with this image now"), "{text}");
    assert!(text.contains("Deployment shop/bad spec.template.spec.containers[0].image"), "{text}");
    let asked = api.requests();
    assert!(asked.iter().all(|path| path.starts_with("/api")), "{asked:?}");
    assert!(
        asked.iter().any(|path| path.starts_with("/apis/batch/v1/namespaces/shop/cronjobs?")),
        "{asked:?}"
    );
    assert!(
        !asked.iter().any(|path| path.split('?').next().unwrap().ends_with("/secrets")),
        "{asked:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_asked_with_the_logins_and_for_the_nodes_of_the_cluster() {
    let api = ApiServer::start().await;
    let registry = FakeRegistry::start(Config::basic().user("robot", "canary-password")).await;
    registry.push_image("app", "1", "linux/amd64");
    let image = format!("{}/app:1", registry.host());
    api.put("/api/v1/namespaces/shop/secrets/pull", secret(registry.host(), "canary-password"));
    let with_login = json!({"imagePullSecrets": [{"name": "pull"}], "containers": [{"name": "main", "image": image}]});
    let mut on_arm = with_login.clone();
    on_arm["nodeSelector"] = json!({"kubernetes.io/arch": "arm64"});
    let mut without = with_login.clone();
    without["imagePullSecrets"] = json!([{"name": "gone"}]);
    api.list(
        DEPLOYMENTS,
        vec![
            deployment("good", with_login),
            deployment("arm", on_arm),
            deployment("none", without),
        ],
    );
    api.list(NODES, vec![node("a", "amd64"), node("b", "arm64")]);
    let run = scan(&api, &["-o", "json"]).await;
    let report = report(&run);
    let mut found = causes(&report);
    found.sort();
    assert_eq!(
        found,
        [
            "Deployment arm: platform-wrong",
            "Deployment good: platform-partial",
            "Deployment none: secret-missing"
        ],
        "{run:?}"
    );
    let wanted: Vec<&Value> =
        report["results"].as_array().unwrap().iter().map(|it| &it["wanted"]).collect();
    assert!(wanted.iter().any(|it| it.as_array().unwrap().len() == 2), "{wanted:?}");
    assert!(wanted.iter().any(|it| it.as_array().unwrap().len() == 1), "{wanted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_named_and_denies_nothing() {
    let api = ApiServer::start().await;
    let registry = FakeRegistry::start(Config::basic()).await;
    registry.push_image("app", "1", "linux/amd64");
    let image = format!("{}/app:1", registry.host());
    let spec = json!({"imagePullSecrets": [{"name": "pull"}], "containers": [{"name": "main", "image": image}]});
    api.list(DEPLOYMENTS, vec![deployment("web", spec)]);
    api.fail("/api/v1/namespaces/shop/secrets", Fault::Status(403));
    api.fail(NODES, Fault::Status(403));
    api.fail("/apis/batch", Fault::Status(403));
    let run = scan(&api, &["-o", "json"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(causes(&report(&run)), ["Deployment web: no-permission"]);
    let text = scan(&api, &[]).await.stdout;
    for part in [
        "get on secrets in namespace shop",
        "the nodes are not known",
        "cronjobs could not be listed",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_of_the_cluster_judge_as_if_they_denied_or_as_they_stand() {
    let (api, registry) = (ApiServer::start().await, registry().await);
    let gone = format!("{}/app:gone", registry.host());
    api.list(DEPLOYMENTS, vec![deployment("bad", pod_spec(&gone))]);
    let warn = json!({"metadata": {"name": "soft"}, "spec": {"action": "Warn"}});
    let wrong = json!({"metadata": {"name": "wrong"}, "spec": {"actoin": "Warn"}});
    api.list("/apis/pullproof.dev/v1alpha1/imagecheckpolicies", vec![warn, wrong]);
    let run = scan(&api, &[]).await;
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stdout.contains("actoin"), "{run:?}");
    assert_eq!(scan(&api, &["--as-is"]).await.code, 0);
    api.list("/apis/pullproof.dev/v1alpha1/imagecheckpolicies", vec![json!({
        "metadata": {"name": "prod"},
        "spec": {"match": {"namespaceSelector": {"matchLabels": {"env": "prod"}}}, "causes": [{"id": "tag-not-found", "action": "Audit"}]},
    })]);
    api.list(
        "/api/v1/namespaces",
        vec![json!({"metadata": {"name": "shop", "labels": {"env": "prod"}}})],
    );
    assert_eq!(scan(&api, &[]).await.code, 0, "the policy of the namespace's labels");
    api.list(
        "/api/v1/namespaces",
        vec![json!({"metadata": {"name": "shop", "labels": {"env": "test"}}})],
    );
    assert_eq!(scan(&api, &[]).await.code, 1, "no policy of the namespace's labels");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_namespaces_are_one_list_each_and_nothing_is_misuse() {
    let (api, registry) = (ApiServer::start().await, registry().await);
    let good = format!("{}/app:1", registry.host());
    let many: Vec<Value> =
        (0..1100).map(|nth| deployment(&format!("d{nth}"), pod_spec(&good))).collect();
    api.list("/apis/apps/v1/deployments", many);
    let run = scan(&api, &["-A", "-o", "json"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(report(&run)["results"][0]["uses"].as_array().unwrap().len(), 1100);
    assert_eq!(api.asked("/apis/apps/v1/deployments"), 3, "pages of 500");
    let run = scan(&api, &["-n", "empty"]).await;
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("-A"), "{run:?}");
    api.fail("/", Fault::Status(403));
    let run = scan(&api, &["-A"]).await;
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("list on deployments in all namespaces"), "{run:?}");
    let run = scan(&api, &["-n", "../x"]).await;
    assert_eq!(run.code, 2, "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_are_validated_with_the_secrets_of_the_cluster() {
    let api = ApiServer::start().await;
    let registry = FakeRegistry::start(Config::basic().user("robot", "canary-password")).await;
    registry.push_image("app", "1", "linux/amd64");
    let image = format!("{}/app:1", registry.host());
    let good = secret(registry.host(), "canary-password");
    let secrets = |namespace: &str| format!("/api/v1/namespaces/{namespace}/secrets/pull");
    let pod = |more: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: a{more}}}\nspec: {{imagePullSecrets: [{{name: pull}}], containers: [{{name: c, image: '{image}'}}]}}\n"
        )
    };
    api.list(NODES, vec![node("a", "amd64")]);
    // The namespace of the context is where an object without one lands.
    let run = validate(&api, pod(""), &[]).await;
    assert_eq!(causes(&report(&run)), ["Pod a: secret-missing"], "{run:?}");
    api.put(&secrets("shop"), good.clone());
    let run = validate(&api, pod(""), &[]).await;
    assert_eq!(causes(&report(&run)), ["Pod a: pullable"], "{run:?}");
    assert_eq!(report(&run)["results"][0]["wanted"], json!(["linux/amd64"]));
    // What stands in the files comes first.
    let in_files = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: pull}\ntype: Opaque\n";
    let run = validate(&api, pod("") + in_files, &[]).await;
    assert_eq!(causes(&report(&run)), ["Pod a: secret-invalid"], "{run:?}");
    let elsewhere = || pod(", namespace: bank");
    let run = validate(&api, elsewhere(), &[]).await;
    assert_eq!(causes(&report(&run)), ["Pod a: secret-missing"], "{run:?}");
    let run = validate(&api, elsewhere(), &["--pull-secret", "shop/pull"]).await;
    assert_eq!(causes(&report(&run)), ["Pod a: pullable"], "{run:?}");
    api.fail("/api/v1/namespaces/bank", Fault::Status(403));
    let run = validate(&api, elsewhere(), &[]).await;
    assert_eq!(causes(&report(&run)), ["Pod a: no-permission"], "{run:?}");
    assert_eq!(run.code, 0, "{run:?}");
    // A ServiceAccount that may not be read takes no secret with it that the person names.
    let without = elsewhere().replace("imagePullSecrets: [{name: pull}], ", "");
    let run = validate(&api, without, &["--pull-secret", "shop/pull"]).await;
    assert_eq!(causes(&report(&run)), ["Pod a: pullable"], "{run:?}");
    let run = Sandbox::new().run(["validate", ".", "-n", "shop"]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("--from-cluster"), "{run:?}");
}
