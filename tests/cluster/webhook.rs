//! The webhook against the real API server: `pullproof serve` runs as a ServiceAccount with the
//! rights of the chart, and a registry on loopback answers it. Each test has a namespace, policies and
//! a webhook of its own.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::registries::{Config, FakeRegistry};
use crate::support::pki::Authority;
use crate::support::{Cluster, Said, define_policies, free_ports, until};

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
struct Place {
    cluster: &'static Cluster,
    namespace: String,
    registry: FakeRegistry,
    folder: tempfile::TempDir,
    authority: Authority,
    port: u16,
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
    async fn new(stem: &str, config: Config, spec: Value) -> Self {
        let place = Self::without_rights(stem, config, spec).await;
        let rights = SECRETS.replace("NAMESPACE", &place.namespace);
        place.cluster.apply(&rights.replace("NAME", &place.user()));
        place
    }

    async fn without_rights(stem: &str, config: Config, spec: Value) -> Self {
        let cluster = Cluster::shared();
        define_policies(cluster);
        let namespace = cluster.namespace(stem).await;
        let [port] = free_ports();
        let mut place = Self {
            cluster,
            namespace,
            registry: FakeRegistry::start(config).await,
            folder: tempfile::tempdir().unwrap(),
            authority: Authority::new(),
            port,
            program: None,
        };
        place.policy(spec);
        cluster.apply(&RIGHTS.replace("NAME", &place.user()));
        place.write_certificate(&place.authority);
        place.start().await;
        place.register();
        // The API server learns of a webhook a moment after it was told.
        let checked = async || {
            let said = place.create(&pod("probe", &json!({"image": "probe:UP:per"})), true);
            said.errors.contains("invalid-reference").then_some(())
        };
        until("the webhook is called", checked).await;
        place
    }

    fn user(&self) -> String {
        format!("serve-{}", self.namespace)
    }

    fn policy(&self, mut spec: Value) {
        spec["match"] = json!({"namespaces": [self.namespace]});
        self.cluster.apply(
            &json!({"apiVersion": "pullproof.dev/v1alpha1", "kind": "ImageCheckPolicy",
                "metadata": {"name": self.namespace}, "spec": spec})
            .to_string(),
        );
    }

    fn write_certificate(&self, authority: &Authority) {
        authority.server(&["127.0.0.1"]).write(self.folder.path(), "tls");
    }

    async fn start(&mut self) {
        let folder = self.folder.path();
        std::fs::write(folder.join("registries.toml"), "allow_addresses = [\"127.0.0.1\"]\n")
            .unwrap();
        let [metrics] = free_ports();
        let child = Command::new(env!("CARGO_BIN_EXE_pullproof"))
            .args(["serve", "--listen", &format!("127.0.0.1:{}", self.port)])
            .args(["--metrics-listen", &format!("127.0.0.1:{metrics}"), "--shutdown-delay", "0"])
            .arg("--kubeconfig")
            .arg(self.cluster.kubeconfig_of(&self.user()))
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
        let ready = format!("http://127.0.0.1:{metrics}/readyz");
        until("the webhook is ready", async || {
            let answer = reqwest::get(&ready).await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    fn stop(&mut self) {
        self.program = None;
    }

    fn register(&self) {
        let url = format!("https://127.0.0.1:{}", self.port);
        self.cluster.register(&self.namespace, &self.namespace, &url, &self.authority.pem());
    }

    fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.host())
    }

    fn create(&self, object: &Value, dry_run: bool) -> Said {
        self.cluster.create(&self.namespace, &object.to_string(), dry_run)
    }

    fn kubectl(&self, line: &[&str]) -> Said {
        self.cluster.kubectl(&[line, &["-n", &self.namespace]].concat())
    }

    fn get(&self, what: &[&str]) -> Value {
        let out = self.kubectl(&[&["get"], what, &["-o", "json"]].concat()).expect_ok();
        serde_json::from_str(&out).unwrap()
    }

    fn secret(&self, name: &str, host: &str, password: &str) {
        let auth = STANDARD.encode(format!("ci:{password}"));
        let config = json!({"auths": {host: {"auth": auth}}}).to_string();
        let object = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": name}, "data": {".dockerconfigjson": STANDARD.encode(config)}});
        self.create(&object, false).expect_ok();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

fn pod(name: &str, container: &Value) -> Value {
    let mut container = container.clone();
    container["name"] = json!("c");
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}})
}

fn deployment(name: &str, image: &str) -> Value {
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
    let rights = SECRETS.replace("NAMESPACE", &place.namespace);
    place.cluster.apply(&rights.replace("NAME", &place.user()));
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
    for _ in 0..5 {
        // The webhook fails closed here: a review that fails is a refusal.
        place.write_certificate(&place.authority);
        for _ in 0..6 {
            place.create(&web, true).expect_ok();
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    assert!(place.log().contains("the certificate was changed"));
    // A pair that does not fit is told and the one before stays.
    std::fs::write(place.folder.path().join("tls.key"), "junk").unwrap();
    until("the broken pair is told", async || {
        place.log().contains("can not be used").then_some(())
    })
    .await;
    place.create(&web, true).expect_ok();
}
