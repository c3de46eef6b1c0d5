//! The harness: a webhook on a loopback port, and reviews sent to it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullproof::admission::server::{self, App};
use pullproof::admission::sources::InCluster;
use pullproof::admission::throttle::Throttle;
use pullproof::admission::tls::{Files, Tls};
use pullproof::admission::{Detail, Sources, Webhook};
use pullproof::cluster::{Events, Namespaces, Nodes, Policies, Secrets};
use pullproof::image::platform::Runtime;
use pullproof::pipeline::{Credentials, Options};
use pullproof::policy::{ByDefault, ImageCheckPolicy};
use pullproof::registry::{Door, Guard, Registry};
use pullproof::settings::registries::AllowedAddress;
use pullproof::settings::{HostSettings, Limits, Settings};
use pullproof::telemetry::health::Told as _;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::cluster_room::stub::{ApiServer, eventually};
use crate::support::FakeRegistry;
use crate::support::tls::{Authority, Identity};

/// Webhooks run on stacks as large as those of the program: unoptimised code needs them.
static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(runtime);

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(8 << 20)
        .enable_all()
        .build()
        .unwrap()
}

/// What a webhook is started with.
pub struct Setup {
    pub settings: Settings,
    pub policies: Vec<ImageCheckPolicy>,
    pub detail: Detail,
    pub runtimes: Vec<Runtime>,
    /// Cold questions a second of a namespace, and how many at once.
    pub rate: (u32, u32),
    pub client_ca: Option<String>,
    pub client_names: Vec<String>,
    pub delay: Duration,
    /// Where it runs.
    pub runtime: tokio::runtime::Handle,
}

impl Default for Setup {
    fn default() -> Self {
        let mut settings = Settings { limits: Limits::webhook(), ..Settings::default() };
        settings
            .registries
            .allow_addresses
            .push(AllowedAddress { net: "127.0.0.0/8".parse().unwrap(), port: None });
        Self {
            settings,
            policies: Vec::new(),
            detail: Detail::Full,
            runtimes: Vec::new(),
            rate: (0, 0),
            client_ca: None,
            client_names: Vec::new(),
            delay: Duration::ZERO,
            runtime: RUNTIME.handle().clone(),
        }
    }
}

impl Setup {
    /// A webhook that reaches these registries by plain HTTP.
    pub fn of(hosts: &[&str]) -> Self {
        hosts.iter().fold(Self::default(), |setup, host| setup.plain(host))
    }

    pub fn plain(mut self, host: &str) -> Self {
        let entry = HostSettings { plain_http: true, ..HostSettings::default() };
        self.settings.registries = self.settings.registries.with_host(host, entry);
        self
    }

    pub fn policy(mut self, name: &str, spec: Value) -> Self {
        let object = json!({"apiVersion": "pullproof.dev/v1alpha1", "kind": "ImageCheckPolicy",
            "metadata": {"name": name}, "spec": spec});
        self.policies.push(ImageCheckPolicy::from_value(&object).unwrap().unwrap());
        self.policies.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    /// Denies what is certain to be wrong.
    pub fn deny(self) -> Self {
        self.policy("strict", json!({"action": "Deny"}))
    }

    pub fn pin(self) -> Self {
        self.policy("pin", json!({"pin": true}))
    }

    pub fn coarse(self) -> Self {
        Self { detail: Detail::Coarse, ..self }
    }

    pub fn containerd(self) -> Self {
        Self { runtimes: vec![Runtime::ContainerdLocal, Runtime::ContainerdTransfer], ..self }
    }

    pub async fn start(self) -> Hook {
        let policies = Policies::fixed(self.policies.clone());
        self.start_with(Sources::of_files(policies), Vec::new()).await
    }

    /// A webhook in the cluster of an API server, whose nodes it knows.
    pub async fn start_in(self, api: &ApiServer) -> Hook {
        let cluster = api.cluster().await;
        let (nodes, nodes_work) = Nodes::watch(&cluster);
        let (namespaces, namespaces_work) = Namespaces::new(&cluster);
        let (events, events_work) = Events::new(&cluster, "pullproof-webhook", "pullproof-0");
        let work = vec![
            tokio::spawn(nodes_work),
            tokio::spawn(namespaces_work),
            tokio::spawn(events_work),
        ];
        let known = nodes.clone();
        let sources = Sources {
            policies: Policies::fixed(self.policies.clone()),
            cluster: Some(InCluster { secrets: Secrets::new(&cluster), namespaces, nodes, events }),
        };
        eventually(|| known.is_ready(), "the nodes are not known").await;
        self.start_with(sources, work).await
    }

    async fn start_with(self, sources: Sources, work: Vec<tokio::task::JoinHandle<()>>) -> Hook {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
        let files = Files {
            certificate: folder.path().join("tls.crt"),
            key: folder.path().join("tls.key"),
            client_ca: self.client_ca.as_ref().map(|_| folder.path().join("ca.crt")),
        };
        write(&files, &authority.valid());
        if let (Some(file), Some(pem)) = (&files.client_ca, &self.client_ca) {
            std::fs::write(file, pem).unwrap();
        }
        let registries = &self.settings.registries;
        let guard = Guard {
            door: Door::Cluster,
            allow: registries.allow_addresses.clone(),
            public_only: registries.public_only,
            refuse: Vec::new(),
        };
        let webhook = Webhook {
            registry: Registry::new(&self.settings, guard),
            settings: self.settings,
            sources,
            options: Options {
                runtimes: self.runtimes,
                credentials: Credentials::Pod,
                by_default: ByDefault::Warn,
                ..Options::default()
            },
            detail: self.detail,
            throttle: Arc::new(Throttle::new(self.rate.0, self.rate.1)),
        };
        let tls = Tls::open(files).unwrap();
        let app = Arc::new(App::new(webhook, tls, self.client_names));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = Arc::clone(&app);
        let delay = self.delay;
        let task = self.runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let stopped = async { drop(stopped.await) };
            server::serve(listener, serving, stopped, delay).await;
        });
        let client = client(&authority).build().unwrap();
        Hook {
            app,
            address,
            authority,
            client,
            stop: Some(stop),
            task: Some(task),
            work,
            _folder: folder,
        }
    }
}

/// Writes a certificate and its key.
fn write(files: &Files, identity: &Identity) {
    std::fs::write(&files.certificate, &identity.chain_pem).unwrap();
    std::fs::write(&files.key, &identity.key_pem).unwrap();
}

/// A client of an authority that follows nothing.
pub fn client(authority: &Authority) -> reqwest::ClientBuilder {
    let root = reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_secs(60))
        .tls_certs_only([root])
}

/// A running webhook.
pub struct Hook {
    pub app: Arc<App>,
    pub address: std::net::SocketAddr,
    pub authority: Authority,
    /// HTTP/2 by ALPN.
    pub client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    task: Option<tokio::task::JoinHandle<()>>,
    work: Vec<tokio::task::JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.work.iter().for_each(tokio::task::JoinHandle::abort);
        self.task.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Hook {
    pub fn url(&self, path: &str) -> String {
        format!("https://{}/{path}", self.address)
    }

    pub fn http1(&self) -> reqwest::Client {
        client(&self.authority).http1_only().build().unwrap()
    }

    /// Asks it to stop.
    pub fn stop(&mut self) -> tokio::task::JoinHandle<()> {
        let _ = self.stop.take().unwrap().send(());
        self.task.take().unwrap()
    }

    /// Sends a body to a path.
    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
        let request = self.client.post(self.url(path)).header("content-type", "application/json");
        request.body(body).send().await.unwrap()
    }

    /// Sends a review to a path, such as `validate?timeout=5s`.
    pub async fn send(&self, path: &str, review: &Value) -> Answer {
        let response = self.post(path, review.to_string()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        let body: Value = response.json().await.unwrap();
        Answer::of(body, &review["request"]["uid"])
    }

    pub async fn validate(&self, object: Value) -> Answer {
        self.send("validate?timeout=5s", &review(object)).await
    }

    pub async fn mutate(&self, object: Value) -> Answer {
        self.send("mutate?timeout=5s", &review(object)).await
    }

    pub fn metrics(&self) -> String {
        self.app.metrics()
    }

    /// The value of one line of the metrics; 0 when it is not there.
    pub fn metric(&self, line: &str) -> f64 {
        let text = self.metrics();
        let found = text.lines().find_map(|it| it.strip_prefix(line)?.strip_prefix(' '));
        found.map_or(0.0, |value| value.parse().unwrap())
    }
}

/// An answer that is well formed: what holds of all of them was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer(pub Value);

impl Answer {
    pub fn of(body: Value, uid: &Value) -> Self {
        assert_eq!(body["apiVersion"], "admission.k8s.io/v1", "{body}");
        assert_eq!(body["kind"], "AdmissionReview");
        let response = &body["response"];
        assert_eq!(&response["uid"], uid);
        let answer = Self(response.clone());
        let warnings = answer.warnings();
        assert!(warnings.iter().all(|it| it.chars().count() <= 256), "{warnings:?}");
        assert!(warnings.iter().map(|it| it.chars().count()).sum::<usize>() <= 4096);
        for text in warnings.into_iter().chain([answer.message()]) {
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
            assert!(!text.contains(['\u{202e}', '\u{200b}', '\u{feff}']), "{text:?}");
        }
        assert_eq!(answer.allowed(), response["status"].is_null(), "{response}");
        assert_eq!(response["patch"].is_null(), response["patchType"].is_null());
        answer
    }

    pub fn allowed(&self) -> bool {
        self.0["allowed"].as_bool().unwrap()
    }

    pub fn message(&self) -> &str {
        self.0["status"]["message"].as_str().unwrap_or_default()
    }

    pub fn warnings(&self) -> Vec<&str> {
        let list = self.0["warnings"].as_array();
        list.into_iter().flatten().map(|it| it.as_str().unwrap()).collect()
    }

    /// Everything it says.
    pub fn text(&self) -> String {
        format!("{}\n{}", self.message(), self.warnings().join("\n"))
    }

    /// Allowed, and not a word.
    #[track_caller]
    pub fn silent(&self) {
        assert!(
            self.allowed() && self.warnings().is_empty() && self.0["patch"].is_null(),
            "{self:?}"
        );
    }

    /// Allowed with one warning at least, one of which holds this.
    #[track_caller]
    pub fn warns(&self, part: &str) {
        assert!(self.allowed(), "{self:?}");
        assert!(self.warnings().iter().any(|it| it.contains(part)), "{self:?}");
    }

    #[track_caller]
    pub fn denies(&self, part: &str) {
        assert!(!self.allowed() && self.message().contains(part), "{self:?}");
        assert_eq!(self.0["status"]["code"], 403);
    }

    /// The operations of the patch.
    pub fn patch(&self) -> Vec<Value> {
        let Some(patch) = self.0["patch"].as_str() else { return Vec::new() };
        serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap()
    }

    /// The object as the API server has it after the patch.
    pub fn applied(&self, mut object: Value) -> Value {
        let patch: json_patch::Patch = serde_json::from_value(self.patch().into()).unwrap();
        json_patch::patch(&mut object, &patch).unwrap();
        object
    }
}

/// A review of a creation in the namespace `shop`: by a person, or of what a controller owns by that.
pub fn review(object: Value) -> Value {
    let is_owned = object["metadata"]["ownerReferences"][0]["controller"] == json!(true);
    let maker = "system:serviceaccount:kube-system:replicaset-controller";
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": group, "version": version, "kind": object["kind"]},
        "namespace": "shop", "name": "web", "operation": "CREATE",
        "userInfo": {"username": if is_owned { maker } else { "alice" }},
        "object": object, "oldObject": null, "dryRun": false,
    }})
}

/// A review of an update.
pub fn update(old: &Value, new: &Value) -> Value {
    let mut review = review(new.clone());
    review["request"]["operation"] = json!("UPDATE");
    review["request"]["oldObject"] = old.clone();
    review
}

/// With a field of the request changed.
pub fn with(mut review: Value, field: &str, value: impl Into<Value>) -> Value {
    review["request"][field] = value.into();
    review
}

/// A review as if its object had been sent to that namespace.
pub fn sent_to(namespace: impl Into<Value>, review: Value) -> Value {
    let mut review = with(review, "namespace", namespace);
    review["request"]["object"]["metadata"]["namespace"] = review["request"]["namespace"].clone();
    review
}

/// A Pod of its own with a container for each image.
pub fn pod(images: &[&str]) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"},
        "spec": pod_spec(images)})
}

pub fn pod_spec(images: &[&str]) -> Value {
    let containers: Vec<Value> = images
        .iter()
        .enumerate()
        .map(|(nth, image)| json!({"name": format!("c{nth}"), "image": image}))
        .collect();
    json!({"containers": containers})
}

/// A Pod that a ReplicaSet made.
pub fn owned_pod(image: &str) -> Value {
    let mut pod = pod(&[image]);
    pod["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "name": "web-5d9", "uid": "u-of-web-5d9", "controller": true}]);
    pod
}

/// The kinds that make Pods, with a Pod spec in its place.
pub fn workloads(spec: &Value) -> Vec<Value> {
    let template = json!({"template": {"spec": spec}});
    let object = |version: &str, kind: &str, spec: Value| json!({"apiVersion": version, "kind": kind, "metadata": {"name": "web"}, "spec": spec});
    let mut all: Vec<Value> = [
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "ReplicaSet"),
        ("v1", "ReplicationController"),
        ("batch/v1", "Job"),
    ]
    .map(|(version, kind)| object(version, kind, template.clone()))
    .into();
    all.push(object("batch/v1", "CronJob", json!({"jobTemplate": {"spec": template}})));
    all.push(json!({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "web"},
        "template": {"spec": spec}}));
    all
}

pub fn deployment(image: &str) -> Value {
    workloads(&pod_spec(&[image])).remove(0)
}

/// `app:1` in an open registry, for two platforms.
pub async fn registry() -> FakeRegistry {
    let registry = FakeRegistry::start(crate::support::Config::open()).await;
    registry.push_index("app", "1", &["linux/amd64".into(), "linux/arm64".into()]);
    registry
}

/// An image of a registry.
pub fn image(registry: &FakeRegistry, name: &str) -> String {
    format!("{}/{name}", registry.host())
}

/// Waits for what must come to be.
pub async fn wait(test: impl FnMut() -> bool) {
    eventually(test, "it never came to be").await;
}
