//! The controller against the real API server: certificates and the bundles that trust them, the
//! status of policies, and who leads. The program runs as a ServiceAccount with the rights listed
//! here and no more.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use pullproof::cluster::lease::Clocks;
use pullproof::controller::authority::{Lifetimes, service_names};
use pullproof::controller::{self, Health, Settings};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::{Value, json};

use crate::support::{Cluster, define_kind, define_policies, free_ports, until};

const KINDS: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// What the controller may do, and no more.
const RIGHTS: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: controller, namespace: NAMESPACE}
rules:
- {apiGroups: [""], resources: [secrets], verbs: [create]}
- {apiGroups: [""], resources: [secrets], resourceNames: [pullproof-tls], verbs: [get, update]}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create]}
- {apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [pullproof-controller], verbs: [get, update]}
- {apiGroups: [events.k8s.io], resources: [events], verbs: [create, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: controller, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: controller}
subjects: [{kind: ServiceAccount, name: controller, namespace: NAMESPACE}]
---
# Events about objects without a namespace are kept in this one.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: NAMESPACE, namespace: default}
rules:
- {apiGroups: [events.k8s.io], resources: [events], verbs: [create, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: NAMESPACE, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: NAMESPACE}
subjects: [{kind: ServiceAccount, name: controller, namespace: NAMESPACE}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NAMESPACE}
rules:
- {apiGroups: [admissionregistration.k8s.io], resources: [mutatingwebhookconfigurations, validatingwebhookconfigurations],
   resourceNames: [NAMESPACE], verbs: [get, list, watch, update]}
- {apiGroups: [pullproof.dev], resources: [imagecheckpolicies], verbs: [list, watch]}
- {apiGroups: [pullproof.dev], resources: [imagecheckpolicies/status], verbs: [update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: NAMESPACE}
subjects: [{kind: ServiceAccount, name: controller, namespace: NAMESPACE}]
"#;

/// The kind of policies as an older definition may be: it takes anything.
const LOOSE_KIND: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: imagecheckpolicies.pullproof.dev}
spec:
  group: pullproof.dev
  scope: Cluster
  names: {kind: ImageCheckPolicy, plural: imagecheckpolicies, singular: imagecheckpolicy}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
"#;

/// A cluster that has this definition; tests share it.
pub fn loose() -> &'static Cluster {
    static LOOSE: OnceLock<Cluster> = OnceLock::new();
    LOOSE.get_or_init(|| {
        let cluster = Cluster::start();
        define_kind(&cluster, LOOSE_KIND);
        cluster
    })
}

/// A namespace with a ServiceAccount for the controller, and webhook configurations that call its
/// Service. All that has no namespace is named after it.
struct Place {
    cluster: &'static Cluster,
    namespace: String,
    client: Client,
}

impl Place {
    async fn new(stem: &str) -> Self {
        let cluster = Cluster::shared();
        define_policies(cluster);
        Self::of(cluster, stem).await
    }

    async fn of(cluster: &'static Cluster, stem: &str) -> Self {
        let namespace = cluster.namespace(stem).await;
        cluster.apply(&RIGHTS.replace("NAMESPACE", &namespace));
        Self { cluster, namespace, client: cluster.client().await }
    }

    fn apply_configurations(&self) {
        for kind in KINDS {
            let webhook = json!({
                "name": "pods.pullproof.dev", "admissionReviewVersions": ["v1"],
                "clientConfig": {"service": {"name": "pullproof", "namespace": self.namespace, "path": "/x"}},
                "failurePolicy": "Ignore", "sideEffects": "None",
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "nowhere"}},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
            });
            let object = json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
                "metadata": {"name": self.namespace}, "webhooks": [webhook],
            });
            self.cluster.apply(&object.to_string());
        }
    }

    fn settings(&self, identity: &str) -> Settings {
        Settings {
            namespace: self.namespace.clone(),
            service: "pullproof".into(),
            certificate_secret: Some("pullproof-tls".into()),
            webhook_configuration: self.namespace.clone(),
            lease: "pullproof-controller".into(),
            identity: identity.into(),
            lifetimes: Lifetimes::default(),
            clocks: Clocks::default(),
            look_again: Duration::from_secs(30),
        }
    }

    /// The controller in this process, with every right.
    async fn run(&self, settings: Settings) -> (tokio::task::JoinHandle<()>, Arc<Health>) {
        let health = Arc::new(Health::default());
        let options = pullproof::cluster::Options {
            kubeconfig: Some(self.cluster.kubeconfig()),
            ..Default::default()
        };
        let cluster = pullproof::cluster::Cluster::connect(&options).await.unwrap();
        let seen = Arc::clone(&health);
        let work = async move {
            controller::run(&cluster, &settings, &seen, std::future::pending()).await;
        };
        (tokio::spawn(work), health)
    }

    /// The program, as its ServiceAccount.
    fn start(&self) -> Program {
        let kubeconfig = self
            .cluster
            .kubeconfig_of(&format!("system:serviceaccount:{}:controller", self.namespace));
        let [port] = free_ports();
        let child = Command::new(env!("CARGO_BIN_EXE_pullproof"))
            .args(["controller", "--verbose", "--namespace", &self.namespace])
            .args(["--webhook-configuration", &self.namespace])
            .args(["--metrics-listen", &format!("127.0.0.1:{port}")])
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .env("POD_NAME", format!("controller-{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Program { child, port }
    }

    async fn secret(&self) -> Option<Secret> {
        let secrets = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        secrets.get_opt("pullproof-tls").await.unwrap()
    }

    /// The served certificate, once there is one.
    async fn pair(&self) -> String {
        until("a certificate", async || part(&self.secret().await?, "tls.crt")).await
    }

    fn configurations(&self, kind: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
        Api::all_with(self.client.clone(), &ApiResource::from_gvk(&kind))
    }

    async fn bundle(&self, kind: &str) -> Option<String> {
        let object = self.configurations(kind).get(&self.namespace).await.unwrap();
        let bundle = object.data["webhooks"][0]["clientConfig"]["caBundle"].as_str()?.to_owned();
        Some(String::from_utf8(STANDARD.decode(bundle).unwrap()).unwrap())
    }

    /// Waits until both configurations trust the authorities of the Secret.
    async fn trusted(&self) -> String {
        until("both caBundles", async || {
            let authorities = part(&self.secret().await?, "ca.crt")?;
            for kind in KINDS {
                if self.bundle(kind).await.as_ref() != Some(&authorities) {
                    return None;
                }
            }
            Some(authorities)
        })
        .await
    }

    async fn spoil(&self, kind: &str) {
        let path = "/webhooks/0/clientConfig/caBundle";
        let foreign = STANDARD.encode(crate::support::pki::Authority::new().pem());
        let patch = json!([{"op": "add", "path": path, "value": foreign}]);
        let said = self.cluster.kubectl(&[
            "patch",
            kind,
            &self.namespace,
            "--type=json",
            "-p",
            &patch.to_string(),
        ]);
        said.expect_ok();
    }

    async fn leader(&self) -> Option<String> {
        let leases = Api::<Lease>::namespaced(self.client.clone(), &self.namespace);
        let lease = leases.get_opt("pullproof-controller").await.unwrap()?;
        lease.spec?.holder_identity.filter(|holder| !holder.is_empty())
    }

    /// Waits until the program leads.
    async fn led_by(&self, program: &Program) {
        let name = format!("controller-{}_", program.port);
        until("another leader", async || self.leader().await?.starts_with(&name).then_some(()))
            .await;
    }
}

/// A running `pullproof controller`, killed with its owner.
struct Program {
    child: Child,
    port: u16,
}

impl Program {
    /// An answer of the health port; its status and text.
    async fn get(&self, path: &str) -> Option<(u16, String)> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let answer = reqwest::get(url).await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    fn terminate(&mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }

    /// Everything it wrote; ends it.
    fn log(mut self) -> String {
        self.child.kill().unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(self.child.stderr.as_mut().unwrap(), &mut text).unwrap();
        text
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn part(secret: &Secret, key: &str) -> Option<String> {
    String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok()
}

/// Whether a client that trusts the bundle takes the certificate for the Service.
fn is_trusted(bundle: &str, pair: &str, namespace: &str) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(
        CertificateDer::pem_slice_iter(bundle.as_bytes()).map(Result::unwrap),
    );
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let pair = CertificateDer::from_pem_slice(pair.as_bytes()).unwrap();
    service_names("pullproof", namespace).into_iter().all(|name| {
        let name = ServerName::try_from(name).unwrap();
        verifier.verify_server_cert(&pair, &[], &name, &[], UnixTime::now()).is_ok()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_made_and_both_configurations_trust_them() {
    let place = Place::new("certificates").await;
    place.apply_configurations();
    let program = place.start();
    let authorities = place.trusted().await;
    let pair = place.pair().await;
    assert!(is_trusted(&authorities, &pair, &place.namespace));
    assert!(!is_trusted(&authorities, &pair, "elsewhere"));
    until("ready", async || (program.get("/readyz").await?.0 == 200).then_some(())).await;
    let (_, metrics) = program.get("/metrics").await.unwrap();
    assert!(metrics.contains("pullproof_controller_leader 1"), "{metrics}");
    assert!(metrics.contains("pullproof_controller_certificate_renewals_total 1"), "{metrics}");
    let log = program.log();
    assert!(log.contains("there was no Secret"), "{log}");
    assert!(!log.contains("an Event could not be written"), "{log}");
    assert!(!log.contains("PRIVATE KEY"), "{log}");
    let key = part(&place.secret().await.unwrap(), "tls.key").unwrap();
    assert!(key.lines().skip(1).all(|line| line.starts_with("-----") || !log.contains(line)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_changes_nothing() {
    let place = Place::new("restart").await;
    place.apply_configurations();
    let program = place.start();
    place.trusted().await;
    let versions = async || {
        let mut versions = vec![place.secret().await.unwrap().metadata.resource_version];
        for kind in KINDS {
            let object = place.configurations(kind).get(&place.namespace).await.unwrap();
            versions.push(object.metadata.resource_version);
        }
        versions
    };
    let before = versions().await;
    drop(program);
    let program = place.start();
    place.led_by(&program).await;
    until("a pass", async || {
        let (_, metrics) = program.get("/metrics").await?;
        // Set at the end of a pass.
        (!metrics.contains("certificate_expiry_seconds 0")).then_some(())
    })
    .await;
    assert_eq!(versions().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_renewed_in_their_time_and_stay_trusted() {
    let place = Place::new("renewal").await;
    place.apply_configurations();
    let lifetimes = Lifetimes { pair: Duration::from_secs(45), ..Lifetimes::default() };
    let (task, _) = place.run(Settings { lifetimes, ..place.settings("renewal") }).await;
    let authorities = place.trusted().await;
    let first = place.pair().await;
    let second = until("a renewed certificate", async || {
        let pair = place.pair().await;
        (pair != first).then_some(pair)
    })
    .await;
    assert!(is_trusted(&authorities, &first, &place.namespace), "renewed after its end");
    assert!(is_trusted(&place.trusted().await, &second, &place.namespace));
    task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_authority_is_trusted_before_it_signs_and_the_old_one_stays_trusted() {
    let place = Place::new("authority").await;
    place.apply_configurations();
    let lifetimes =
        Lifetimes { authority: Duration::from_secs(30), pair: Duration::from_secs(3600) };
    let (task, _) = place.run(Settings { lifetimes, ..place.settings("authority") }).await;
    let old = place.trusted().await;
    let pair = place.pair().await;
    let both = until("another authority", async || {
        let authorities = place.trusted().await;
        (authorities != old).then_some(authorities)
    })
    .await;
    assert!(is_trusted(&both, &pair, &place.namespace), "Pods still serve the old pair");
    let renewed = until("a pair of the new authority", async || {
        let renewed = place.pair().await;
        (renewed != pair).then_some(renewed)
    })
    .await;
    assert!(is_trusted(&both, &renewed, &place.namespace));
    assert!(!is_trusted(&old, &renewed, &place.namespace));
    task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_someone_else_wrote_is_mended_and_told() {
    let place = Place::new("mended").await;
    place.apply_configurations();
    let program = place.start();
    let authorities = place.trusted().await;
    for kind in KINDS {
        place.spoil(kind).await;
        assert_eq!(place.trusted().await, authorities);
    }
    until("an Event", async || {
        let object = format!("involvedObject.name={}", place.namespace);
        let said = place.cluster.kubectl(&[
            "get",
            "events",
            "-n",
            "default",
            "--field-selector",
            &object,
            "-o",
            "jsonpath={.items[*].reason}",
        ]);
        said.expect_ok().contains("WebhookConfigurationDrift").then_some(())
    })
    .await;
    let (_, metrics) = program.get("/metrics").await.unwrap();
    let mended = "pullproof_controller_ca_bundles_mended_total{configuration=\"validating\"} 2";
    assert!(metrics.contains(mended), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_missing_is_told_and_trusted_when_it_comes() {
    let place = Place::new("missing").await;
    let program = place.start();
    let told =
        "pullproof_webhook_configuration_drift{configuration=\"mutating\",drift=\"missing\"} ";
    let drift = async |value: &str| {
        until("the drift in metrics", async || {
            let (_, metrics) = program.get("/metrics").await?;
            metrics.contains(&format!("{told}{value}")).then_some(())
        })
        .await
    };
    drift("1").await;
    place.apply_configurations();
    place.trusted().await;
    drift("0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_someone_else_is_left_alone() {
    let place = Place::new("foreign").await;
    place.apply_configurations();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "stringData": {"tls.crt": "theirs", "tls.key": "theirs"},
        "metadata": {"name": "pullproof-tls", "namespace": place.namespace},
    });
    place.cluster.apply(&secret.to_string());
    let program = place.start();
    until("the failure in metrics", async || {
        let (_, metrics) = program.get("/metrics").await?;
        metrics.contains("pullproof_controller_failures_total{work=\"certificates\"}").then_some(())
    })
    .await;
    assert_eq!(place.pair().await, "theirs");
    assert_eq!(place.bundle(KINDS[0]).await, None);
    assert!(program.log().contains("is not pullproof's"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_secret_is_made_whole() {
    let place = Place::new("torn").await;
    place.apply_configurations();
    let _program = place.start();
    place.trusted().await;
    let secrets = Api::<Secret>::namespaced(place.client.clone(), &place.namespace);
    let torn = json!({"stringData": {"tls.key": "torn"}});
    secrets.patch("pullproof-tls", &PatchParams::default(), &Patch::Merge(&torn)).await.unwrap();
    // A change of the configuration brings the next look sooner than half a minute.
    place.spoil(KINDS[0]).await;
    until("a key again", async || {
        part(&place.secret().await?, "tls.key")?.contains("PRIVATE KEY").then_some(())
    })
    .await;
    assert!(is_trusted(&place.trusted().await, &place.pair().await, &place.namespace));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_says_whether_it_is_accepted() {
    // The real definition refuses most of what is invalid before anyone can read it.
    let place = Place::of(loose(), "policy").await;
    let program = place.start();
    let name = &place.namespace;
    let apply = |mut spec: Value| {
        // Others have Pods in this cluster.
        spec["match"] = json!({"namespaces": [name]});
        let policy = json!({
            "apiVersion": "pullproof.dev/v1alpha1", "kind": "ImageCheckPolicy",
            "metadata": {"name": name}, "spec": spec,
        });
        place.cluster.apply(&policy.to_string());
    };
    let kind = GroupVersionKind::gvk("pullproof.dev", "v1alpha1", "ImageCheckPolicy");
    let policies: Api<DynamicObject> = Api::all_with(
        place.client.clone(),
        &ApiResource::from_gvk_with_plural(&kind, "imagecheckpolicies"),
    );
    // The conditions, once they are of the newest generation.
    let conditions = async || {
        until("a status", async || {
            let policy = policies.get(name).await.unwrap();
            let status = &policy.data["status"];
            let is_new = status["observedGeneration"] == json!(policy.metadata.generation);
            is_new.then(|| status["conditions"].clone())
        })
        .await
    };
    apply(json!({"action": "Deny"}));
    let valid = conditions().await;
    assert_eq!(valid[0]["type"], "Accepted");
    assert_eq!(valid[0]["status"], "True");
    assert_eq!(valid[1]["status"], "False");
    apply(json!({"action": "Deny", "causes": [{"id": "no-such-cause", "action": "Deny"}]}));
    let invalid = conditions().await;
    assert_eq!(invalid[0]["status"], "False");
    assert_eq!(invalid[0]["reason"], "Invalid");
    assert!(invalid[0]["message"].as_str().unwrap().contains("no-such-cause"));
    let field = format!("regarding.name={name},reason=PolicyInvalid");
    let events = || {
        let arguments = ["get", "events.events.k8s.io", "-n", "default", "-o", "json"];
        let said = place.cluster.kubectl(&[&arguments[..], &["--field-selector", &field]].concat());
        serde_json::from_str::<Value>(&said.expect_ok()).unwrap()["items"].clone()
    };
    let event = until("an Event", async || events().get(0).cloned()).await;
    assert_eq!(event["regarding"]["kind"], "ImageCheckPolicy", "{event}");
    assert_eq!(event["regarding"]["uid"], json!(policies.get(name).await.unwrap().metadata.uid));
    assert_eq!(event["type"], "Warning");
    assert!(event["note"].as_str().unwrap().contains("no-such-cause"), "{event}");
    until("the invalid one in metrics", async || {
        let (_, metrics) = program.get("/metrics").await?;
        let told = "pullproof_controller_policies{state=\"invalid\"} ";
        let count = metrics.lines().find_map(|line| line.strip_prefix(told))?.to_owned();
        (count != "0").then_some(())
    })
    .await;
    apply(json!({"action": "Deny", "inconclusive": "Deny", "causes": []}));
    let risky = conditions().await;
    assert_eq!(risky[0]["status"], "True");
    assert_eq!(risky[1]["type"], "Risk");
    assert_eq!(risky[1]["reason"], "InconclusiveDenied");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_definition_takes_the_status_of_a_policy() {
    let place = Place::new("printed").await;
    let _program = place.start();
    let policy = json!({
        "apiVersion": "pullproof.dev/v1alpha1", "kind": "ImageCheckPolicy",
        "metadata": {"name": place.namespace}, "spec": {"action": "Warn"},
    });
    place.cluster.apply(&policy.to_string());
    let arguments = ["get", "icheck", &place.namespace, "-o"];
    until("a status", async || {
        let path = "jsonpath={.status.conditions[?(@.type==\"Accepted\")].status}";
        let said = place.cluster.kubectl(&[&arguments[..], &[path]].concat()).expect_ok();
        (said == "True").then_some(())
    })
    .await;
    let table = place.cluster.kubectl(&[&arguments[..], &["wide"]].concat()).expect_ok();
    assert!(table.contains("ACCEPTED") && table.contains("True"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_someone_else_are_left_to_them_and_drifts_told() {
    let place = Place::new("others").await;
    place.apply_configurations();
    place.spoil(KINDS[0]).await;
    let theirs = place.bundle(KINDS[0]).await;
    let settings = Settings { certificate_secret: None, ..place.settings("others") };
    let (task, health) = place.run(settings).await;
    let delete = ["delete", KINDS[1], &place.namespace];
    place.cluster.kubectl(&delete).expect_ok();
    let told =
        "pullproof_webhook_configuration_drift{configuration=\"validating\",drift=\"missing\"} 1";
    until("the drift", async || health.metrics.text().contains(told).then_some(())).await;
    assert_eq!(place.bundle(KINDS[0]).await, theirs);
    assert!(place.secret().await.is_none());
    task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn f36_f42_without_an_api_server_nobody_leads_and_when_it_is_back_all_goes_on() {
    static OWN: OnceLock<Cluster> = OnceLock::new();
    let cluster = OWN.get_or_init(Cluster::start);
    define_kind(cluster, LOOSE_KIND);
    let place = Place::of(cluster, "frozen").await;
    place.apply_configurations();
    cluster.freeze();
    let program = place.start();
    let says = async |path: &str, status: u16, text: &str| {
        until("its health", async || {
            let (told, body) = program.get(path).await?;
            (told == status && body.contains(text)).then_some(())
        })
        .await
    };
    says("/readyz", 503, "the API server does not answer").await;
    says("/livez", 200, "ok").await;
    cluster.thaw();
    says("/readyz", 200, "ok").await;
    place.trusted().await;
    cluster.freeze();
    says("/metrics", 200, "pullproof_controller_leader 0").await;
    says("/readyz", 503, "the API server does not answer").await;
    cluster.thaw();
    says("/metrics", 200, "pullproof_controller_leader 1").await;
    place.spoil(KINDS[0]).await;
    place.trusted().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_controller_takes_over_from_one_that_was_killed_or_stopped() {
    let place = Place::new("leaders").await;
    place.apply_configurations();
    let first = place.start();
    place.led_by(&first).await;
    let mut second = place.start();
    until("the second waits", async || (second.get("/readyz").await?.0 == 200).then_some(())).await;
    let (_, metrics) = second.get("/metrics").await.unwrap();
    assert!(metrics.contains("pullproof_controller_leader 0"), "{metrics}");
    // kill -9: nobody gives the Lease back.
    drop(first);
    place.led_by(&second).await;
    place.spoil(KINDS[0]).await;
    place.trusted().await;
    let third = place.start();
    until("the third waits", async || (third.get("/readyz").await?.0 == 200).then_some(())).await;
    assert_eq!(second.terminate(), Some(0));
    let given = std::time::Instant::now();
    place.led_by(&third).await;
    assert!(given.elapsed() < Duration::from_secs(12), "it waited for the Lease to expire");
}
