//! `make bench`: what the road costs, in registry requests and in time, beside the floor.
//!
//! The registry runs in this process on loopback and waits the stated time before every answer. The
//! counts are the registry's own. The floor in time is the number of rounds that the requests need
//! when as many are in flight as the limits allow, at the stated latency and nothing else.

#![expect(clippy::print_stdout, reason = "a bench tells its figures")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pullproof::credential::{Candidate, Credential, Source as CredentialSource};
use pullproof::diagnosis::Question;
use pullproof::image::platform::Runtime;
use pullproof::image::usage::Source;
use pullproof::image::{Platform, Reference};
use pullproof::manifest::{Extraction, extract_source};
use pullproof::pipeline::{Options, Road};
use pullproof::registry::{Guard, Registry};
use pullproof::settings::{DiskCache, Settings};
use support::{Config, FakeRegistry, PlatformSpec};

const REPOSITORIES: usize = 20;
const TAGS: usize = 3;
const LATENCY: Duration = Duration::from_millis(20);
const RUNS: usize = 7;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let images = REPOSITORIES * TAGS;
    println!(
        "{images} references in {REPOSITORIES} repositories, Bearer, {} ms a request, {} in flight; median of {RUNS} runs\n",
        LATENCY.as_millis(),
        Settings::default().limits.in_flight_host
    );
    println!("{:<44} {:>8} {:>8} {:>9} {:>9}", "", "requests", "floor", "seconds", "floor");
    let floor = 1 + REPOSITORIES + images;
    row("cold, anonymous", floor, &Case::default()).await;
    row("cold, the Pod's login", floor, &Case { login: true, ..Case::default() }).await;
    row(
        "cold, platforms of an index each",
        floor + images,
        &Case { platforms: true, ..Case::default() },
    )
    .await;
    row(
        "cold, platforms of a plain manifest each",
        floor + 2 * images,
        &Case { platforms: true, plain: true, ..Case::default() },
    )
    .await;
    row("again in the same process", 0, &Case { warm: true, ..Case::default() }).await;
    row("again in another process (disk)", 0, &Case { disk: true, ..Case::default() }).await;
    from_memory().await;
}

/// One question that is answered from memory, without the road around it.
async fn from_memory() {
    const TIMES: u32 = 100_000;
    let server = FakeRegistry::start(Config::bearer().user("ci", "pw")).await;
    server.push_index("team/app", "1", &["linux/amd64".into(), "linux/arm64".into()]);
    let registry = Registry::new(&Settings::default(), Guard::default());
    let source = CredentialSource::Secret { namespace: "shop".into(), name: "pull".into() };
    let (credential, key) = (Credential::new("ci", "pw"), server.host().to_owned());
    for (name, platforms) in [
        ("a question from memory, in microseconds", Vec::new()),
        ("the same with a platform", vec![Platform::new("linux", "amd64")]),
    ] {
        let question = Question {
            reference: Reference::parse(&format!("{}/team/app:1", server.host())).expect("a name"),
            candidates: vec![Candidate {
                credential: credential.clone(),
                source: source.clone(),
                key: key.clone(),
            }],
            own: Vec::new(),
            platforms,
            runtimes: vec![Runtime::ContainerdLocal],
            fresh: false,
        };
        registry.ask(&question, registry.deadline()).await;
        let (sent, started) = (registry.requests(), Instant::now());
        let deadline = registry.deadline();
        for _ in 0..TIMES {
            std::hint::black_box(registry.ask(&question, deadline).await);
        }
        let each = started.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES);
        println!("{name:<44} {:>8} {each:>28.1}", registry.requests() - sent);
    }
}

/// What differs from an anonymous, cold question without platforms.
#[derive(Default)]
struct Case {
    login: bool,
    platforms: bool,
    plain: bool,
    warm: bool,
    disk: bool,
}

async fn row(name: &str, floor: usize, case: &Case) {
    let (mut seconds, mut requests) = (Vec::new(), 0);
    for _ in 0..RUNS {
        let (count, time) = run(case).await;
        requests = count;
        seconds.push(time.as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let in_flight = Settings::default().limits.in_flight_host;
    // The challenge goes alone; the rest fills the requests in flight.
    let rounds = if floor == 0 { 0 } else { 1 + (floor - 1).div_ceil(in_flight) };
    let least = LATENCY.as_secs_f64() * rounds as f64;
    println!("{name:<44} {requests:>8} {floor:>8} {:>9.3} {least:>9.3}", seconds[RUNS / 2]);
}

async fn run(case: &Case) -> (usize, Duration) {
    let config = Config::bearer().latency(LATENCY).user("ci", "pw");
    let config = (0..REPOSITORIES).fold(config, |config, nth| {
        if case.login { config.private(&repository(nth), &["ci"]) } else { config }
    });
    let server = FakeRegistry::start(config).await;
    for nth in 0..REPOSITORIES {
        for tag in 0..TAGS {
            fill(&server, case, nth, tag);
        }
    }
    let folder = tempfile::tempdir().expect("a folder for the cache");
    let disk_cache = case.disk.then(|| DiskCache {
        folder: folder.path().into(),
        refresh: false,
        loopback: true,
    });
    let settings = Settings { disk_cache, ..Settings::default() };
    let process = || Registry::new(&settings, Guard::default());
    let (first, second) = (process(), process());
    let platforms = if case.platforms { vec![Platform::new("linux", "amd64")] } else { Vec::new() };
    let options = Options { platforms, ..Options::default() };
    // What another process begins with: nothing in memory.
    let registry = if case.disk { &second } else { &first };
    let road = |registry| Road { settings: &settings, policies: &[], registry, options: &options };
    let text = manifests(&server.host().replace("localhost", "127.0.0.1"), case.login);
    if case.warm || case.disk {
        road(&first).check(extract(&text), &|_, _| {}).await;
        server.reset_counts();
    }
    let started = Instant::now();
    let report = road(registry).check(extract(&text), &|_, _| {}).await;
    let time = started.elapsed();
    assert_eq!(report.summary.pullable, REPOSITORIES * TAGS, "every image must be found");
    (server.count(), time)
}

/// One distinct image a tag, so that nothing is saved by equal digests.
fn fill(server: &FakeRegistry, case: &Case, nth: usize, tag: usize) {
    let (repository, name) = (repository(nth), format!("1.{tag}"));
    let version = format!("10.0.{nth}.{tag}");
    if case.plain {
        server.push_image(
            &repository,
            &name,
            PlatformSpec::from("linux/amd64").os_version(&version),
        );
    } else {
        let unique = PlatformSpec::from("windows/amd64").os_version(&version);
        server.push_index(&repository, &name, &["linux/amd64".into(), unique]);
    }
}

fn repository(nth: usize) -> String {
    format!("team-{}/app-{nth}", nth % 4)
}

fn extract(text: &str) -> Extraction {
    extract_source(&Arc::new(Source { name: "bench.yaml".to_owned(), text: text.to_owned() }))
}

fn manifests(host: &str, login: bool) -> String {
    let mut text = String::new();
    if login {
        let auths = format!(r#"{{"auths":{{"{host}":{{"username":"ci","password":"pw"}}}}}}"#);
        let _ = write!(
            text,
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: pull}}\ntype: kubernetes.io/dockerconfigjson\nstringData:\n  .dockerconfigjson: '{auths}'\n---\n"
        );
    }
    for nth in 0..REPOSITORIES {
        for tag in 0..TAGS {
            let secrets = if login { "imagePullSecrets: [{name: pull}], " } else { "" };
            let image = format!("{host}/{}:1.{tag}", repository(nth));
            let _ = write!(
                text,
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: p{nth}-{tag}}}\nspec: {{{secrets}containers: [{{name: c, image: \"{image}\"}}]}}\n---\n"
            );
        }
    }
    text
}
