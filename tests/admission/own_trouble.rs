//! What is short or broken on our own side: memory, descriptors, threads, a check that panics, an API
//! server whose watches end all the time. It denies nobody, is told, and is over when it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use futures_util::StreamExt as _;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};

use super::hook::{Setup, client, image, pod, registry, review, runtime, with};
use super::process::{Program, Strict, plain, validate};
use crate::cluster_room::stub::{ApiServer, Fault as StubFault, eventually, kubeconfig};
use crate::support::Fault;

/// Bounds what the program may have from now on; it may be widened again.
fn limit(program: &Program, resource: Resource, most: Option<u64>) {
    // The program was born with our own bounds, and only root may raise those.
    let maximum = getrlimit(resource).maximum;
    let current = most.or(maximum);
    prlimit(Some(Pid::from_child(&program.child)), resource, Rlimit { current, maximum }).unwrap();
}

/// Nothing can be dialled, so nothing is known of any image.
#[tokio::test(flavor = "multi_thread")]
async fn f46_without_descriptors_nobody_is_denied_and_with_them_all_is_as_before() {
    let registry = registry().await;
    let strict = Strict::start(&[&registry], &[]);
    let of = |tag: &str| pod(&[&image(&registry, &format!("app:{tag}"))]);
    strict.validate(of("gone")).await.denies("tag-not-found");
    // The connection to the registry is not kept, the one to the webhook is.
    registry.fault(Fault::on("*", "*").close().times(2));
    strict.validate(of("lost")).await.warns("could not tell");
    let open = strict.program.usage().descriptors as u64;
    limit(&strict.program, Resource::Nofile, Some(open - 2));
    let before = registry.count();
    for nth in 0..2 {
        strict.validate(of(&format!("gone-too-{nth}"))).await.warns("could not tell");
    }
    assert_eq!(registry.count(), before, "it could dial: {:?}", registry.log());
    limit(&strict.program, Resource::Nofile, None);
    let began = Instant::now();
    for nth in 0.. {
        let answer = strict.validate(of(&format!("gone-at-last-{nth}"))).await;
        if !answer.allowed() {
            answer.denies("tag-not-found");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    strict.validate(of("1")).await.silent();
}

/// F47: many distinct references under 256 MiB of memory that can be written (`RLIMIT_DATA`), half of
/// what the chart allows: facts make room for others, large bodies that there is no room for are
/// refused, and nobody is denied by a policy that denies what is certain. `PULLPROOF_REFERENCES` names
/// another number than the default.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "figures for who makes it long")]
async fn f47_with_little_memory_and_references_without_end_it_lives_and_answers_all() {
    const MIB: u64 = 1 << 20;
    let named = std::env::var("PULLPROOF_REFERENCES").ok();
    let references: usize = named.map_or(2_000, |text| text.parse().expect("a number"));
    let registry = registry().await;
    // Each is another one, is there, and has a long name.
    registry.fault(Fault::in_repository("a*").instead("/v2/app/manifests/1"));
    let more = ["--namespace-rate", "0", "--threads", "2"];
    let Strict { program, client, .. } = &Strict::start(&[&registry], &more);
    limit(program, Resource::Data, Some(256 * MIB));
    let start = program.usage();

    let large = {
        let mut object = pod(&[]);
        object["metadata"]["annotations"] = json!({"pad": "x".repeat(7 << 20)});
        Bytes::from(review(object).to_string())
    };
    let (mut asked, mut checked, mut refused, mut rounds) = (0, 0, 0, 0);
    while asked < references {
        let reviews = (0..4).map(|_| {
            let name = |nth| image(&registry, &format!("a{nth}/{}:1", "long/".repeat(40) + "b"));
            let images: Vec<String> = (asked..asked + 50).map(name).collect();
            asked += 50;
            pod(&images.iter().map(String::as_str).collect::<Vec<_>>())
        });
        let reviews: Vec<Value> = reviews.map(review).collect();
        // While as much of large bodies is held as may be, small ones are answered.
        let held = Held::default();
        let bodies = match asked % 1_000 {
            200 => (0..LARGE).map(|_| held.send(client, program, &large)).collect(),
            _ => Vec::new(),
        };
        let is_large = !bodies.is_empty();
        let small = async {
            if is_large {
                held.filled().await;
            }
            let answers = reviews.iter().map(|review| validate(client, program, review));
            let release = async {
                tokio::time::sleep(Duration::from_millis(500)).await;
                held.release();
            };
            tokio::join!(futures_util::future::join_all(answers), release).0
        };
        let (answers, statuses) = tokio::join!(small, futures_util::future::join_all(bodies));
        for answer in answers {
            assert!(answer.allowed(), "{answer:?}");
            let open = answer.warnings().is_empty() || answer.text().contains("could not tell");
            assert!(open, "nothing is wrong with any: {answer:?}");
            checked += usize::from(answer.warnings().is_empty());
        }
        let over = statuses.iter().filter(|status| **status == 503).count();
        // 96 MiB hold thirteen of them; those that grow at the same time may all be refused.
        assert!(!is_large || (LARGE - 13..LARGE).contains(&over), "{statuses:?}");
        // Those that are held may be too late, on a busy machine, and are told so.
        let late = statuses.iter().filter(|status| **status == 408).count();
        assert!(statuses.iter().all(|status| matches!(status, 200 | 408 | 503)), "{statuses:?}");
        assert!(!is_large || late < LARGE - over, "none was answered: {statuses:?}");
        refused += over;
        rounds += usize::from(is_large);
    }
    assert!(rounds > 0 && refused > 0, "{refused} refused in {rounds} rounds");
    let end = program.usage();
    println!(
        "{asked} references: {checked} of {} reviews in time, {refused} bodies refused, {} MiB at \
         the start, {} at the end",
        asked / 50,
        start.rss >> 20,
        end.rss >> 20
    );
    assert!(checked > 0, "nothing was ever checked");
    assert!(registry.count() > asked / 2, "{} requests", registry.count());
    assert!(end.rss < 256 << 20, "{} MiB", end.rss >> 20);
    validate(client, program, &review(pod(&[&image(&registry, "app:1")]))).await.silent();
    // The policy is one that denies.
    let gone = pod(&[&image(&registry, "gone:1")]);
    validate(client, program, &review(gone)).await.denies("gone:1");
    let metrics = program.metrics().await;
    assert!(metrics.contains("pullproof_panics_total 0\n"), "{metrics}");
}

/// Large bodies that are sent at once.
const LARGE: usize = 16;

/// Bodies that come but for their end, until they are told to.
#[derive(Default)]
struct Held {
    is_over: Arc<AtomicBool>,
    refused: AtomicUsize,
}

impl Held {
    /// Sends all but the last byte, and that after the release; the status of the answer.
    async fn send(&self, client: &reqwest::Client, program: &Program, body: &Bytes) -> u16 {
        let (most, last) = (body.slice(..body.len() - 1), body.slice(body.len() - 1..));
        let is_over = Arc::clone(&self.is_over);
        let end = async move {
            while !is_over.load(Relaxed) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            last
        };
        let most = futures_util::future::ready(most);
        let parts = futures_util::stream::once(most).chain(futures_util::stream::once(end));
        let frames = parts.map(|part| Ok::<_, std::io::Error>(hyper::body::Frame::data(part)));
        let body = reqwest::Body::wrap(http_body_util::StreamBody::new(frames));
        let url = format!("https://{}/validate?timeout=5s", program.address);
        let status = client.post(url).body(body).send().await.unwrap().status().as_u16();
        self.refused.fetch_add(usize::from(status == 503), Relaxed);
        status
    }

    /// Waits until one found no room, or for so long that they all have it.
    async fn filled(&self) {
        for _ in 0..100 {
            if self.refused.load(Relaxed) > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // What grew beside it is whole or refused by then.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    fn release(&self) {
        self.is_over.store(true, Relaxed);
    }
}

/// F49: a check that panics. A lifetime that no clock can hold stands for whatever the fault may be.
#[tokio::test]
async fn f49_a_check_that_panics_admits_its_own_review_and_touches_no_other() {
    let registry = registry().await;
    let mut setup = Setup::of(&[registry.host()]).deny();
    setup.settings.limits.absent = Duration::MAX;
    let hook = Arc::new(setup.start().await);
    let bad = review(pod(&[&image(&registry, "app:gone")]));
    let good = review(pod(&[&image(&registry, "app:1")]));
    let both = (0..20).flat_map(|_| [&bad, &good]).map(async |review| {
        let answer = hook.send("validate?timeout=5s", review).await;
        if std::ptr::eq(review, &bad) {
            answer.warns("a fault of its own");
        } else {
            answer.silent();
        }
    });
    futures_util::future::join_all(both).await;
    assert_eq!(hook.metric("pullproof_panics_total"), 20.0);
    assert_eq!(hook.metric("pullproof_reviews_in_flight"), 0.0);
    let failed = "pullproof_reviews_total{endpoint=\"validate\",verdict=\"failed\"}";
    assert_eq!(hook.metric(failed), 20.0);
}

/// F49: a call that blocks its thread takes that thread, and no review with it.
#[tokio::test(flavor = "multi_thread")]
async fn f49_a_call_that_blocks_a_thread_holds_up_no_review() {
    const BLOCKED: Duration = Duration::from_secs(3);
    let registry = registry().await;
    let own = runtime();
    let mut setup = Setup::of(&[registry.host()]).deny();
    setup.runtime = own.handle().clone();
    let hook = setup.start().await;
    hook.validate(pod(&[&image(&registry, "app:1")])).await.silent();
    let (began, blocked) = (Instant::now(), own.spawn(async { std::thread::sleep(BLOCKED) }));
    let (mut answered, mut longest) = (0, Duration::ZERO);
    while began.elapsed() < BLOCKED - Duration::from_secs(1) {
        let asked = Instant::now();
        registry.push_image("app", &format!("n{answered}"), "linux/amd64");
        hook.validate(pod(&[&image(&registry, &format!("app:n{answered}"))])).await.silent();
        longest = longest.max(asked.elapsed());
        answered += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!blocked.is_finished(), "nothing was blocked");
    assert!(answered > 10 && longest < Duration::from_millis(1500), "{answered}, {longest:?}");
    drop(hook);
    own.shutdown_background();
}

/// F36: it answers that it is not ready as long as it does not know what to judge by, and lives.
#[tokio::test(flavor = "multi_thread")]
async fn f36_started_before_its_api_server_it_waits_and_is_ready_soon_after_it_is_there() {
    let host = ApiServer::start().await.stop().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    std::fs::write(&file, kubeconfig(&host)).unwrap();
    let program = Program::start_in(&["--kubeconfig", file.to_str().unwrap()], "", &[]);
    let client = client(&program.authority).build().unwrap();
    let told = async |path: &str| {
        let asked = client.get(format!("https://{}/{path}", program.address)).send();
        asked.await.unwrap().status().as_u16()
    };
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        assert_eq!((told("readyz").await, told("livez").await), (503, 200));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let api = ApiServer::start_at(&host).await;
    let policies = "/apis/pullproof.dev/v1alpha1/imagecheckpolicies";
    api.fail(policies, StubFault::Status(503));
    api.list("/api/v1/nodes", Vec::new());
    api.list(policies, Vec::new());
    eventually(|| api.asked(policies) > 0, "nobody asks for policies").await;
    assert_eq!(told("readyz").await, 503, "ready without policies");
    api.mend();
    let back = Instant::now();
    while told("readyz").await != 200 {
        assert!(back.elapsed() < Duration::from_secs(20), "it is never ready");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// F40: hundreds of Nodes with large annotations, told of again and again and listed anew after each
/// 410; what is kept of them is what decides.
#[tokio::test(flavor = "multi_thread")]
async fn f40_watches_that_end_all_the_time_leave_the_memory_flat_and_the_last_word_counting() {
    const NODES: &str = "/api/v1/nodes";
    const POLICIES: &str = "/apis/pullproof.dev/v1alpha1/imagecheckpolicies";
    const MANY: usize = 300;
    let node = |name: String, arch: &str, version: usize| {
        json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "uid": name, "resourceVersion": version.to_string(),
                "annotations": {"large": "x".repeat(4 << 10), "beat": version.to_string()},
                "labels": {"kubernetes.io/os": "linux", "kubernetes.io/arch": arch}},
            "spec": {},
            "status": {"nodeInfo": {"operatingSystem": "linux", "architecture": arch,
                "containerRuntimeVersion": "containerd://2.0.0", "machineID": "", "systemUUID": "",
                "bootID": "", "kernelVersion": "", "osImage": "", "kubeletVersion": "",
                "kubeProxyVersion": ""}}})
    };
    let policy = |name: String, action: &str| {
        json!({"apiVersion": "pullproof.dev/v1alpha1", "kind": "ImageCheckPolicy",
            "metadata": {"name": name, "uid": name, "resourceVersion": "1"},
            "spec": {"action": action}})
    };
    let gone = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old resource version"});
    let (api, registry) = (ApiServer::start().await, registry().await);
    registry.push_index("app", "arm", &["linux/arm64".into()]);
    let account = "/api/v1/namespaces/shop/serviceaccounts/default";
    api.put(account, json!({"kind": "ServiceAccount"}));
    api.list(NODES, vec![node("a".into(), "amd64", 1)]);
    api.list(POLICIES, vec![policy("first".into(), "Warn")]);
    let kubeconfig = api.kubeconfig();
    let program = Program::start_in(
        &["--kubeconfig", kubeconfig.to_str().unwrap()],
        &plain(&[&registry]),
        &[],
    );
    let client = client(&program.authority).build().unwrap();
    let told = async |part: &str| program.metrics().await.contains(part);
    let mut settled = 0;
    for round in 0..7 {
        // Other names each time: those of earlier rounds are gone.
        let all = (0..MANY).map(|nth| node(format!("n{round}-{nth}"), "arm64", round)).collect();
        api.list(NODES, all);
        let policies = (0..=round % 3).map(|nth| policy(format!("p{round}-{nth}"), "Warn"));
        api.list(POLICIES, policies.collect());
        for path in [NODES, POLICIES] {
            let before = api.asked(path);
            let told_and_listed_again = || {
                api.offer(path, "ERROR", &gone);
                api.asked(path) > before
            };
            eventually(told_and_listed_again, "nobody lists again").await;
        }
        let accepted = format!("pullproof_policies{{state=\"accepted\"}} {}\n", round % 3 + 1);
        let began = Instant::now();
        while !told(&accepted).await {
            assert!(began.elapsed() < Duration::from_secs(30), "{accepted} is never told");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        api.watched(NODES).await;
        for nth in 0..MANY {
            let beat = node(format!("n{round}-{nth}"), "arm64", 1000 + nth);
            api.offer(NODES, "MODIFIED", &beat);
            api.offer(NODES, "MODIFIED", &beat);
        }
        // A watch that brings something ends the pauses that grow with each failure.
        api.watched(POLICIES).await;
        for _ in 0..10 {
            api.offer(POLICIES, "MODIFIED", &policy(format!("p{round}-0"), "Warn"));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if round == 2 {
            settled = program.usage().rss;
        }
    }
    let grown = program.usage().rss.saturating_sub(settled);
    assert!(grown < 12 << 20, "{} MiB more than {}", grown >> 20, settled >> 20);
    // The last word: all Nodes are arm64, and one policy denies.
    assert!(api.asked(NODES) >= 14, "the Nodes were not listed again and again");
    let image = |tag: &str| review(pod(&[&image(&registry, &format!("app:{tag}"))]));
    let began = Instant::now();
    while validate(&client, &program, &image("gone")).await.allowed() {
        api.offer(POLICIES, "ADDED", &policy("last".into(), "Deny"));
        assert!(began.elapsed() < Duration::from_secs(30), "the last policy does not count");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    validate(&client, &program, &image("arm")).await.silent();
}

/// B30: what people write into annotations and names never reaches the log as it is.
#[tokio::test(flavor = "multi_thread")]
async fn b30_annotations_are_in_no_log_and_names_drive_none() {
    let registry = registry().await;
    let mut strict = Strict::start(&[&registry], &["--verbose"]);
    let mut object = pod(&[&image(&registry, "app:gone")]);
    object["metadata"]["name"] = json!("web\r\n\u{1b}[31m{\"level\":\"forged\"}");
    object["metadata"]["annotations"] = json!({
        "note": "canary-annotation\u{1b}]0;x\u{7}\r\n",
        "long": "canary-annotation".repeat(16 << 10),
    });
    let mut sent = with(review(object), "uid", "uid-of-what-is-forged");
    sent["request"]["name"] = sent["request"]["object"]["metadata"]["name"].clone();
    validate(&strict.client, &strict.program, &sent).await.denies("tag-not-found");
    let log = strict.program.end();
    assert!(log.contains("tag-not-found"), "{log}");
    for line in log.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
        assert!(!line.contains("canary-annotation") && !line.chars().any(char::is_control));
    }
    let judged = judged(&log, "uid-of-what-is-forged");
    assert_eq!(judged.len(), 1, "{log}");
}

/// The lines of a log that tell of images of the review of that uid.
fn judged(log: &str, uid: &str) -> Vec<Value> {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    lines.filter(|line| line["message"] == "judged" && line["uid"] == uid).collect()
}

/// Who is denied finds the uid in the API server's audit log, and by it everything here.
#[tokio::test(flavor = "multi_thread")]
async fn each_image_that_is_not_simply_allowed_is_a_line_of_json_with_the_uid_of_its_review() {
    let registry = registry().await;
    registry.fault(Fault::in_repository("sick").answer(503));
    let mut strict = Strict::start(&[&registry], &[]);
    let of = |names: &[&str]| {
        let images: Vec<String> = names.iter().map(|name| image(&registry, name)).collect();
        pod(&images.iter().map(String::as_str).collect::<Vec<_>>())
    };
    for (uid, names) in
        [("uid-good", vec!["app:1"]), ("uid-bad", vec!["app:1", "app:gone", "sick:1"])]
    {
        let sent = with(review(of(&names)), "uid", uid);
        let answer = validate(&strict.client, &strict.program, &sent).await;
        assert_eq!(answer.allowed(), uid == "uid-good", "{answer:?}");
    }
    let log = strict.program.end();
    assert!(judged(&log, "uid-good").is_empty(), "{log}");
    let lines = judged(&log, "uid-bad");
    let told: Vec<[&str; 5]> = lines
        .iter()
        .map(|line| {
            ["cause", "verdict", "image", "namespace", "kind"].map(|it| line[it].as_str().unwrap())
        })
        .collect();
    let (gone, sick) = (image(&registry, "app:gone"), image(&registry, "sick:1"));
    let deny = ["tag-not-found", "deny", gone.as_str(), "shop", "Pod"];
    let warn = ["registry-error", "warn", sick.as_str(), "shop", "Pod"];
    assert_eq!(told, [deny, warn], "{log}");
    assert_eq!(lines[0]["policy"], "strict");
    assert_eq!(lines[0]["level"], "INFO", "{log}");
}
