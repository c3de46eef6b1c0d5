//! A real API server for the tests of this folder: etcd and kube-apiserver on free loopback ports,
//! in a folder of their own, ready in some three seconds; nodes there are none. Most tests share
//! one ([`Cluster::shared`]) and keep apart by namespaces; a test that stops the server starts its
//! own. All of it ends with the test process, even a killed one.

// Each including binary uses its own part, and a broken test server should panic where it broke.
#![allow(dead_code, unused_imports, clippy::unwrap_used)]

pub mod assets;
mod hook;
pub mod keeper;
mod link;
pub mod node;
pub mod own_image;
pub mod pki;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, Config};
use rustix::process::Signal;

pub use hook::{Answer, Hook, Seen};
use keeper::{Keeper, Server};
pub use link::{Link, State};
use pki::{Authority, Identity};

/// How long anything is waited for; far more than it takes, for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// An API server with its etcd, and who may speak to it.
pub struct Cluster {
    // Dropped in this order: the servers that need the API server first.
    controllers: Mutex<Option<Keeper>>,
    servers: Keeper,
    folder: PathBuf,
    port: u16,
    authority: Authority,
}

/// What a program said.
#[derive(Debug)]
pub struct Said {
    pub ok: bool,
    pub out: String,
    pub errors: String,
}

impl Said {
    /// Its standard output; anything but success fails the test.
    #[track_caller]
    pub fn expect_ok(self) -> String {
        assert!(self.ok, "{}{}", self.out, self.errors);
        self.out
    }

    /// What it said of a failure.
    #[track_caller]
    pub fn expect_refused(self) -> String {
        assert!(!self.ok, "nothing was refused: {}{}", self.out, self.errors);
        self.errors
    }
}

impl Cluster {
    /// The cluster that all tests of this process share; it starts with the first of them.
    pub fn shared() -> &'static Cluster {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Cluster::start)
    }

    /// A cluster of the test's own.
    pub fn start() -> Self {
        // A port that was free may be taken before the server binds it: another try gets others.
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::try_start() {
                Ok(cluster) => return cluster,
                Err(log) if tries == 3 => panic!("no API server: {log}"),
                Err(_) => {}
            }
        }
    }

    fn try_start() -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap().keep();
        let authority = Authority::new();
        let [port, client_port, peer_port] = free_ports();
        write_pki(&folder, &authority, &["127.0.0.1", "10.0.0.1", "kubernetes.default.svc"]);
        let servers =
            [etcd(&folder, client_port, peer_port), apiserver(&folder, port, client_port)];
        let cluster = Self {
            controllers: Mutex::default(),
            servers: Keeper::start(&folder, &servers),
            folder,
            port,
            authority,
        };
        cluster.write_kubeconfig("admin", &administrator(&cluster.authority));
        match on_its_own_runtime(cluster.ready()) {
            true => Ok(cluster),
            false => {
                Err(format!("{}\n{}", cluster.servers.log("etcd"), cluster.servers.log("api")))
            }
        }
    }

    /// Whether it became ready; what has ended never will.
    async fn ready(&self) -> bool {
        let client = self.client().await;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE && self.servers.lives("etcd") && self.servers.lives("api")
        {
            let request = kube::core::Request::new("").get("readyz", &Default::default()).unwrap();
            if client.request_text(request).await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    /// A client with every right. It belongs to the runtime it is made on: one for each test.
    pub async fn client(&self) -> Client {
        Self::client_of(&self.kubeconfig()).await
    }

    /// A client for one of the kubeconfigs of this cluster.
    pub async fn client_of(kubeconfig: &Path) -> Client {
        // The provider is the process's; only the first install counts.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
        Client::try_from(config).unwrap()
    }

    /// The kubeconfig of someone with every right.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    /// A kubeconfig for a user who has only what RBAC gives.
    /// `system:serviceaccount:NAMESPACE:NAME` is the name of a ServiceAccount.
    pub fn kubeconfig_of(&self, user: &str) -> PathBuf {
        self.write_kubeconfig(&user.replace(':', "-"), &self.authority.client(user, None))
    }

    /// The same by another way.
    pub fn kubeconfig_by(&self, user: &str, link: &Link) -> PathBuf {
        let path = self.folder.join(format!("{}-by-link.kubeconfig", user.replace(':', "-")));
        let url = format!("https://{}", link.address);
        write_kubeconfig(&path, &url, &self.authority, &self.authority.client(user, None));
        path
    }

    /// A way to this API server that can be cut.
    pub async fn link(&self, state: State) -> Link {
        Link::start(self.port, state).await
    }

    fn write_kubeconfig(&self, name: &str, identity: &Identity) -> PathBuf {
        let path = self.folder.join(format!("{name}.kubeconfig"));
        write_kubeconfig(&path, &self.url(), &self.authority, identity);
        path
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Runs kubectl with every right.
    pub fn kubectl(&self, arguments: &[&str]) -> Said {
        self.kubectl_with(arguments, "")
    }

    /// Runs kubectl with something on its standard input.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Said {
        let mut command = Command::new(assets::program("kubectl"));
        command
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .args(arguments)
            .env("HOME", &self.folder)
            .env_remove("KUBECONFIG");
        say(command, input)
    }

    /// Applies a YAML stream, and fails the test if any of it is refused.
    #[track_caller]
    pub fn apply(&self, yaml: &str) -> String {
        self.kubectl_with(&["apply", "-f", "-"], yaml).expect_ok()
    }

    /// Creates what the YAML says in this namespace, or only asks whether it would be.
    pub fn create(&self, namespace: &str, yaml: &str, dry_run: bool) -> Said {
        let dry = if dry_run { "--dry-run=server" } else { "--dry-run=none" };
        self.kubectl_with(&["create", "-n", namespace, dry, "-f", "-"], yaml)
    }

    /// A new namespace with the ServiceAccount that Pods of it use; without a controller manager
    /// nobody else makes it.
    pub async fn namespace(&self, stem: &str) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{stem}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let client = self.client().await;
        let named = |name: &str| ObjectMeta { name: Some(name.to_owned()), ..Default::default() };
        let namespace = Namespace { metadata: named(&name), ..Default::default() };
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
        let account = ServiceAccount { metadata: named("default"), ..Default::default() };
        let made = Api::<ServiceAccount>::namespaced(client, &name)
            .create(&PostParams::default(), &account)
            .await;
        match made {
            Ok(_) => {}
            // The controller manager, where one runs, was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => panic!("{error}"),
        }
        name
    }

    /// Starts kube-controller-manager if this cluster has none yet: Deployments make ReplicaSets,
    /// these make Pods, and deleted namespaces end.
    pub fn run_controllers(&self) {
        let mut controllers = self.controllers.lock().unwrap();
        if controllers.is_none() {
            let folder = tempfile::tempdir().unwrap().keep();
            *controllers = Some(Keeper::start(&folder, &[self.controller_manager(&folder)]));
        }
    }

    fn controller_manager(&self, folder: &Path) -> Server {
        let config = self.kubeconfig();
        let config = config.display();
        let [port] = free_ports();
        let mut line = vec![assets::program("kube-controller-manager").display().to_string()];
        line.extend([
            format!("--kubeconfig={config}"),
            format!("--authentication-kubeconfig={config}"),
            format!("--authorization-kubeconfig={config}"),
            "--bind-address=127.0.0.1".into(),
            format!("--secure-port={port}"),
            "--leader-elect=false".into(),
            // As on real clusters: each controller has an account of its own.
            "--use-service-account-credentials=true".into(),
            format!("--cert-dir={}", folder.display()),
            format!("--flex-volume-plugin-dir={}", folder.display()),
            format!("--service-account-private-key-file={}", self.folder.join("sa.key").display()),
            format!("--root-ca-file={}", self.folder.join("ca.crt").display()),
        ]);
        Server { name: "controllers", line }
    }

    /// Keeps the API server from answering until [`Cluster::thaw`]: connections are taken and hang.
    pub fn freeze(&self) {
        self.servers.signal("api", Signal::STOP);
    }

    /// Lets the API server answer again.
    pub fn thaw(&self) {
        self.servers.signal("api", Signal::CONT);
    }

    /// Has the API server send the reviews of one namespace to `url`/mutate (Pods, CREATE) and
    /// `url`/validate (the kinds that hold Pods, CREATE and UPDATE).
    pub fn register(&self, name: &str, namespace: &str, url: &str, authority_pem: &str) {
        use base64::Engine;
        let bundle = base64::engine::general_purpose::STANDARD.encode(authority_pem);
        let hook = |path: &str, rules: serde_json::Value| {
            serde_json::json!({
                "name": format!("{path}.pullproof.dev"),
                "admissionReviewVersions": ["v1"],
                "clientConfig": {"url": format!("{url}/{path}"), "caBundle": bundle},
                "failurePolicy": "Fail",
                "matchPolicy": "Equivalent",
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "rules": rules,
                "sideEffects": "NoneOnDryRun",
                "timeoutSeconds": 5,
            })
        };
        let rule = |groups: &str, operations: &[&str], resources: &[&str]| {
            serde_json::json!({
                "apiGroups": [groups], "apiVersions": ["v1"],
                "operations": operations, "resources": resources,
            })
        };
        let both = ["CREATE", "UPDATE"];
        let mutate = hook("mutate", serde_json::json!([rule("", &["CREATE"], &["pods"])]));
        let validate = hook(
            "validate",
            serde_json::json!([
                rule("", &both, &["pods", "pods/ephemeralcontainers", "podtemplates"]),
                rule("", &both, &["replicationcontrollers"]),
                rule("apps", &both, &["deployments", "statefulsets", "daemonsets", "replicasets"]),
                rule("batch", &both, &["jobs", "cronjobs"]),
            ]),
        );
        let list = serde_json::json!({
            "apiVersion": "v1", "kind": "List",
            "items": [configuration("MutatingWebhookConfiguration", name, mutate),
                      configuration("ValidatingWebhookConfiguration", name, validate)],
        });
        self.apply(&list.to_string());
    }
}

fn configuration(kind: &str, name: &str, hook: serde_json::Value) -> serde_json::Value {
    serde_json::json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
        "metadata": {"name": name}, "webhooks": [hook],
    })
}

/// Installs the definition of ImageCheckPolicy that the program prints, once for all tests.
pub fn define_policies(cluster: &Cluster) {
    static DEFINED: OnceLock<()> = OnceLock::new();
    DEFINED.get_or_init(|| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pullproof"));
        command.arg("crds");
        define_kind(cluster, &say(command, "").expect_ok());
    });
}

/// Installs a definition of ImageCheckPolicy, and waits until it is served.
pub fn define_kind(cluster: &Cluster, definition: &str) {
    cluster.apply(definition);
    let kind = "crd/imagecheckpolicies.pullproof.dev";
    let wait = ["wait", "--for=condition=Established", "--timeout=60s", kind];
    cluster.kubectl(&wait).expect_ok();
}

/// Runs a program to its end.
fn say(mut command: Command, input: &str) -> Said {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read its input may be gone by now.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { ok: output.status.success(), out: text(output.stdout), errors: text(output.stderr) }
}

/// Asks again until there is an answer, or fails the test.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("waited {} s in vain: {what}", PATIENCE.as_secs());
}

/// Ports that were free a moment ago.
pub fn free_ports<const N: usize>() -> [u16; N] {
    // All are held until the last is there, else two could be the same.
    let held = [(); N].map(|()| std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

/// A test may wait here from inside a runtime of its own, which cannot be blocked on again.
fn on_its_own_runtime<T: Send>(work: impl Future<Output = T> + Send) -> T {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work)
    };
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}

fn administrator(authority: &Authority) -> Identity {
    authority.client("admin", Some("system:masters"))
}

fn write_pki(folder: &Path, authority: &Authority, names: &[&str]) {
    std::fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
    authority.server(names).write(folder, "apiserver");
    pki::write_token_key(folder);
}

fn write_kubeconfig(path: &Path, server: &str, authority: &Authority, identity: &Identity) {
    use base64::Engine;
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {
            "server": server, "certificate-authority-data": base64(&authority.pem())}}],
        "users": [{"name": "test", "user": {
            "client-certificate-data": base64(&identity.certificate_pem),
            "client-key-data": base64(&identity.key_pem)}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    });
    std::fs::write(path, config.to_string()).unwrap();
}

fn etcd(folder: &Path, client_port: u16, peer_port: u16) -> Server {
    let client = format!("http://127.0.0.1:{client_port}");
    let peer = format!("http://127.0.0.1:{peer_port}");
    let mut line = vec![assets::program("etcd").display().to_string()];
    line.extend([
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        // Nothing here outlives the test.
        "--unsafe-no-fsync".into(),
    ]);
    Server { name: "etcd", line }
}

fn apiserver(folder: &Path, port: u16, etcd_port: u16) -> Server {
    let file = |name: &str| folder.join(name).display().to_string();
    let mut line = vec![assets::program("kube-apiserver").display().to_string()];
    line.extend([
        format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
        "--bind-address=127.0.0.1".into(),
        "--advertise-address=127.0.0.1".into(),
        format!("--secure-port={port}"),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-key-file={}", file("sa.pub")),
        format!("--service-account-signing-key-file={}", file("sa.key")),
        "--service-cluster-ip-range=10.0.0.0/24".into(),
        "--authorization-mode=RBAC".into(),
        // The test's address is no endpoint of anything.
        "--endpoint-reconciler-type=none".into(),
    ]);
    Server { name: "api", line }
}
