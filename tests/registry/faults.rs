//! Hosts that are dead, slow, or break off: classed as the environment's fault, in bounded time.

use super::*;
use crate::support::{Config, FakeRegistry, Fault, FullBacklog, RawServer, closed_port};

const MANIFEST: &str = "/v2/app/manifests/1";

async fn registry() -> FakeRegistry {
    let registry = FakeRegistry::start(Config::open()).await;
    registry.push_image("app", "1", "linux/amd64");
    registry
}

/// Asks a registry with this fault for `app:1`.
async fn with(fault: Fault) -> (FakeRegistry, Asked) {
    let registry = registry().await;
    registry.fault(fault);
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    (registry, asked)
}

fn app(registry: &FakeRegistry) -> Ask {
    image(format!("{}/app:1", registry.host()))
}

#[tokio::test]
async fn f01_a_registry_that_does_not_listen_is_refused_at_once() {
    let client = client(&settings());
    // Once to load the system's authorities, which takes its time.
    image(format!("{}/app:1", closed_port())).of(&client).await;
    let asked = image(format!("{}/app:1", closed_port())).of(&client).await;
    assert_eq!(asked.id(), "connection-refused");
    assert!(asked.is_inconclusive());
    assert!(asked.took < Duration::from_secs(3), "{:?}", asked.took);
    assert_eq!(client.requests(), 0);
}

#[tokio::test]
async fn f02_dropped_packets_end_with_the_deadline_for_connecting() {
    let deaf = FullBacklog::start().await;
    let asked = image(format!("{}/app:1", deaf.host())).of(&plain_client(deaf.host())).await;
    assert_eq!(asked.id(), "timeout");
    assert!(asked.is_inconclusive());
    assert!(asked.took < Duration::from_secs(3), "{:?}", asked.took);
}

#[tokio::test]
async fn f02_a_host_that_drops_packets_holds_up_no_second_question() {
    let deaf = FullBacklog::start().await;
    let client = plain_client(deaf.host());
    image(format!("{}/app:1", deaf.host())).of(&client).await;
    let asked = image(format!("{}/app:2", deaf.host())).of(&client).await;
    assert_eq!(asked.id(), "timeout");
    assert!(asked.took < Duration::from_millis(300), "{:?}", asked.took);
}

#[tokio::test]
async fn f03_a_handshake_that_never_ends_is_a_timeout_and_gives_its_permit_back() {
    let silent = RawServer::silent().await;
    let authority = crate::support::tls::Authority::new();
    let mut entry = trusting(&authority);
    entry.requests_in_flight = Some(1);
    let client = client(&settings_for(silent.host(), entry));
    for tag in ["1", "2"] {
        let asked = image(format!("{}/app:{tag}", silent.host())).of(&client).await;
        assert_eq!(asked.id(), "timeout");
        assert!(asked.took < Duration::from_secs(3), "{:?}", asked.took);
    }
}

#[tokio::test]
async fn f04_headers_that_drip_end_with_the_deadline_for_headers() {
    let drip = Fault::on("HEAD", MANIFEST).slow_headers(Duration::from_millis(100));
    let (_registry, asked) = with(drip).await;
    assert_eq!(asked.id(), "timeout");
    assert!(asked.took < Duration::from_secs(3), "{:?}", asked.took);
}

#[tokio::test]
async fn f05_a_body_that_drips_for_ever_ends_with_the_question() {
    let registry = registry().await;
    let digest = registry.push_image("app", "1", "linux/amd64");
    let path = format!("/v2/app/manifests/{digest}");
    registry.fault(Fault::on("GET", &path).slow_body(Duration::from_millis(200)));
    let client = plain_client(registry.host());
    let asked = app(&registry).platform("linux/amd64").of(&client).await;
    assert_eq!(asked.id(), "timeout");
    assert!(asked.took < limits().question + Duration::from_secs(1), "{:?}", asked.took);
    registry.clear_faults();
    let asked = app(&registry).platform("linux/amd64").of(&client).await;
    assert_eq!(asked.id(), "pullable", "nothing is held up: {asked:?}");
}

#[tokio::test]
async fn f29_many_questions_to_a_hung_host_end_together_and_hold_up_no_other() {
    let (hung, healthy) = (registry().await, registry().await);
    hung.fault(Fault::on("*", "*").hang());
    let mut settings = settings_for(hung.host(), plain_http());
    settings.registries = settings.registries.with_host(healthy.host(), plain_http());
    let client = client(&settings);
    let started = Instant::now();
    let asks = (0..100).map(|n| image(format!("{}/app:{n}", hung.host())).of(&client));
    let (hung, healthy) = tokio::join!(futures_util::future::join_all(asks), async {
        app(&healthy).of(&client).await
    });
    assert!(started.elapsed() < limits().question + Duration::from_secs(1));
    assert!(hung.iter().all(|asked| asked.id() == "timeout"), "{hung:?}");
    assert_eq!(healthy.id(), "pullable");
    assert!(healthy.took < Duration::from_secs(1), "{:?}", healthy.took);
}

#[tokio::test]
async fn f06_an_endless_manifest_is_cut_at_the_limit() {
    let registry = registry().await;
    registry.fault(Fault::on("HEAD", MANIFEST).answer(405));
    registry.fault(Fault::on("GET", MANIFEST).endless_body());
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    assert_eq!(asked.id(), "too-large");
    assert!(asked.is_inconclusive());
    assert_eq!(registry.count_of("GET", MANIFEST), 1);
}

#[tokio::test]
async fn f07_a_length_of_ten_gibibytes_is_refused_before_reading() {
    for method in ["HEAD", "GET"] {
        let registry = registry().await;
        if method == "GET" {
            registry.fault(Fault::on("HEAD", MANIFEST).answer(405));
        }
        registry.fault(Fault::on(method, MANIFEST).claims_length(10 << 30));
        let asked = app(&registry).of(&plain_client(registry.host())).await;
        assert_eq!(asked.id(), "too-large", "{method}");
        assert!(asked.took < Duration::from_secs(2), "{method}: {:?}", asked.took);
    }
}

#[tokio::test]
async fn f08_a_body_shorter_than_announced_is_a_bad_answer_and_no_absence() {
    let registry = registry().await;
    registry.fault(Fault::on("HEAD", MANIFEST).answer(405));
    registry.fault(Fault::on("GET", MANIFEST).short_body());
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    assert_eq!(asked.id(), "bad-answer");
    assert!(asked.is_inconclusive());
}

#[tokio::test]
async fn f09_a_reset_is_tried_once_more_and_then_unreachable() {
    let registry = registry().await;
    registry.fault(Fault::on("HEAD", MANIFEST).answer(405));
    registry.fault(Fault::on("GET", MANIFEST).reset_mid_body());
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    assert_eq!(asked.id(), "unreachable");
    assert_eq!(registry.count_of("GET", MANIFEST), 2);

    for fault in [Fault::on("HEAD", MANIFEST).close(), Fault::on("HEAD", MANIFEST).reset_mid_body()]
    {
        let (registry, asked) = with(fault.clone()).await;
        assert_eq!((asked.id(), registry.count()), ("unreachable", 2));
        let (registry, asked) = with(fault.once()).await;
        assert_eq!((asked.id(), registry.count()), ("pullable", 2));
    }
}

#[tokio::test]
async fn f10_a_503_is_asked_once_more() {
    let (registry, asked) = with(Fault::on("*", MANIFEST).answer(503).once()).await;
    assert_eq!(asked.id(), "pullable");
    assert_eq!(registry.log(), [format!("HEAD {MANIFEST}"), format!("GET {MANIFEST}")]);
    let (registry, asked) = with(Fault::on("*", MANIFEST).answer(503)).await;
    assert_eq!((asked.id(), registry.count()), ("registry-error", 2));
    assert!(asked.is_inconclusive());
}

#[tokio::test]
async fn f14_a_429_is_no_reason_to_ask_again() {
    let remaining = Config::open().header("ratelimit-remaining", "0;w=21600");
    let registry = FakeRegistry::start(remaining).await;
    registry.push_image("app", "1", "linux/amd64");
    let client = plain_client(registry.host());
    assert_eq!(app(&registry).of(&client).await.id(), "pullable", "a used up limit is no refusal");
    registry.fault(Fault::in_repository("other").answer(429));
    let other = || image(format!("{}/other:1", registry.host()));
    for _ in 0..3 {
        let asked = other().of(&client).await;
        assert_eq!((asked.id(), asked.is_inconclusive()), ("rate-limited", true));
    }
    assert_eq!(registry.count_of("*", "/v2/other/"), 1);
}

#[tokio::test]
async fn f13_no_retry_after_is_too_odd() {
    for odd in ["-1", "1000000000", "Wed, 21 Oct 2037 07:28:00 GMT", "soon", "99999999999999999999"]
    {
        let (registry, asked) = with(Fault::on("*", MANIFEST).retry_after(odd)).await;
        assert_eq!((asked.id(), registry.count()), ("rate-limited", 1), "{odd}");
        assert!(!asked.text().contains("1000000000"), "{asked:?}");
    }
}

#[tokio::test]
async fn f15_head_that_fails_is_asked_by_get_and_405_is_remembered() {
    for (status, head_again) in [(500, true), (405, false), (501, false)] {
        let registry = registry().await;
        registry.push_image("app", "2", "linux/amd64");
        registry.fault(Fault::on("HEAD", "*").answer(status));
        let client = plain_client(registry.host());
        assert_eq!(app(&registry).of(&client).await.id(), "pullable", "{status}");
        assert_eq!(registry.log(), [format!("HEAD {MANIFEST}"), format!("GET {MANIFEST}")]);
        registry.reset_counts();
        let second = image(format!("{}/app:2", registry.host())).of(&client).await;
        assert_eq!(second.id(), "pullable");
        assert_eq!(registry.count_of("HEAD", "*"), usize::from(head_again), "{status}");
        assert_eq!(registry.count_of("GET", "*"), 1, "{status}");
    }
}

#[tokio::test]
async fn f16_head_without_a_digest_is_asked_by_get_and_the_digest_is_computed() {
    let registry = registry().await;
    let digest = registry.push_image("app", "1", "linux/amd64");
    registry.fault(Fault::on("*", MANIFEST).without_header("docker-content-digest"));
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    assert_eq!(asked.diagnosis.digest.as_ref().unwrap().to_string(), digest);
    assert_eq!(registry.log(), [format!("HEAD {MANIFEST}"), format!("GET {MANIFEST}")]);
}

#[tokio::test]
async fn f23_a_dead_host_of_blobs_leaves_the_manifest_found_and_the_platform_open() {
    let registry = registry().await;
    registry.push_image("other", "1", "linux/amd64");
    let dead = format!("http://{}", closed_port());
    registry.fault(Fault::on("GET", "/v2/app/blobs/").redirect_to_host(&dead));
    let client = plain_client(registry.host());
    assert_eq!(app(&registry).of(&client).await.id(), "pullable");
    let asked = app(&registry).platform("linux/amd64").of(&client).await;
    assert_eq!((asked.id(), asked.is_inconclusive()), ("connection-refused", true));
    assert!(asked.diagnosis.summary.contains(&dead[7..]), "{asked:?}");
}

#[tokio::test]
async fn f23_a_dead_host_of_blobs_speaks_not_for_its_registry() {
    let registry = registry().await;
    registry.push_image("other", "1", "linux/amd64");
    let dead = format!("http://{}", closed_port());
    registry.fault(Fault::on("GET", "/v2/app/blobs/").redirect_to_host(&dead));
    let client = plain_client(registry.host());
    app(&registry).platform("linux/amd64").of(&client).await;
    let other = image(format!("{}/other:1", registry.host())).of(&client).await;
    assert_eq!(other.id(), "pullable", "{other:?}");
}

#[tokio::test]
async fn f24_a_tag_with_two_digests_in_turn_is_read_by_the_one_found() {
    let registry = registry().await;
    let first = registry.push_image("app", "1", "linux/amd64");
    registry.push_image("app", "2", "linux/arm64");
    registry.fault(Fault::on("*", MANIFEST).instead("/v2/app/manifests/2").nth(2));
    let asked = app(&registry).platform("linux/amd64").of(&plain_client(registry.host())).await;
    assert_eq!(asked.id(), "pullable");
    assert_eq!(asked.diagnosis.digest.unwrap().to_string(), first);
    assert_eq!(registry.count_of("*", MANIFEST), 1, "the content is read by digest");
}
