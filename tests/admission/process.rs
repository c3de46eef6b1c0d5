//! The program itself: it stops without a failed call, and changes its certificate under load.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::hook::{Answer, Setup, client, pod, review, wait};
use crate::support::FakeRegistry;
use crate::support::tls::{Authority, Identity};

/// `pullproof serve --no-cluster` as a process; it ends when dropped.
pub struct Program {
    pub child: Child,
    pub address: String,
    metrics: String,
    pub authority: Authority,
    folder: tempfile::TempDir,
    log: Option<std::thread::JoinHandle<String>>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the kernel says of a process in `/proc`.
pub struct Usage {
    /// Bytes in memory.
    pub rss: usize,
    pub descriptors: usize,
    pub threads: usize,
}

impl Program {
    pub fn usage(&self) -> Usage {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = std::fs::read_to_string(folder.join("status")).expect("it lives");
        let field = |name: &str| -> usize {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        Usage {
            rss: field("VmRSS:") << 10,
            descriptors: std::fs::read_dir(folder.join("fd")).unwrap().count(),
            threads: field("Threads:"),
        }
    }
}

/// Both files at once, as a kubelet does with a Secret: a new folder, to which a link is moved.
fn put(folder: &Path, identity: &Identity) {
    let version = format!("..{:x}", rand::random::<u64>());
    std::fs::create_dir(folder.join(&version)).unwrap();
    for (name, pem) in [("tls.crt", &identity.chain_pem), ("tls.key", &identity.key_pem)] {
        std::fs::write(folder.join(&version).join(name), pem).unwrap();
        let link = folder.join(name);
        if link.symlink_metadata().is_err() {
            std::os::unix::fs::symlink(Path::new("..data").join(name), link).unwrap();
        }
    }
    std::os::unix::fs::symlink(&version, folder.join("..data_tmp")).unwrap();
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
}

impl Program {
    fn start(more: &[&str]) -> Self {
        Self::start_with("", more)
    }

    /// Reaches registries as this settings file says.
    pub fn start_with(registries: &str, more: &[&str]) -> Self {
        Self::start_in(&["--no-cluster"], registries, more)
    }

    /// In no cluster, or in that of a kubeconfig.
    pub fn start_in(cluster: &[&str], registries: &str, more: &[&str]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
        put(folder.path(), &authority.valid());
        std::fs::write(folder.path().join("registries.toml"), registries).unwrap();
        let file = |name: &str| -> PathBuf { folder.path().join(name) };
        let mut child = Command::new(assert_cmd::cargo::cargo_bin!("pullproof"))
            .args(["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"])
            .arg("--tls-cert")
            .arg(file("tls.crt"))
            .arg("--tls-key")
            .arg(file("tls.key"))
            .arg("--registries")
            .arg(file("registries.toml"))
            .args(cluster)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut log = String::new();
        let serving = loop {
            let line = lines.next().expect("it serves").unwrap();
            log.push_str(&line);
            log.push('\n');
            let value: Value = serde_json::from_str(&line).unwrap();
            if value["message"] == "serving" {
                break value;
            }
        };
        let log = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                log.push_str(&line);
                log.push('\n');
            }
            log
        });
        let text = |field: &str| serving[field].as_str().unwrap().to_owned();
        Self {
            child,
            address: text("address"),
            metrics: text("metrics"),
            authority,
            folder,
            log: Some(log),
        }
    }

    /// Ends it, and gives its log.
    pub fn end(&mut self) -> String {
        self.child.kill().unwrap();
        self.log.take().unwrap().join().unwrap()
    }

    fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    pub async fn metrics(&self) -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let asked = client.get(format!("http://{}/metrics", self.metrics)).send().await.unwrap();
        asked.text().await.unwrap()
    }
}

pub const STRICT: &str = "apiVersion: pullproof.dev/v1alpha1
kind: ImageCheckPolicy
metadata: {name: strict}
spec: {action: Deny}
";

/// How the registries are reached by plain HTTP.
pub fn plain(registries: &[&FakeRegistry]) -> String {
    let entry = |it: &&FakeRegistry| format!("[registry.\"{}\"]\nplain_http = true\n", it.host());
    let entries: String = registries.iter().map(entry).collect();
    format!("allow_addresses = [\"127.0.0.0/8\"]\n{entries}")
}

/// A program that denies what is certain, and one client of it.
pub struct Strict {
    pub program: Program,
    pub client: reqwest::Client,
    _policies: tempfile::TempDir,
}

impl Strict {
    pub fn start(registries: &[&FakeRegistry], more: &[&str]) -> Self {
        let policies = tempfile::tempdir().unwrap();
        std::fs::write(policies.path().join("strict.yaml"), STRICT).unwrap();
        let folder = ["--policies", policies.path().to_str().unwrap()];
        let program = Program::start_with(&plain(registries), &[&folder, more].concat());
        let client = client(&program.authority).build().unwrap();
        Self { program, client, _policies: policies }
    }

    pub fn url(&self) -> String {
        format!("https://{}/validate?timeout=5s", self.program.address)
    }

    pub async fn validate(&self, object: Value) -> Answer {
        validate(&self.client, &self.program, &review(object)).await
    }
}

/// Ours come within 4.6 s; a client that has all its own to do hears of it later.
pub async fn validate(client: &reqwest::Client, program: &Program, review: &Value) -> Answer {
    let url = format!("https://{}/validate?timeout=5s", program.address);
    let began = Instant::now();
    let sent = client.post(url).body(review.to_string()).send().await.unwrap();
    assert_eq!(sent.status(), 200);
    let body: Value = sent.json().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    Answer::of(body, &review["request"]["uid"])
}

/// Callers that send reviews one after another until they are told to stop, each on connections it
/// keeps; what went wrong, and how many went well.
struct Load {
    stop: Arc<AtomicBool>,
    callers: Vec<tokio::task::JoinHandle<(Vec<String>, usize)>>,
}

impl Load {
    fn start(url: String, clients: Vec<reqwest::Client>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let body = review(pod(&[])).to_string();
        let callers = clients.into_iter().map(|client| {
            let (stop, url, body) = (Arc::clone(&stop), url.clone(), body.clone());
            tokio::spawn(async move {
                let (mut failed, mut done) = (Vec::new(), 0);
                while !stop.load(Relaxed) {
                    match client.post(&url).body(body.clone()).send().await {
                        Ok(response) if response.status() == 200 => done += 1,
                        other => failed.push(format!("{other:?}")),
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                (failed, done)
            })
        });
        let callers = callers.collect();
        Self { stop, callers }
    }

    async fn end(self) -> usize {
        self.stop.store(true, Relaxed);
        let mut all = 0;
        for caller in self.callers {
            let (failed, done) = caller.await.unwrap();
            assert!(failed.is_empty(), "{failed:?}");
            all += done;
        }
        all
    }
}

/// Some of HTTP/2, some of HTTP/1.1.
fn clients(authority: &Authority) -> Vec<reqwest::Client> {
    (0..8)
        .map(|nth| {
            let builder = client(authority);
            if nth % 2 == 0 { builder } else { builder.http1_only() }.build().unwrap()
        })
        .collect()
}

/// As in a cluster: callers learn of the end from readiness, and go on until they have.
#[tokio::test(flavor = "multi_thread")]
async fn f43_the_program_stops_under_load_without_a_failed_call() {
    let mut program = Program::start(&["--shutdown-delay", "3"]);
    let url = format!("https://{}/validate?timeout=5s", program.address);
    let ready = format!("https://{}/readyz", program.address);
    let load = Load::start(url, clients(&program.authority));
    let probe = client(&program.authority).build().unwrap();
    assert_eq!(probe.get(&ready).send().await.unwrap().status(), 200);
    tokio::time::sleep(Duration::from_millis(500)).await;
    program.terminate();
    for nth in 0.. {
        if probe.get(&ready).send().await.unwrap().status() == 503 {
            break;
        }
        assert!(nth < 100, "it stays ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Whoever has not heard of it yet is still served.
    tokio::time::sleep(Duration::from_millis(1000)).await;
    assert!(load.end().await > 100);
    let status = tokio::task::spawn_blocking(move || (program.child.wait().unwrap(), program));
    let (status, mut program) = status.await.unwrap();
    assert!(status.success(), "{status}");
    let log = program.log.take().unwrap().join().unwrap();
    assert!(log.contains("stopping"), "{log}");
}

/// A review that is being answered when everything ends is answered.
#[tokio::test]
async fn f43_a_review_under_way_is_answered_after_the_stop() {
    let silent = crate::support::RawServer::silent().await;
    let mut hook = Setup::of(&[silent.host()]).start().await;
    let body = review(pod(&[&format!("{}/app:1", silent.host())])).to_string();
    let asked: Vec<_> = [hook.client.clone(), hook.http1()]
        .into_iter()
        .map(|client| client.post(hook.url("validate?timeout=2s")).body(body.clone()))
        .map(|request| tokio::spawn(request.send()))
        .collect();
    wait(|| hook.metric("pullproof_reviews_in_flight") == 2.0).await;
    let ended = hook.stop();
    for asked in asked {
        assert_eq!(asked.await.unwrap().unwrap().status(), 200);
    }
    ended.await.unwrap();
    assert!(hook.client.post(hook.url("validate")).send().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn f45_a_certificate_is_swapped_under_load_and_a_broken_pair_keeps_the_old() {
    let program = Program::start(&[]);
    let url = format!("https://{}/validate?timeout=5s", program.address);
    let load = Load::start(url.clone(), clients(&program.authority));
    // New connections all the time, too.
    let (stop, authority_pem) = (Arc::new(AtomicBool::new(false)), program.authority.pem());
    let fresh = {
        let (stop, url) = (Arc::clone(&stop), url.clone());
        tokio::spawn(async move {
            let mut done = 0;
            while !stop.load(Relaxed) {
                let root = reqwest::Certificate::from_pem(authority_pem.as_bytes()).unwrap();
                let client =
                    reqwest::Client::builder().no_proxy().tls_certs_only([root]).build().unwrap();
                let sent = client.post(&url).body(review(pod(&[])).to_string()).send().await;
                assert_eq!(sent.unwrap().status(), 200);
                done += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            done
        })
    };
    let is_well = |text: &str| text.contains("pullproof_certificate_reload_errors_total 0");
    assert!(is_well(&program.metrics().await));
    // A key that does not fit its certificate.
    let other = program.authority.valid();
    std::fs::write(program.folder.path().join("tls.key"), &other.key_pem).unwrap();
    let mut waited = 0;
    while is_well(&program.metrics().await) {
        waited += 1;
        assert!(waited < 200, "nobody tells of the broken pair");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    put(program.folder.path(), &other);
    tokio::time::sleep(Duration::from_secs(4)).await;
    stop.store(true, Relaxed);
    assert!(fresh.await.unwrap() > 20);
    assert!(load.end().await > 100);
    let mut program = program;
    let log = program.end();
    assert_eq!(log.matches("the certificate was changed").count(), 1, "{log}");
    assert_eq!(log.matches("can not be used").count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f46_without_file_descriptors_it_waits_and_recovers_when_there_are_some() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let program = Program::start(&[]);
    let few = Rlimit { current: Some(64), maximum: Some(64) };
    prlimit(Some(Pid::from_child(&program.child)), Resource::Nofile, few).unwrap();
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(tokio::net::TcpStream::connect(&program.address).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(held);
    let url = format!("https://{}/validate?timeout=5s", program.address);
    let client = client(&program.authority).build().unwrap();
    let mut tries = 0;
    loop {
        let sent = client.post(&url).body(review(pod(&[])).to_string()).send().await;
        if sent.is_ok_and(|answer| answer.status() == 200) {
            break;
        }
        tries += 1;
        assert!(tries < 100, "it does not recover");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
