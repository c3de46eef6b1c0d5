//! The webhook against the real API server: `pullproof serve` runs as a ServiceAccount with the
//! rights of the chart, and a registry on loopback answers it. Each test has a namespace, policies and
//! a webhook of its own.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::registries::{Config, FakeRegistry};
use crate::support::pki::Authority;
use crate::support::{Cluster, Link, Said, define_policies, free_ports, until};

/// What the chart gives the webhook; secrets are to be read in some namespaces only.
const RIGHTS: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NAME}
rules:
- {apiGroups: [pullproof.dev], resources: [imagecheckpolicies], verbs: [get, list, watch]}
- {apiGroups: [""], resources: [nodes, namespaces], verbs: [get, list, watch]}
- {apiGroups: [events.k8s.io], resources: [events], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: NAME}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: NAME}
subjects: [{kind: User, name: NAME, apiGroup: rbac.authorization.k8s.io}]
"#;

const SECRETS: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: pull-secrets, namespace: NAMESPACE}
rules:
- {apiGroups: [""], resources: [secrets, serviceaccounts], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: pull-secrets, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: pull-secrets}
subjects: [{kind: User, name: NAME, apiGroup: rbac.authorization.k8s.io}]
"#;

/// A namespace whose reviews a webhook of its own answers.
pub struct Place {
    pub cluster: &'static Cluster,
    pub namespace: String,
    pub registry: FakeRegistry,
    folder: tempfile::TempDir,
    authority: Authority,
    port: u16,
    metrics: u16,
    /// The webhook's own way to the API server, where it is not the straight one.
    pub link: Option<Link>,
    program: Option<Program>,
}

/// A running `pullproof serve`, killed with its owner.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Place {
    /// With a policy of this spec, and the right to read the secrets of the namespace.
    pub async fn new(stem: &str, config: Config, spec: Value) -> Self {
        let place = Self::without_rights(stem, config, spec).await;
        place.allow_secrets();
        place
    }

    async fn without_rights(stem: &str, config: Config, spec: Value) -> Self {
        let cluster = Cluster::shared();
        define_policies(cluster);
        let mut place = Self::prepare(cluster, stem, config).await;
        place.policy(spec);
        place.start().await;
        place.register().await;
        place
    }

    /// All but policies and the webhook itself.
    pub async fn prepare(cluster: &'static Cluster, stem: &str, config: Config) -> Self {
        let [port, metrics] = free_ports();
        let place = Self {
            cluster,
            namespace: cluster.namespace(stem).await,
            registry: FakeRegistry::start(config).await,
            folder: tempfile::tempdir().unwrap(),
            authority: Authority::new(),
            port,
            metrics,
            link: None,
            program: None,
        };
        cluster.apply(&RIGHTS.replace("NAME", &place.user()));
        place.write_certificate(&place.authority);
        place
    }

    pub fn allow_secrets(&self) {
        let rights = SECRETS.replace("NAMESPACE", &self.namespace);
        self.cluster.apply(&rights.replace("NAME", &self.user()));
    }

    fn user(&self) -> String {
        format!("serve-{}", self.namespace)
    }

    pub fn policy(&self, spec: Value) {
        self.policy_named(&self.namespace, spec);
    }

    fn policy_named(&self, name: &str, mut spec: Value) {
        spec["match"] = json!({"namespaces": [self.namespace]});
        self.cluster.apply(
            &json!({"apiVersion": "pullproof.dev/v1alpha1", "kind": "ImageCheckPolicy",
                "metadata": {"name": name}, "spec": spec})
            .to_string(),
        );
    }

    fn write_certificate(&self, authority: &Authority) {
        authority.server(&["127.0.0.1"]).write(self.folder.path(), "tls");
    }

    /// Starts the webhook and waits until it can decide.
    pub async fn start(&mut self) {
        self.begin();
        until("the webhook is ready", async || self.is_ready().await.then_some(())).await;
    }

    /// Starts the webhook.
    pub fn begin(&mut self) {
        let folder = self.folder.path();
        std::fs::write(folder.join("registries.toml"), "allow_addresses = [\"127.0.0.1\"]\n")
            .unwrap();
        let kubeconfig = match &self.link {
            None => self.cluster.kubeconfig_of(&self.user()),
            Some(link) => self.cluster.kubeconfig_by(&self.user(), link),
        };
        let child = Command::new(env!("CARGO_BIN_EXE_pullproof"))
            .args(["serve", "--listen", &format!("127.0.0.1:{}", self.port)])
            .args(["--metrics-listen", &format!("127.0.0.1:{}", self.metrics)])
            .args(["--shutdown-delay", "0"])
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .arg("--registries")
            .arg(folder.join("registries.toml"))
            .arg("--tls-cert")
            .arg(folder.join("tls.crt"))
            .arg("--tls-key")
            .arg(folder.join("tls.key"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        self.program = Some(Program(child));
    }

    pub async fn is_ready(&self) -> bool {
        self.told("readyz").await.is_some_and(|(status, _)| status == 200)
    }

    /// An answer of the port for probes; its status and text.
    pub async fn told(&self, path: &str) -> Option<(u16, String)> {
        let url = format!("http://127.0.0.1:{}/{path}", self.metrics);
        let answer = reqwest::get(url).await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// Whether the program still runs.
    pub fn lives(&mut self) -> bool {
        self.program.as_mut().is_some_and(|program| program.0.try_wait().unwrap().is_none())
    }

    pub fn stop(&mut self) {
        self.program = None;
    }

    /// Has the API server call the webhook, and waits until it does.
    pub async fn register(&self) {
        let url = format!("https://127.0.0.1:{}", self.port);
        self.cluster.register(&self.namespace, &self.namespace, &url, &self.authority.pem());
        // The API server learns of a webhook a moment after it was told.
        let checked = async || {
            let said = self.create(&pod("probe", &json!({"image": "probe:UP:per"})), true);
            said.errors.contains("invalid-reference").then_some(())
        };
        until("the webhook is called", checked).await;
    }

    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.host())
    }

    pub fn create(&self, object: &Value, dry_run: bool) -> Said {
        self.cluster.create(&self.namespace, &object.to_string(), dry_run)
    }

    pub fn kubectl(&self, line: &[&str]) -> Said {
        self.cluster.kubectl(&[line, &["-n", &self.namespace]].concat())
    }

    pub fn get(&self, what: &[&str]) -> Value {
        let out = self.kubectl(&[&["get"], what, &["-o", "json"]].concat()).expect_ok();
        serde_json::from_str(&out).unwrap()
    }

    pub fn secret(&self, name: &str, host: &str, password: &str) {
        let auth = STANDARD.encode(format!("ci:{password}"));
        let config = json!({"auths": {host: {"auth": auth}}}).to_string();
        let object = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": name}, "data": {".dockerconfigjson": STANDARD.encode(config)}});
        self.create(&object, false).expect_ok();
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

pub fn pod(name: &str, container: &Value) -> Value {
    let mut container = container.clone();
    container["name"] = json!("c");
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}})
}

pub fn deployment(name: &str, image: &str) -> Value {
    let labels = json!({"app": name});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": image}]}}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_tag_is_denied_in_words_and_only_warned_of_without_a_policy() {
    let place = Place::new("deny", Config::open(), json!({"action": "Deny"})).await;
    place.registry.push_image("shop/web", "1.4.1", "linux/amd64");
    let bad = pod("bad", &json!({"image": place.image("shop/web:1.4.2")}));
    let said = place.create(&bad, false).expect_refused();
    for words in [
        "container \"c\"",
        "shop/web",
        "has no tag \"1.4.2\"",
        "404",
        "1.4.1",
        "docs/causes.md#tag-not-found",
        &place.namespace,
    ] {
        assert!(said.contains(words), "{words} is missing in: {said}");
    }
    place.create(&pod("good", &json!({"image": place.image("shop/web:1.4.1")})), false).expect_ok();
    let said = place.create(&deployment("web", &place.image("shop/web:1.4.2")), false);
    assert!(
        said.expect_refused().contains("no tag"),
        "a bad Deployment is denied when it is applied"
    );
    let volume = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "volume"}, "spec": {
        "containers": [{"name": "c", "image": place.image("shop/web:1.4.1")}],
        "volumes": [{"name": "data", "image": {"reference": place.image("shop/data:1")}}]}});
    assert!(place.create(&volume, false).expect_refused().contains("volume \"data\""));

    place.policy(json!({"action": "Warn"}));
    until("the changed policy counts", async || {
        let said = place.create(&bad, true);
        (said.ok && said.errors.contains("Warning:") && said.errors.contains("[tag-not-found]"))
            .then_some(())
    })
    .await;
    // A policy that is not understood is left out: the webhook falls back to warnings.
    place.cluster.kubectl(&["delete", "imagecheckpolicy", &place.namespace]).expect_ok();
    until("without a policy it is a warning", async || {
        let said = place.create(&bad, true);
        (said.ok && said.errors.contains("[tag-not-found]")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_pinned_and_given_its_pull_secret() {
    let config = Config::basic().user("ci", "canary-password");
    let spec = json!({"action": "Deny", "pin": true});
    let place = Place::new("pin", config, spec.clone()).await;
    let host = place.registry.host().to_owned();
    let mut spec = spec;
    spec["pullSecrets"] = json!([{"registry": host, "secret": "pull"}]);
    place.policy(spec);
    let digest =
        place.registry.push_index("shop/web", "1", &["linux/amd64".into(), "linux/arm64".into()]);
    let image = place.image("shop/web:1");
    until("the missing secret is told", async || {
        let said = place.create(&pod("early", &json!({"image": image})), true);
        said.errors.contains("secret pull is not added").then_some(())
    })
    .await;
    place.secret("pull", &host, "canary-password");
    until("the secret is read again", async || {
        let said = place.create(&pod("web", &json!({"image": image})), true);
        (said.ok && !said.errors.contains("Warning")).then_some(())
    })
    .await;
    place.create(&pod("web", &json!({"image": image})), false).expect_ok();
    let made = place.get(&["pod", "web"]);
    assert_eq!(made["spec"]["containers"][0]["image"], json!(format!("{image}@{digest}")));
    assert_eq!(made["spec"]["imagePullSecrets"], json!([{"name": "pull"}]));
    let kept = made["metadata"]["annotations"]["pullproof.dev/original-images"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(kept).unwrap(), json!({"c": image}));
    // A dry run makes nothing, and an object that keeps its images is not looked at again.
    place.registry.reset_counts();
    place.kubectl(&["label", "pod", "web", "x=y"]).expect_ok();
    assert_eq!(place.registry.count(), 0);
    assert!(!place.log().contains("canary-password"), "a password is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn ephemeral_containers_are_checked_and_images_that_stay_are_not() {
    let place = Place::new("debug", Config::open(), json!({"action": "Deny"})).await;
    place.registry.push_image("shop/web", "1", "linux/amd64");
    place.create(&pod("web", &json!({"image": place.image("shop/web:1")})), false).expect_ok();
    let image = format!("--image={}", place.image("shop/tool:1"));
    let said = place.kubectl(&["debug", "web", &image, "-c", "tool"]);
    assert!(said.expect_refused().contains("container \"tool\""));
    // The tag goes; what runs with it may still be edited.
    place.registry.forget("shop/web", "1");
    tokio::time::sleep(Duration::from_secs(1)).await;
    place.kubectl(&["annotate", "pod", "web", "x=y"]).expect_ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_workload_whose_tag_is_gone_are_warned_of_and_not_denied() {
    let place = Place::new("gone", Config::open(), json!({"action": "Deny"})).await;
    place.cluster.run_controllers();
    place.registry.push_image("shop/web", "1", "linux/amd64");
    place.create(&deployment("web", &place.image("shop/web:1")), false).expect_ok();
    let pods = || place.get(&["pods"])["items"].as_array().unwrap().len();
    until("the first Pod", async || (pods() == 1).then_some(())).await;
    place.registry.forget("shop/web", "1");
    // What is known of the tag counts for a minute; another webhook knows nothing of it.
    let mut place = place;
    place.stop();
    place.start().await;
    place.kubectl(&["scale", "deployment", "web", "--replicas=3"]).expect_ok();
    until("the scaled Pods", async || {
        (place.get(&["pods"])["items"].as_array().unwrap().len() == 3).then_some(())
    })
    .await;
    until("an Event tells", async || {
        let events = place.get(&["events.events.k8s.io"]);
        let is_ours = |event: &Value| event["reason"] == "ImageWillNotPull";
        events["items"].as_array().unwrap().iter().any(is_ours).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_may_not_be_read_is_told_with_the_right_that_is_missing() {
    let config = Config::basic().user("ci", "secret");
    let place = Place::without_rights("norights", config, json!({"action": "Deny"})).await;
    place.registry.push_image("shop/web", "1", "linux/amd64");
    place.secret("pull", place.registry.host(), "secret");
    let mut web = pod("web", &json!({"image": place.image("shop/web:1")}));
    web["spec"]["imagePullSecrets"] = json!([{"name": "pull"}]);
    let said = place.create(&web, true);
    assert!(said.ok, "our own missing right denies nobody: {}", said.errors);
    assert!(said.errors.contains("no-permission"), "{}", said.errors);
    place.allow_secrets();
    until("the right counts", async || {
        let said = place.create(&web, true);
        (said.ok && !said.errors.contains("Warning")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_changed_under_load_without_a_failed_review() {
    let place = Place::new("rotate", Config::open(), json!({"action": "Deny"})).await;
    place.registry.push_image("shop/web", "1", "linux/amd64");
    let web = pod("web", &json!({"image": place.image("shop/web:1")}));
    let pods: Api<Pod> = Api::namespaced(place.cluster.client().await, &place.namespace);
    let (object, dry) = (
        serde_json::from_value::<Pod>(web.clone()).unwrap(),
        PostParams { dry_run: true, ..PostParams::default() },
    );
    let (is_over, mut load) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    for _ in 0..8 {
        let (pods, object, dry, is_over) =
            (pods.clone(), object.clone(), dry.clone(), is_over.clone());
        load.spawn(async move {
            let mut created = 0;
            while !is_over.load(Relaxed) {
                // The webhook fails closed here: a review that fails is a refusal.
                pods.create(&dry, &object).await.unwrap();
                created += 1;
            }
            created
        });
    }
    let authority = reqwest::Certificate::from_pem(place.authority.pem().as_bytes()).unwrap();
    let changes = |log: &str| log.matches("the certificate was changed").count();
    for change in 1..=5 {
        place.write_certificate(&place.authority);
        until("the changed pair is served", async || {
            (changes(&place.log()) >= change).then_some(())
        })
        .await;
        // A connection of its own, beside that which the API server keeps.
        let ready = format!("https://127.0.0.1:{}/readyz", place.port);
        let client =
            reqwest::Client::builder().tls_certs_only([authority.clone()]).build().unwrap();
        assert_eq!(client.get(ready).send().await.unwrap().status(), 200);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    is_over.store(true, Relaxed);
    let created: usize = load.join_all().await.into_iter().sum();
    assert!(created >= 200, "{created} reviews are no load");
    // A pair that does not fit is told and the one before stays.
    std::fs::write(place.folder.path().join("tls.key"), "junk").unwrap();
    until("the broken pair is told", async || {
        place.log().contains("can not be used").then_some(())
    })
    .await;
    place.create(&web, true).expect_ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_made_invalid_is_left_out_and_the_others_go_on() {
    // The printed definition would refuse it.
    let cluster = crate::controller::loose();
    let mut place = Place::prepare(cluster, "invalid", Config::open()).await;
    place.registry.push_image("shop/web", "latest", "linux/amd64");
    let other = format!("{}-other", place.namespace);
    place.policy(json!({"action": "Deny"}));
    place.policy_named(&other, json!({"causes": [{"id": "latest-tag", "action": "Deny"}]}));
    place.start().await;
    place.register().await;
    let absent = pod("absent", &json!({"image": place.image("shop/web:1")}));
    let latest = pod("latest", &json!({"image": place.image("shop/web:latest")}));
    place.create(&absent, true).expect_refused();
    place.create(&latest, true).expect_refused();

    place.policy(json!({"action": "Deny", "causes": [{"id": "no-such-cause", "action": "Deny"}]}));
    until("the policy is left out", async || {
        let said = place.create(&absent, true);
        (said.ok && said.errors.contains("[tag-not-found]")).then_some(())
    })
    .await;
    let said = place.create(&latest, true).expect_refused();
    assert!(said.contains(&other), "{said}");
    let (_, metrics) = place.told("metrics").await.unwrap();
    assert!(metrics.contains("pullproof_policies{state=\"invalid\"} 1"), "{metrics}");
    assert!(place.log().contains("no-such-cause"), "{}", place.log());

    place.policy(json!({"action": "Deny", "causes": []}));
    until("the mended policy counts", async || (!place.create(&absent, true).ok).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_raises_no_event() {
    let place = Place::new("dry", Config::open(), json!({"action": "Deny"})).await;
    place.registry.push_image("shop/web", "1", "linux/amd64");
    let mut owner = deployment("web", &place.image("shop/web:1"));
    owner["kind"] = json!("ReplicaSet");
    owner["spec"]["replicas"] = json!(0);
    place.create(&owner, false).expect_ok();
    let uid = place.get(&["replicaset", "web"])["metadata"]["uid"].clone();
    let owned = |tag: &str| {
        let mut pod = pod(tag, &json!({"image": place.image(&format!("shop/web:{tag}"))}));
        pod["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1",
            "kind": "ReplicaSet", "name": "web", "uid": uid, "controller": true}]);
        pod
    };
    // As the controller: an owner that a person writes into a Pod counts for nothing.
    let create = |pod: &Value, dry: &str| {
        let maker = "--as=system:serviceaccount:kube-system:replicaset-controller";
        let line = ["create", "-n", &place.namespace, maker, dry, "-f", "-"];
        place.cluster.kubectl_with(&line, &pod.to_string())
    };
    place.create(&owned("forged"), true).expect_refused();
    let said = create(&owned("rehearsed"), "--dry-run=server");
    assert!(said.ok && said.errors.contains("[tag-not-found]"), "{}", said.errors);
    create(&owned("meant"), "--dry-run=none").expect_ok();
    let events = until("the Event of what was meant", async || {
        let events = place.get(&["events.events.k8s.io"]).to_string();
        events.contains("shop/web:meant").then_some(events)
    })
    .await;
    // Events are written in the order of the reviews.
    assert!(!events.contains("shop/web:rehearsed"), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_replicas_is_not_looked_at_and_one_of_the_image_is() {
    let mut place = Place::new("replicas", Config::open(), json!({"action": "Deny"})).await;
    place.registry.push_image("shop/web", "1", "linux/amd64");
    let mut web = deployment("web", &place.image("shop/web:1"));
    // Without Pods, whose own reviews would ask.
    web["spec"]["paused"] = json!(true);
    place.create(&web, false).expect_ok();
    place.registry.forget("shop/web", "1");
    // Another one knows nothing of the tag.
    place.stop();
    place.start().await;
    place.registry.reset_counts();
    let patch = |spec: Value| {
        place.kubectl(&["patch", "deployment", "web", "-p", &json!({"spec": spec}).to_string()])
    };
    for replicas in [5, 2] {
        let said = patch(json!({"replicas": replicas}));
        assert!(said.ok && !said.errors.contains("Warning"), "{}", said.errors);
    }
    assert_eq!(place.registry.count(), 0);
    let (_, metrics) = place.told("metrics").await.unwrap();
    let exempt = "pullproof_reviews_total{endpoint=\"validate\",verdict=\"exempt\"} 2";
    assert!(metrics.contains(exempt), "{metrics}");
    let containers = json!([{"name": "c", "image": place.image("shop/web:2")}]);
    let said = patch(json!({"template": {"spec": {"containers": containers}}})).expect_refused();
    assert!(said.contains("shop/web"), "{said}");
    assert!(place.registry.count() > 0);
}
