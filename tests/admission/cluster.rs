//! The webhook in a cluster: secrets, nodes and Events of an API server that may be slow, dead or
//! forbid everything.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::hook::{
    Answer, Hook, Setup, deployment, image, owned_pod, pod, registry, review, sent_to, with,
};
use super::injection::injecting;
use crate::cluster_room::stub::{ApiServer, Fault as StubFault};
use crate::support::{Config, FakeRegistry, Fault};

const NODES: &str = "/api/v1/nodes";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/shop/events";
pub const PASSWORD: &str = "canary-password-of-the-registry";

pub fn secret_path(name: &str) -> String {
    format!("/api/v1/namespaces/shop/secrets/{name}")
}

pub fn account_path(name: &str) -> String {
    format!("/api/v1/namespaces/shop/serviceaccounts/{name}")
}

pub fn secret(registry: &str, password: &str) -> Value {
    let auth = STANDARD.encode(format!("ci:{password}"));
    let config = json!({"auths": {registry: {"auth": auth}}}).to_string();
    json!({"kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": STANDARD.encode(config)}})
}

fn node(name: &str, runtime: &str, images: &[&str]) -> Value {
    json!({"apiVersion": "v1", "kind": "Node",
    "metadata": {"name": name, "uid": name, "resourceVersion": "1", "labels": {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}},
    "spec": {},
    "status": {
        "nodeInfo": {"operatingSystem": "linux", "architecture": "amd64", "containerRuntimeVersion": runtime,
            "machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": "", "osImage": "", "kubeletVersion": "", "kubeProxyVersion": ""},
        "images": [{"names": images, "sizeBytes": 1}],
    }})
}

/// An API server with one node and the default ServiceAccount.
pub async fn api() -> ApiServer {
    let api = ApiServer::start().await;
    api.list(NODES, vec![node("a", "containerd://2.0.0", &[])]);
    api.put(&account_path("default"), json!({"kind": "ServiceAccount"}));
    api
}

/// A registry whose `team/app:1` only `ci` may read.
pub async fn private() -> FakeRegistry {
    let config = Config::bearer().user("ci", PASSWORD).private("team/app", &["ci"]);
    let registry = FakeRegistry::start(config).await;
    registry.push_image("team/app", "1", "linux/amd64");
    registry
}

pub fn pod_with(image: &str, secrets: &[&str]) -> Value {
    let mut object = pod(&[image]);
    object["spec"]["imagePullSecrets"] = secrets.iter().map(|it| json!({"name": it})).collect();
    object
}

pub async fn judged(hook: &Hook, object: Value) -> Answer {
    let began = Instant::now();
    let answer = hook.validate(object).await;
    assert!(began.elapsed() < Duration::from_millis(4990), "{:?}", began.elapsed());
    assert!(!answer.0.to_string().contains(PASSWORD), "{answer:?}");
    answer
}

#[tokio::test]
async fn f39_the_pods_secret_is_used_and_a_rotated_or_deleted_one_counts_within_seconds() {
    let (api, registry) = (api().await, private().await);
    let name = image(&registry, "team/app:1");
    api.put(&secret_path("pull"), secret(registry.host(), "old"));
    let hook = Setup::of(&[registry.host()]).deny().start_in(&api).await;
    let refused = judged(&hook, pod_with(&name, &["pull"])).await;
    refused.denies("[policy strict, ");
    for part in ["refuses the login of secret shop/pull", "401"] {
        assert!(refused.message().contains(part), "{part} in {refused:?}");
    }
    // The account of a workload may be made after the workload; its Pods wait for it.
    let mut early = deployment(&name);
    early["spec"]["template"]["spec"]["serviceAccountName"] = json!("later");
    judged(&hook, early.clone()).await.warns("will probably not pull");
    let account = json!({"kind": "ServiceAccount", "imagePullSecrets": [{"name": "pull"}]});
    api.put(&account_path("later"), account);
    api.put(&secret_path("pull"), secret(registry.host(), PASSWORD));
    tokio::time::sleep(Duration::from_millis(5200)).await;
    judged(&hook, pod_with(&name, &["pull"])).await.silent();
    judged(&hook, early).await.silent();
    api.remove(&secret_path("pull"));
    tokio::time::sleep(Duration::from_millis(5200)).await;
    let gone = judged(&hook, pod_with(&name, &["pull"])).await;
    assert!(!gone.text().trim().is_empty(), "{gone:?}");
    assert_eq!(api.asked("/api/v1/namespaces/shop/secrets"), 0, "secrets are never listed");
}

/// Who is denied must find the login that was refused, wherever the Pod has it from.
#[tokio::test]
async fn a_denial_names_the_login_that_was_refused_and_the_secret_it_is_from() {
    let (api, registry) = (api().await, private().await);
    let name = image(&registry, "team/app:1");
    api.put(&secret_path("of-account"), secret(registry.host(), "wrong"));
    api.put(&secret_path("of-pod"), secret(registry.host(), "wrong too"));
    let account = json!({"kind": "ServiceAccount", "imagePullSecrets": [{"name": "of-account"}]});
    api.put(&account_path("robot"), account);
    let hook = Setup::of(&[registry.host()]).deny().start_in(&api).await;
    let by_account = |secrets: &[&str]| {
        let mut object = pod_with(&name, secrets);
        object["spec"]["serviceAccountName"] = json!("robot");
        object
    };
    for (object, source, other) in [
        (by_account(&[]), "of-account", "of-pod"),
        (by_account(&["of-pod"]), "of-pod", "of-account"),
    ] {
        let answer = judged(&hook, object).await;
        answer.denies("credentials-rejected");
        let text = answer.message();
        let named = format!("refuses the login of secret shop/{source}");
        assert!(text.contains(&named), "{named} in {text}");
        assert!(!text.contains(other) && !text.contains("wrong too"), "{text}");
    }
    // None at all is said, too.
    let answer = judged(&hook, pod(&[&name])).await;
    answer.denies("without login");
    assert!(!answer.message().contains("secret shop/"), "{answer:?}");
}

#[tokio::test]
async fn t50_only_the_namespace_of_the_request_is_looked_into() {
    let (api, registry) = (api().await, private().await);
    api.put(&secret_path("pull"), secret(registry.host(), PASSWORD));
    let hook = Setup::of(&[registry.host()]).deny().start_in(&api).await;
    let object = pod_with(&image(&registry, "team/app:1"), &["pull"]);
    for namespace in ["mine", "../shop", "shop/", "shop%2f", ""] {
        let answer = hook.send("validate", &sent_to(namespace, review(object.clone()))).await;
        assert!(!answer.text().trim().is_empty(), "{namespace}: {answer:?}");
        let foreign = with(review(object.clone()), "namespace", namespace).to_string();
        let response = hook.client.post(hook.url("validate")).body(foreign).send().await.unwrap();
        assert_eq!(response.status(), 400, "{namespace}");
    }
    hook.validate(object).await.silent();
    let elsewhere: Vec<String> = api
        .requests()
        .into_iter()
        .filter(|it| {
            it.contains("/secrets/")
                && !it.contains("/namespaces/shop/")
                && !it.contains("/namespaces/mine/")
        })
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}

#[tokio::test]
async fn f38_a_slow_or_forbidding_api_server_is_a_warning_in_time_and_no_denial() {
    let (api, registry) = (api().await, private().await);
    api.put(&secret_path("pull"), secret(registry.host(), PASSWORD));
    let hook = Setup::of(&[registry.host()]).deny().start_in(&api).await;
    let name = image(&registry, "team/app:1");
    api.fail("/api/v1/namespaces", StubFault::Status(403));
    let answer = judged(&hook, pod_with(&name, &["pull"])).await;
    answer.warns("could not tell");
    assert!(answer.text().contains("get") && answer.text().contains("secrets"), "{answer:?}");
    api.mend();
    api.put(&secret_path("slow"), secret(registry.host(), PASSWORD));
    let mut secrets = Vec::new();
    for (secret, fault) in [
        ("slow", StubFault::Delay(Duration::from_secs(4))),
        ("hung", StubFault::Delay(Duration::from_secs(10))),
        ("busy", StubFault::Status(429)),
        ("sick", StubFault::Status(500)),
        ("odd", StubFault::Garbage),
    ] {
        api.fail(&secret_path(secret), fault);
        secrets.push(secret);
    }
    let (hook, name) = (&hook, &name);
    let asked = secrets.into_iter().map(async |secret| {
        let answer = judged(hook, pod_with(name, &[secret])).await;
        // What came late may have come in time.
        let told = secret == "slow" || !answer.warnings().is_empty();
        assert!(answer.allowed() && told, "{secret}: {answer:?}");
    });
    futures_util::future::join_all(asked).await;
}

#[tokio::test]
async fn the_default_install_admits_everything_with_a_slow_api_server_and_says_why() {
    let (api, registry) = (api().await, private().await);
    let hook = Setup::of(&[registry.host()]).start_in(&api).await;
    api.put(&secret_path("pull"), secret(registry.host(), PASSWORD));
    api.fail("/api/v1/namespaces", StubFault::Delay(Duration::from_secs(20)));
    let name = image(&registry, "team/app:1");
    let with_secret = pod_with(&name, &["pull"]);
    let (hook, mut owned, mut workload) = (&hook, owned_pod(&name), deployment(&name));
    owned["spec"]["imagePullSecrets"] = json!([{"name": "pull"}]);
    workload["spec"]["template"]["spec"] = with_secret["spec"].clone();
    let asked = [with_secret, owned, workload].map(async |object| {
        judged(hook, object.clone()).await.warns("could not tell");
        hook.mutate(object).await.silent();
    });
    futures_util::future::join_all(asked).await;
}

#[tokio::test]
async fn f37_an_api_server_that_died_leaves_what_is_known_and_denies_nothing() {
    let (api, registry) = (api().await, private().await);
    let open = registry_open().await;
    api.put(&secret_path("pull"), secret(registry.host(), PASSWORD));
    let hook = Setup::of(&[registry.host(), open.host()]).deny().start_in(&api).await;
    let known = pod_with(&image(&registry, "team/app:1"), &["pull"]);
    judged(&hook, known.clone()).await.silent();
    api.stop().await;
    judged(&hook, known.clone()).await.silent();
    tokio::time::sleep(Duration::from_millis(5200)).await;
    judged(&hook, known).await.silent();
    let unknown = pod_with(&image(&registry, "team/app:1"), &["never-read"]);
    let answer = judged(&hook, unknown).await;
    assert!(answer.allowed() && !answer.warnings().is_empty(), "{answer:?}");
    judged(&hook, pod(&[&image(&open, "app:1")])).await.silent();
}

#[tokio::test]
async fn a_secret_that_was_rotated_while_the_api_server_is_gone_denies_nothing() {
    let (api, registry) = (api().await, private().await);
    api.put(&secret_path("pull"), secret(registry.host(), "wrong"));
    let hook = Setup::of(&[registry.host()]).deny().start_in(&api).await;
    let object = pod_with(&image(&registry, "team/app:1"), &["pull"]);
    judged(&hook, object.clone()).await.denies("team/app");
    api.stop().await;
    tokio::time::sleep(Duration::from_millis(5200)).await;
    judged(&hook, object).await.warns("credentials-rejected");
}

async fn registry_open() -> FakeRegistry {
    registry().await
}

#[tokio::test]
async fn an_owned_pod_whose_image_a_node_holds_is_warned_of_even_where_owned_pods_are_denied() {
    let (api, registry) = (api().await, registry().await);
    let gone = image(&registry, "app:gone");
    let spec = json!({"action": "Deny", "enforceOn": ["OwnedPod", "BarePod"]});
    let setup = || Setup::of(&[registry.host()]).policy("p", spec.clone());
    setup().start_in(&api).await.validate(owned_pod(&gone)).await.denies("app:gone");
    api.list(NODES, vec![node("a", "containerd://2.0.0", &[&gone])]);
    let hook = setup().start_in(&api).await;
    judged(&hook, owned_pod(&gone)).await.warns("app:gone");
    judged(&hook, pod(&[&gone])).await.denies("app:gone");
    let mut always = owned_pod(&gone);
    always["spec"]["containers"][0]["imagePullPolicy"] = json!("Always");
    judged(&hook, always).await.denies("app:gone");
}

/// CRI-O may look a short name up elsewhere.
#[tokio::test]
async fn the_runtimes_of_the_nodes_decide_whether_a_short_name_is_pinned() {
    let (api, registry) = (api().await, registry().await);
    let digest = registry.push_index("library/nginx", "1", &["linux/amd64".into()]);
    let setup = || {
        let mut setup = Setup::of(&["docker.io", "registry-1.docker.io"]).pin();
        let address = registry.host().parse().unwrap();
        setup.settings.addresses.insert("registry-1.docker.io".into(), address);
        setup
    };
    let object = pod(&["nginx:1"]);
    let hook = setup().start_in(&api).await;
    let applied = hook.mutate(object.clone()).await.applied(object.clone());
    assert_eq!(applied["spec"]["containers"][0]["image"], format!("nginx:1@{digest}"));
    let nodes = [node("a", "containerd://2.0.0", &[]), node("b", "cri-o://1.33.0", &[])];
    api.list(NODES, nodes.into());
    let hook = setup().start_in(&api).await;
    let before = registry.count();
    hook.mutate(object).await.silent();
    assert_eq!(registry.count(), before, "{:?}", registry.log());
    // Its registry is written out.
    let full = pod(&["docker.io/library/nginx:1"]);
    assert_eq!(hook.mutate(full).await.patch().len(), 3);
}

#[tokio::test]
async fn platforms_come_from_the_nodes() {
    let (api, registry) = (api().await, registry().await);
    registry.push_image("arm", "1", "linux/arm64");
    let hook = Setup::of(&[registry.host()]).deny().start_in(&api).await;
    judged(&hook, pod(&[&image(&registry, "app:1")])).await.silent();
    let answer = judged(&hook, pod(&[&image(&registry, "arm:1")])).await;
    answer.denies("linux/amd64");
}

#[tokio::test]
async fn what_one_policy_requires_is_not_denied_by_the_action_of_another() {
    let (api, registry) = (api().await, registry().await);
    registry.push_index("app", "amd", &["linux/amd64".into()]);
    registry.push_index("app", "arm", &["linux/arm64".into()]);
    let requiring = |action: &str| {
        let wish = json!({"action": action, "requirePlatforms": ["linux/amd64", "linux/arm64"]});
        Setup::of(&[registry.host()]).deny().policy("wide", wish)
    };
    let hook = requiring("Warn").start_in(&api).await;
    judged(&hook, pod(&[&image(&registry, "app:amd")])).await.warns("linux/arm64");
    // The nodes are all amd64, so that the action of the other policy counts.
    judged(&hook, pod(&[&image(&registry, "app:arm")])).await.denies("app:arm");
    let hook = requiring("Deny").start_in(&api).await;
    judged(&hook, pod(&[&image(&registry, "app:amd")])).await.denies("linux/arm64");
}

#[tokio::test]
async fn an_image_that_no_node_pulls_is_never_denied() {
    let (api, registry) = (api().await, registry().await);
    let causes = json!([{"id": "latest-tag", "action": "Deny"}, {"id": "registry-not-allowed", "action": "Deny"}]);
    let spec = json!({"causes": causes, "registries": {"allow": ["ghcr.io/*"]}});
    let hook = Setup::of(&[registry.host()]).policy("clean", spec).start_in(&api).await;
    let mut object = pod(&[&image(&registry, "app:latest")]);
    judged(&hook, object.clone()).await.denies("app:latest");
    object["spec"]["containers"][0]["imagePullPolicy"] = json!("Never");
    judged(&hook, object).await.warns("app:latest");
}

#[tokio::test]
async fn a_namespace_whose_labels_are_not_known_is_refused_nothing_and_changed_in_nothing() {
    const SHOP: &str = "/api/v1/namespaces/shop";
    let registry = registry().await;
    let selector = json!({"matchExpressions": [{"key": "free", "operator": "DoesNotExist"}]});
    let spec = json!({"match": {"namespaceSelector": selector}, "action": "Deny", "pin": true});
    let (gone, good) = (image(&registry, "app:gone"), image(&registry, "app:1"));
    let setup = || Setup::of(&[registry.host()]).policy("strict", spec.clone());
    let api = api().await;
    api.put(SHOP, json!({"kind": "Namespace", "metadata": {"name": "shop"}}));
    let hook = setup().start_in(&api).await;
    judged(&hook, pod(&[&gone])).await.denies("app:gone");
    assert!(!hook.mutate(pod(&[&good])).await.patch().is_empty());
    // Nobody can tell whether the namespace is free of the policy.
    api.fail(SHOP, StubFault::Status(500));
    let hook = setup().start_in(&api).await;
    judged(&hook, pod(&[&gone])).await.warns("app:gone");
    assert!(hook.mutate(pod(&[&good])).await.patch().is_empty());
    let hook = setup().start().await;
    judged(&hook, pod(&[&gone])).await.warns("app:gone");
}

/// Most Pods of most clusters: `/mutate` is called for each of them.
#[tokio::test]
async fn where_no_policy_changes_pods_mutate_asks_nobody_anything() {
    let (api, registry) = (api().await, private().await);
    api.put(&secret_path("pull"), secret(registry.host(), PASSWORD));
    let selector = json!({"matchLabels": {"team": "web"}});
    let spec = json!({"action": "Deny", "match": {"namespaceSelector": selector}});
    let hook = Setup::of(&[registry.host()]).policy("strict", spec).start_in(&api).await;
    let of_namespaces = || -> Vec<String> {
        let all = api.requests().into_iter();
        all.filter(|it| it.starts_with("/api/v1/namespaces/")).collect()
    };
    let object = pod_with(&image(&registry, "team/app:1"), &["pull"]);
    hook.mutate(object.clone()).await.silent();
    assert!(of_namespaces().is_empty() && registry.count() == 0, "{:?}", of_namespaces());
    hook.validate(object).await;
    assert!(!of_namespaces().is_empty() && registry.count() > 0);
}

#[tokio::test]
async fn events_are_raised_for_owned_pods_and_never_on_a_dry_run() {
    let (api, registry) = (api().await, registry().await);
    let hook = Setup::of(&[registry.host()]).start_in(&api).await;
    let owned = owned_pod(&image(&registry, "app:gone"));
    let dry = with(review(owned.clone()), "dryRun", true);
    hook.send("validate", &dry).await.warns("app:gone");
    hook.send("mutate", &review(owned.clone())).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(api.asked(EVENTS), 0, "{:?}", api.posted());
    hook.validate(owned).await.warns("app:gone");
    super::hook::wait(|| api.asked(EVENTS) == 1).await;
    super::hook::wait(|| !api.posted().is_empty()).await;
    let event = api.posted().remove(0);
    assert_eq!(
        (&event["regarding"]["kind"], &event["regarding"]["name"]),
        (&json!("ReplicaSet"), &json!("web-5d9"))
    );
    assert_eq!(event["reason"], "ImageWillNotPull");
    // No object has such a name, so somebody made it up.
    let mut forged = owned_pod(&image(&registry, "app:gone"));
    forged["metadata"]["ownerReferences"][0]["name"] = json!("n".repeat(1 << 20));
    hook.validate(forged).await.warns("app:gone");
    // A Pod of its own has somebody who reads the answer.
    hook.validate(pod(&[&image(&registry, "app:gone")])).await.warns("app:gone");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(api.asked(EVENTS), 1);
}

/// `Audit` is for who wants to know first what a policy would do.
#[tokio::test]
async fn what_a_policy_only_audits_is_an_event_and_a_metric_and_no_word_in_the_answer() {
    let (api, registry) = (api().await, registry().await);
    let spec = json!({"action": "Audit", "inconclusive": "Audit"});
    let hook = Setup::of(&[registry.host()]).policy("watch", spec).start_in(&api).await;
    let gone = || review(pod(&[&image(&registry, "app:gone")]));
    hook.send("validate", &with(gone(), "dryRun", true)).await.silent();
    hook.send("validate", &gone()).await.silent();
    super::hook::wait(|| !api.posted().is_empty()).await;
    registry.fault(Fault::in_repository("sick").answer(503));
    hook.validate(deployment(&image(&registry, "sick:1"))).await.silent();
    super::hook::wait(|| api.posted().len() > 1).await;
    hook.validate(pod(&[&image(&registry, "app:1")])).await.silent();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let told: Vec<Value> = api
        .posted()
        .iter()
        .map(|it| {
            json!([it["regarding"]["kind"], it["regarding"]["name"], it["type"], it["reason"]])
        })
        .collect();
    let events = [
        json!(["Pod", "web", "Normal", "ImageWillNotPull"]),
        json!(["Deployment", "web", "Normal", "ImageNotConfirmed"]),
    ];
    assert_eq!(told, events);
    assert!(api.posted()[0]["note"].as_str().unwrap().contains("[tag-not-found]"));
    let results = |cause: &str| {
        let host = registry.host();
        hook.metric(&format!(
            "pullproof_results_total{{cause=\"{cause}\",registry=\"{host}\",verdict=\"audit\"}}"
        ))
    };
    // The dry run is counted, too.
    assert_eq!((results("tag-not-found"), results("registry-error")), (2.0, 1.0));
    let audited = "pullproof_reviews_total{endpoint=\"validate\",verdict=\"audit\"}";
    assert_eq!(hook.metric(audited), 3.0, "{}", hook.metrics());
}

/// Passwords and tokens are in no answer, Event or metric, whatever goes wrong with them.
#[tokio::test]
async fn t29_secrets_are_in_nothing_that_is_told() {
    let (api, registry) = (api().await, private().await);
    let name = image(&registry, "team/app:1");
    let broken = json!({"type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": STANDARD.encode(format!("{{\"auths\": {PASSWORD}"))}});
    api.put(&secret_path("good"), secret(registry.host(), PASSWORD));
    api.put(&secret_path("wrong"), secret(registry.host(), "canary-wrong-password"));
    api.put(&secret_path("broken"), broken);
    let hook = injecting(&registry).policy("deny", json!({"action": "Deny"})).start_in(&api).await;
    for secrets in [vec!["good"], vec!["wrong"], vec!["broken"], vec!["wrong", "broken", "none"]] {
        for text in [name.as_str(), &image(&registry, "team/gone:1")] {
            let mut object = pod_with(text, &secrets);
            object["metadata"]["ownerReferences"] =
                owned_pod("x")["metadata"]["ownerReferences"].clone();
            for path in ["validate", "mutate"] {
                let answer = hook.send(path, &review(object.clone())).await;
                assert!(!answer.0.to_string().contains("canary"), "{answer:?}");
            }
        }
    }
    super::hook::wait(|| !api.posted().is_empty()).await;
    let told = format!("{:?}{}", api.posted(), hook.metrics());
    assert!(!told.contains("canary"), "{told}");
    assert!(!told.contains(&STANDARD.encode(format!("ci:{PASSWORD}"))), "{told}");
}
