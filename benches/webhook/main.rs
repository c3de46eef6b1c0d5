//! `make bench`: what a review costs. The webhook's own server runs in this process over TLS on
//! loopback, beside the registry it asks and the load that is put on it, so all three share the
//! cores. CPU is that of the server's threads alone, where the system tells it by thread.
//!
//! `cargo bench --bench webhook -- cached hung` runs those parts only; `PULLPROOF_BINARY` names
//! another build of the program whose memory is measured, such as the released one.

#![expect(clippy::print_stdout, reason = "a bench tells its figures")]

mod load;
mod served;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use load::{Bodies, Load, Target, Version};
use pullproof::cluster::Nodes;
use pullproof::image::usage::NodeConstraints;
use pullproof::policy::wants::{NodeView, Taint};
use pullproof::settings::Limits;
use serde_json::{Value, json};
use served::{Place, server_cpu};
use support::{Answer, Config, FakeRegistry, Fault, media_type, sha256};

/// That of the image, in which the webhook runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bytes of a review, about those of a Pod from a Deployment as an API server sends it.
const REVIEW: usize = 6 << 10;
const RATE: u32 = 2000;
const ROUNDS: usize = 5;
const SLOW: Duration = Duration::from_millis(20);

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .expect("a runtime");
    let place = Place::new(threads);
    println!("reviews of {REVIEW} bytes over TLS, {threads} threads for the server\n");
    println!(
        "{:<58} {:>9} {:>8} {:>8} {:>8} {:>9}",
        "", "reviews/s", "p50 ms", "p99 ms", "CPU us", "upstream"
    );
    type Part = (&'static str, fn(&Bench<'_>));
    let parts: [Part; 8] = [
        ("cached", cached),
        ("ceiling", ceiling),
        ("images", images),
        ("cold", cold),
        ("equal", equal),
        ("hung", hung),
        ("nodes", nodes),
        ("memory", memory),
    ];
    let bench = Bench { place: &place, load: &load };
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|it| it == name) {
            part(&bench);
        }
    }
}

struct Bench<'a> {
    place: &'a Place,
    load: &'a tokio::runtime::Runtime,
}

/// One round of a load, with what it cost.
struct Round {
    load: Load,
    /// Microseconds of the server's threads for a review.
    cpu: f64,
    /// Requests that reached registries.
    upstream: usize,
}

impl Round {
    fn p99(&self) -> f64 {
        self.load.percentile(99)
    }

    fn row(&self, name: &str) {
        assert_eq!(self.load.odd, 0, "{name}: every image is there, and nothing is said");
        self.row_of_any(name);
    }

    fn row_of_any(&self, name: &str) {
        println!(
            "{name:<58} {:>9.0} {:>8.2} {:>8.2} {:>8.1} {:>9}",
            self.load.rate(),
            self.load.percentile(50),
            self.p99(),
            self.cpu,
            self.upstream
        );
    }
}

/// Measures a load and counts what registries were asked meanwhile.
fn round(registries: &[&FakeRegistry], load: impl FnOnce() -> Load) -> Round {
    registries.iter().for_each(|registry| registry.reset_counts());
    let before = server_cpu();
    let load = load();
    let spent = server_cpu().zip(before).map(|(after, before)| after.saturating_sub(before));
    let cpu = spent.map_or(f64::NAN, |spent| spent.as_secs_f64() * 1e6 / load.count() as f64);
    let upstream = registries.iter().map(|registry| registry.count()).sum();
    Round { load, cpu, upstream }
}

/// That in the middle by p99: a busy machine troubles some rounds.
fn median(mut rounds: Vec<Round>) -> Round {
    rounds.sort_by(|a, b| a.p99().total_cmp(&b.p99()));
    rounds.swap_remove(rounds.len() / 2)
}

/// That in the middle by rate.
fn median_rate(mut rounds: Vec<Round>) -> Round {
    rounds.sort_by(|a, b| a.load.rate().total_cmp(&b.load.rate()));
    rounds.swap_remove(rounds.len() / 2)
}

impl Bench<'_> {
    fn closed(
        &self,
        target: &Target,
        version: Version,
        connections: usize,
        bodies: &Bodies,
        count: usize,
    ) -> Load {
        self.load.block_on(async {
            let mut connections = target.connect_all(version, connections).await;
            load::closed(&mut connections, bodies, count).await
        })
    }

    fn open(&self, target: &Target, bodies: &Bodies, rate: u32, count: usize) -> Load {
        self.load.block_on(async {
            let connection = target.connect(Version::Http2).await;
            load::open(&connection, bodies, rate, count).await
        })
    }
}

/// Reviews of remembered images at a steady rate, as an API server talks.
fn cached(bench: &Bench<'_>) {
    let registry = registry(Duration::ZERO);
    let served =
        bench.place.webhook(Limits { present: Duration::from_secs(3600), ..Limits::webhook() });
    let bodies = reviews(&registry, "cached", 100, 1);
    bench.closed(&served.target, Version::Http2, 1, &bodies, 1000);
    let rounds = (0..ROUNDS).map(|_| {
        round(&[&registry], || bench.open(&served.target, &bodies, RATE, 2 * RATE as usize))
    });
    let rounds: Vec<Round> = rounds.collect();
    let least = rounds.iter().map(Round::p99).fold(f64::MAX, f64::min);
    median(rounds).row("cached, open loop of 2,000/s, HTTP/2 (aim: p99 3 ms)");
    println!("{:<58} {:>9} {:>8} {least:>8.2}", "  the best of its rounds", "", "");
}

/// As many as can be answered, beside a route that answers a constant.
fn ceiling(bench: &Bench<'_>) {
    const COUNT: usize = 15_000;
    let registry = registry(Duration::ZERO);
    let served =
        bench.place.webhook(Limits { present: Duration::from_secs(3600), ..Limits::webhook() });
    let constant = bench.place.constant();
    let bodies = reviews(&registry, "ceiling", 100, 1);
    for (version, name) in [(Version::Http1, "HTTP/1.1"), (Version::Http2, "HTTP/2")] {
        bench.closed(&served.target, version, 16, &bodies, 2000);
        bench.closed(&constant.target, version, 16, &bodies, 2000);
        let (mut ours, mut limit) = (Vec::new(), Vec::new());
        // In turn, so that a busy machine troubles both.
        for _ in 0..ROUNDS {
            let load =
                |target| round(&[&registry], || bench.closed(target, version, 16, &bodies, COUNT));
            limit.push(load(&constant.target));
            ours.push(load(&served.target));
        }
        let (ours, limit) = (median_rate(ours), median_rate(limit));
        limit.row(&format!("a constant answer, closed loop, 16 connections, {name}"));
        ours.row(&format!("cached, closed loop, 16 connections, {name}"));
        let share = 100.0 * ours.load.rate() / limit.load.rate();
        println!("{:<58} {share:>8.0}%", "  of the limit (aim: 50 %)");
    }
}

/// Pods of more images, all remembered.
fn images(bench: &Bench<'_>) {
    let registry = registry(Duration::ZERO);
    let served =
        bench.place.webhook(Limits { present: Duration::from_secs(3600), ..Limits::webhook() });
    for images in [1, 5, 20] {
        let bodies = reviews(&registry, &format!("images-{images}"), 20, images);
        let load = |count| bench.closed(&served.target, Version::Http2, 16, &bodies, count);
        load(200);
        let rounds = (0..ROUNDS).map(|_| round(&[&registry], || load(5000))).collect();
        median_rate(rounds)
            .row(&format!("cached, {images} images a Pod, closed loop, 16 connections"));
    }
}

/// Every review asks for an image that nobody asked for before.
fn cold(bench: &Bench<'_>) {
    const COUNT: usize = 4000;
    let lifted = || Limits { in_flight_host: 1024, in_flight: 4096, ..Limits::webhook() };
    for latency in [Duration::ZERO, SLOW] {
        let registry = registry(latency);
        let served = bench.place.webhook(lifted());
        let bodies = reviews(&registry, "cold", COUNT, 1);
        let ms = latency.as_millis();
        let load = || bench.closed(&served.target, Version::Http2, 64, &bodies, COUNT);
        round(&[&registry], load)
            .row(&format!("distinct images, registry at {ms} ms, 64 connections"));
        let own = |limits| {
            let served = bench.place.webhook(limits);
            let bodies = reviews(&registry, "own", 1000, 1);
            bench.open(&served.target, &reviews(&registry, "first", 1, 1), 100, 1);
            round(&[&registry], || bench.open(&served.target, &bodies, 200, bodies.len()))
        };
        let own = median((0..3).map(|_| own(Limits::webhook())).collect());
        own.row(&format!("distinct images, registry at {ms} ms, open loop of 200/s"));
        println!(
            "{:<58} {:>9} {:>8.2} {:>8.2}",
            "  beyond the registry's wait (aim: p99 5 ms)",
            "",
            own.load.percentile(50) - latency.as_secs_f64() * 1e3,
            own.p99() - latency.as_secs_f64() * 1e3
        );
    }
}

/// A thousand equal questions before any is answered.
fn equal(bench: &Bench<'_>) {
    let registry = registry(SLOW);
    let served = bench.place.webhook(Limits::webhook());
    let bodies = reviews(&registry, "equal", 1, 1);
    let load = || bench.open(&served.target, &bodies, 1_000_000, 1000);
    round(&[&registry], load).row("1,000 equal at once, nothing known (aim: 3 upstream)");
}

/// One registry of ten answers nobody; the others must not feel it.
fn hung(bench: &Bench<'_>) {
    const COUNT: usize = 3000;
    let registries: Vec<FakeRegistry> = (0..10).map(|_| registry(SLOW)).collect();
    let mut p99 = Vec::new();
    for hangs in [false, true] {
        if hangs {
            registries[9].fault(Fault::on("*", "*").hang());
        }
        let served = bench.place.webhook(Limits::webhook());
        let of =
            |registry: &FakeRegistry, count| reviews(registry, &format!("hung-{hangs}"), count, 1);
        let well: Vec<Bodies> =
            registries[..9].iter().map(|registry| of(registry, COUNT / 9)).collect();
        let well: Bodies = Arc::new(
            (0..COUNT / 9).flat_map(|nth| well.iter().map(move |of| of[nth].clone())).collect(),
        );
        let last = of(&registries[9], COUNT / 9);
        let asked: Vec<&FakeRegistry> = registries[..9].iter().collect();
        let target = &served.target;
        let round = round(&asked, || {
            thread::scope(|scope| {
                let beside = scope.spawn(|| bench.open(target, &last, 50, last.len()));
                let load = bench.open(target, &well, 450, well.len());
                beside.join().expect("the load of the tenth");
                load
            })
        });
        p99.push(round.p99());
        let state = if hangs { "the tenth hangs" } else { "all ten are well" };
        round.row(&format!("nine registries at 20 ms, 500/s over ten, {state}"));
    }
    println!(
        "{:<58} {:>9} {:>8} {:>7.2}x",
        "  moved by (aim: less than 2)",
        "",
        "",
        p99[1] / p99[0]
    );
}

/// Where a Pod may land in a large cluster: worked out, and remembered.
fn nodes(_: &Bench<'_>) {
    const NODES: usize = 5000;
    let node = |nth: usize| NodeView {
        name: format!("node-{nth}"),
        labels: (0..12).map(|label| (format!("example.com/{label}"), nth.to_string())).collect(),
        taints: vec![Taint { effect: "PreferNoSchedule".to_owned(), ..Taint::default() }],
        os: "linux".to_owned(),
        architecture: if nth.is_multiple_of(3) { "arm64" } else { "amd64" }.to_owned(),
        runtime: "containerd://2.1.4".to_owned(),
        ..NodeView::default()
    };
    let nodes = Nodes::fixed((0..NODES).map(node).collect());
    let constraints = NodeConstraints::default();
    println!("\n{:<58} {:>9}", "where a Pod may land among 5,000 nodes", "us");
    for name in ["the first of its kind", "again"] {
        let started = Instant::now();
        std::hint::black_box(nodes.landing(&constraints));
        println!("{name:<58} {:>9.1}", started.elapsed().as_secs_f64() * 1e6);
    }
}

/// The program alone: at rest, and with as many facts as it may remember.
fn memory(bench: &Bench<'_>) {
    const FACTS: usize = 50_000;
    const A_POD: usize = 100;
    // It knows every tag, so that the bench need not hold them.
    let config = Config::open().script(|request| {
        let name = request.path().rsplit_once("/manifests/")?.1;
        let answer = Answer::new(200, media_type::MANIFEST, Vec::new());
        Some(answer.with("docker-content-digest", &sha256(name.as_bytes())))
    });
    let registry = FakeRegistry::start_blocking(config);
    let program = bench.place.program();
    let idle = program.resident();
    let pods = (0..FACTS / A_POD).map(|pod| {
        let images: Vec<String> = (0..A_POD)
            .map(|nth| format!("{}/team-{}/service:1.{pod}.{nth}", registry.host(), nth % 20))
            .collect();
        review(&images)
    });
    let bodies: Bodies = Arc::new(pods.collect());
    let load = || bench.closed(&program.target, Version::Http2, 4, &bodies, bodies.len());
    let first = load();
    let full = program.resident();
    registry.reset_counts();
    let again = load();
    let (kept, plain) = (FACTS - registry.count().min(FACTS), first.odd + again.odd == 0);
    println!("\n{:<58} {:>9}", "memory of `serve --no-cluster`", "MiB");
    println!("{:<58} {idle:>9.1}", "at rest (aim: 20)");
    println!("{:<58} {full:>9.1}", "50,000 images remembered (aim: 128)");
    println!("{:<58} {:>9.1}", "after the same reviews again", program.resident());
    println!("  {kept} of {FACTS} were answered from memory, all plainly: {plain}");
}

/// A registry that asks everyone to log in and waits before every answer.
fn registry(latency: Duration) -> FakeRegistry {
    FakeRegistry::start_blocking(Config::bearer().latency(latency))
}

/// So many reviews of Pods of so many images each, all distinct and all in the registry.
fn reviews(registry: &FakeRegistry, name: &str, count: usize, images: usize) -> Bodies {
    let of = |pod: usize| {
        let push = |nth: usize| {
            let (repository, tag) = (format!("team-{}/{name}", nth % 4), format!("1.{pod}.{nth}"));
            registry.push_image(&repository, &tag, "linux/amd64");
            format!("{}/{repository}:{tag}", registry.host())
        };
        review(&(0..images).map(push).collect::<Vec<_>>())
    };
    Arc::new((0..count).map(of).collect())
}

/// The review of a Pod that a Deployment made, filled up to the usual size.
fn review(images: &[String]) -> Bytes {
    let field = |nth: usize| format!("k:{{\"name\":\"SETTING_{nth:02}\"}}");
    let value = json!({".": {}, "f:name": {}, "f:value": {}});
    let fields = |count| (0..count).map(|nth| (field(nth), value.clone())).collect();
    let without = written(images, &fields(0)).len();
    let each = written(images, &fields(1)).len() + 1 - without;
    written(images, &fields(REVIEW.saturating_sub(without).div_ceil(each))).into()
}

fn written(images: &[String], fields: &BTreeMap<String, Value>) -> String {
    let container = |(nth, image): (usize, &String)| {
        json!({
            "name": format!("app-{nth}"), "image": image, "imagePullPolicy": "IfNotPresent",
            "args": ["--listen=:8080", "--log-level=info"],
            "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}],
            "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
            "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10},
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "volumeMounts": [{"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": "kube-api-access-x7k2p", "readOnly": true}],
        })
    };
    let containers: Vec<Value> = images.iter().enumerate().map(container).collect();
    let projected = json!([
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
    ]);
    let tolerations: Vec<Value> = ["not-ready", "unreachable"]
        .map(|state| json!({"effect": "NoExecute", "key": format!("node.kubernetes.io/{state}"), "operator": "Exists", "tolerationSeconds": 300}))
        .to_vec();
    let object = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "generateName": "cart-5d8f7b9c6d-", "namespace": "shop",
            "labels": {"app.kubernetes.io/name": "cart", "pod-template-hash": "5d8f7b9c6d"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart-5d8f7b9c6d",
                "uid": "0b1f3f0e-6f0a-4a55-9d0e-6d1d0b3f6a11", "controller": true, "blockOwnerDeletion": true}],
            "managedFields": [{"apiVersion": "v1", "fieldsType": "FieldsV1", "manager": "kube-controller-manager",
                "operation": "Update", "time": "2026-01-01T00:00:00Z",
                "fieldsV1": {"f:spec": {"f:containers": {"f:env": fields}}}}],
        },
        "spec": {
            "containers": containers, "dnsPolicy": "ClusterFirst", "enableServiceLinks": true,
            "preemptionPolicy": "PreemptLowerPriority", "priority": 0, "restartPolicy": "Always",
            "schedulerName": "default-scheduler", "securityContext": {}, "serviceAccountName": "cart",
            "terminationGracePeriodSeconds": 30, "tolerations": tolerations,
            "volumes": [{"name": "kube-api-access-x7k2p", "projected": {"defaultMode": 420, "sources": projected}}],
        },
        "status": {},
    });
    let resource = json!({"group": "", "version": "v1", "resource": "pods"});
    let kind = json!({"group": "", "version": "v1", "kind": "Pod"});
    let groups =
        ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"];
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "kind": kind, "resource": resource,
            "requestKind": kind, "requestResource": resource, "namespace": "shop", "operation": "CREATE",
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller",
                "uid": "f6b0c2c8-6d6b-4f0c-8a53-3f0b9b1d6f22", "groups": groups},
            "object": object, "oldObject": null, "dryRun": false,
            "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
        },
    });
    review.to_string()
}
