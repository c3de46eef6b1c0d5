//! What is measured: the webhook's own server in this process, a server of the same TLS stack whose
//! only route reads the body and answers a constant, and the program as a process of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::post;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use pullproof::admission::server::{self, App};
use pullproof::admission::throttle::Throttle;
use pullproof::admission::tls::{Files, Tls};
use pullproof::admission::{Detail, Sources, Webhook};
use pullproof::cluster::Policies;
use pullproof::image::platform::Runtime;
use pullproof::pipeline::{Credentials, Options};
use pullproof::policy::{ByDefault, ImageCheckPolicy};
use pullproof::registry::{Guard, Registry};
use pullproof::settings::{Limits, Settings};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::load::Target;
use crate::support::tls::Authority;

const PATH: &str = "/validate?timeout=5s";
/// Names the threads whose time is the server's.
const THREADS: &str = "serve";

/// The runtime of the servers, and the certificate they show.
pub struct Place {
    runtime: tokio::runtime::Runtime,
    authority: Authority,
    folder: TempDir,
}

impl Place {
    pub fn new(threads: usize) -> Self {
        let authority = Authority::new();
        let identity = authority.valid();
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("tls.crt"), &identity.chain_pem).expect("a file");
        fs::write(folder.path().join("tls.key"), &identity.key_pem).expect("a file");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name(THREADS)
            .enable_all()
            .build()
            .expect("a runtime");
        Self { runtime, authority, folder }
    }

    fn tls(&self) -> Tls {
        Tls::open(self.files()).expect("a certificate and its key")
    }

    fn files(&self) -> Files {
        let file = |name: &str| self.folder.path().join(name);
        Files { certificate: file("tls.crt"), key: file("tls.key"), client_ca: None }
    }

    /// The webhook with nothing remembered, without a cluster, with one policy that denies.
    pub fn webhook(&self, limits: Limits) -> Served {
        let settings = Settings { limits, ..Settings::default() };
        let policy = serde_json::json!({
            "apiVersion": "pullproof.dev/v1alpha1", "kind": "ImageCheckPolicy",
            "metadata": {"name": "all"}, "spec": {"action": "Deny"},
        });
        let policy = ImageCheckPolicy::from_value(&policy).expect("a policy").expect("a good one");
        let webhook = Webhook {
            registry: Registry::new(&settings, Guard::default()),
            settings,
            sources: Sources::of_files(Policies::fixed(vec![policy])),
            options: Options {
                credentials: Credentials::Pod,
                by_default: ByDefault::Warn,
                runtimes: vec![Runtime::ContainerdLocal],
                ..Options::default()
            },
            detail: Detail::Full,
            throttle: Arc::new(Throttle::new(0, 0)),
        };
        let app = Arc::new(App::new(webhook, self.tls(), Vec::new()));
        let listener = self.listener();
        let address = listener.local_addr().expect("an address");
        let work = server::serve(listener, app, std::future::pending(), Duration::ZERO);
        let task = self.runtime.spawn(work);
        Served { target: Target::new(address, PATH, &self.authority.pem()), task }
    }

    /// A route that reads the body and answers a constant.
    pub fn constant(&self) -> Served {
        const ANSWER: &[u8] = br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"705ab4f5-6393-11e8-b7cc-42010a800002","allowed":true}}"#;
        let answer = |body: Bytes| async move {
            std::hint::black_box(body.len());
            ([(header::CONTENT_TYPE, "application/json")], ANSWER)
        };
        let router = Router::new().route("/validate", post(answer));
        let service = TowerToHyperService::new(router);
        let (listener, tls) = (self.listener(), TlsAcceptor::from(self.tls().config()));
        let address = listener.local_addr().expect("an address");
        let task = self.runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, service) = (tls.clone(), service.clone());
                tokio::spawn(async move {
                    let _ = stream.set_nodelay(true);
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Served { target: Target::new(address, PATH, &self.authority.pem()), task }
    }

    fn listener(&self) -> TcpListener {
        self.runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port")
    }

    /// `pullproof serve --no-cluster`, allowed to ask registries on loopback.
    pub fn program(&self) -> Program {
        let binary = std::env::var_os("PULLPROOF_BINARY")
            .unwrap_or_else(|| env!("CARGO_BIN_EXE_pullproof").into());
        let Files { certificate, key, .. } = self.files();
        let registries = self.folder.path().join("registries.toml");
        fs::write(&registries, "allow_addresses = [\"127.0.0.0/8\"]\n").expect("a file");
        let (listen, metrics) = (free_address(), free_address());
        let child = Command::new(binary)
            .args(["serve", "--no-cluster", "--namespace-rate", "0"])
            .args(["--listen", &listen.to_string(), "--metrics-listen", &metrics.to_string()])
            .arg("--tls-cert")
            .arg(certificate)
            .arg("--tls-key")
            .arg(key)
            .arg("--registries")
            .arg(registries)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        while std::net::TcpStream::connect(listen).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        // What it did to start is over.
        std::thread::sleep(Duration::from_millis(500));
        Program { child, target: Target::new(listen, PATH, &self.authority.pem()) }
    }
}

fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

/// A server that stops when it is dropped.
pub struct Served {
    pub target: Target,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The program as a process; killed when dropped.
pub struct Program {
    child: Child,
    pub target: Target,
}

impl Program {
    /// MiB in use; NaN where there is no `/proc`.
    pub fn resident(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
        kib.map_or(f64::NAN, |kib| kib / 1024.0)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the threads of the servers have used since the process began, where Linux tells it.
pub fn server_cpu() -> Option<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir("/proc/self/task").ok()?.flatten() {
        let path: &Path = &task.path();
        let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
        if name.trim_end() == THREADS {
            let spent = fs::read_to_string(path.join("schedstat")).ok()?;
            nanos += spent.split_whitespace().next()?.parse::<u64>().ok()?;
        }
    }
    Some(Duration::from_nanos(nanos))
}
