//! Answers that are no registry's, or break the protocol: bad answers, never an image that is there
//! and never one that is absent.

use super::*;
use crate::support::{Config, FakeRegistry, Fault, media_type, sha256};

const MANIFEST: &str = "/v2/app/manifests/1";

async fn registry() -> FakeRegistry {
    let registry = FakeRegistry::start(Config::open()).await;
    registry.push_image("app", "1", "linux/amd64");
    registry
}

/// Asks for `app:1`, and for its platform too.
async fn with(fault: Fault) -> Asked {
    let registry = registry().await;
    registry.fault(fault);
    let asked =
        image(format!("{}/app:1", registry.host())).of(&plain_client(registry.host())).await;
    assert!(registry.count() <= 3, "{:?}", registry.log());
    asked
}

/// A manifest of these bytes, read for its platform.
async fn manifest(media_type: &str, bytes: impl Into<Vec<u8>>) -> Asked {
    let registry = FakeRegistry::start(Config::open()).await;
    registry.push_raw("app", "1", media_type, bytes);
    let asked = image(format!("{}/app:1", registry.host())).platform("linux/amd64");
    asked.of(&plain_client(registry.host())).await
}

#[tokio::test]
async fn b37_digest_headers_that_are_malformed_or_differ_are_bad_answers() {
    for digest in ["sha256:xyz", "nonsense", "md5:d41d8cd98f00b204e9800998ecf8427e", ""] {
        let asked = with(Fault::on("*", MANIFEST).header("docker-content-digest", digest)).await;
        assert_eq!((asked.id(), asked.is_inconclusive()), ("bad-answer", true), "{digest}");
    }
    let other = sha256(b"another manifest");
    let asked = with(Fault::on("*", MANIFEST).also_header("docker-content-digest", &other)).await;
    assert_eq!(asked.id(), "bad-answer", "two that differ");
}

#[tokio::test]
async fn b37_a_digest_header_that_is_not_that_of_the_body_is_a_bad_answer() {
    let registry = registry().await;
    let other = sha256(b"another manifest");
    registry.fault(Fault::on("HEAD", MANIFEST).answer(405));
    registry.fault(Fault::on("GET", MANIFEST).header("docker-content-digest", &other));
    let asked =
        image(format!("{}/app:1", registry.host())).of(&plain_client(registry.host())).await;
    assert_eq!((asked.id(), asked.is_inconclusive()), ("bad-answer", true), "{asked:?}");
}

#[tokio::test]
async fn b37_a_digest_that_was_asked_for_is_not_answered_by_another() {
    let registry = registry().await;
    let wanted = sha256(b"wanted");
    let path = format!("/v2/app/manifests/{wanted}");
    registry.fault(Fault::on("*", &path).instead(MANIFEST));
    let ask = image(format!("{}/app@{wanted}", registry.host()));
    let asked = ask.of(&plain_client(registry.host())).await;
    assert_eq!((asked.id(), asked.is_inconclusive()), ("bad-answer", true), "{asked:?}");
}

#[tokio::test]
async fn f26_content_without_its_digest_is_corrupt_and_not_kept() {
    let registry = registry().await;
    let digest = registry.push_image("app", "1", "linux/amd64");
    let path = format!("/v2/app/manifests/{digest}");
    registry.fault(Fault::on("GET", &path).body("{}").once());
    let client = plain_client(registry.host());
    let ask = image(format!("{}/app:1", registry.host())).platform("linux/amd64");
    assert_eq!(ask.clone().of(&client).await.id(), "corrupt-image");
    assert_eq!(ask.of(&client).await.id(), "pullable");
}

#[tokio::test]
async fn b38_hostile_manifests_are_no_images_and_cost_little() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let layers = format!("{{\"layers\":[{}]}}", vec!["{}"; 1_000_000].join(","));
    let both = "{\"manifests\":[],\"layers\":[],\"config\":{}}";
    for body in ["", "null", "[]", "{}", "NaN", "{\"config\":5}", &deep, &layers, both] {
        let asked = manifest(media_type::MANIFEST, body).await;
        let shown = &body[..body.len().min(40)];
        assert_eq!((asked.id(), asked.is_inconclusive()), ("bad-answer", true), "{shown}");
        assert!(asked.took < Duration::from_secs(2), "{shown}: {:?}", asked.took);
    }
    let entry = format!("{{\"digest\":\"{}\",\"size\":1}}", sha256(b""));
    let many = format!("{{\"manifests\":[{}]}}", vec![entry; 40_000].join(","));
    for body in ["null", "{}", "{\"manifests\":[5]}", "{\"manifests\":\"x\"}", &many, both] {
        let asked = manifest(media_type::INDEX, body).await;
        let shown = &body[..body.len().min(40)];
        assert_eq!((asked.id(), asked.is_inconclusive()), ("bad-answer", true), "{shown}");
        assert!(asked.took < Duration::from_secs(2), "{shown}: {:?}", asked.took);
    }
}

#[tokio::test]
async fn b38_a_manifest_of_a_byte_too_many_is_too_large() {
    let limit = limits().manifest_bytes;
    for (bytes, id) in [(limit, "bad-answer"), (limit + 1, "too-large")] {
        let asked = manifest(media_type::MANIFEST, vec![b' '; bytes]).await;
        assert_eq!((asked.id(), asked.is_inconclusive()), (id, true), "{bytes}");
    }
}

#[tokio::test]
async fn b38_an_index_inside_itself_is_left() {
    use crate::support::PlatformSpec;
    let mut entry: PlatformSpec = "linux/amd64".into();
    for _ in 0..5 {
        entry = PlatformSpec::nested(&[entry]);
    }
    let registry = FakeRegistry::start(Config::open()).await;
    registry.push_index("app", "1", &[entry]);
    let ask = image(format!("{}/app:1", registry.host())).platform("linux/amd64");
    let asked = ask.of(&plain_client(registry.host())).await;
    assert_eq!((asked.id(), asked.is_inconclusive()), ("too-large", true), "{asked:?}");
    assert!(registry.count() <= 4, "{:?}", registry.log());
}

#[tokio::test]
async fn b38_types_that_no_runtime_takes_are_unsupported() {
    let registry = FakeRegistry::start(Config::open()).await;
    registry.push_schema1("app", "1");
    let asked =
        image(format!("{}/app:1", registry.host())).of(&plain_client(registry.host())).await;
    assert_eq!((asked.id(), asked.pulls()), ("unsupported-manifest", Some(false)), "{asked:?}");
    let asked = manifest("application/octet-stream", "{}").await;
    assert_eq!(asked.id(), "unsupported-manifest");
}

#[tokio::test]
async fn b39_a_body_that_says_it_is_compressed_is_refused_undecoded() {
    for encoding in ["gzip", "br", "zstd", "gzip, gzip", "deflate", "sdch"] {
        let registry = registry().await;
        registry.fault(Fault::on("*", "/v2/").header("content-encoding", encoding));
        let ask = image(format!("{}/app:1", registry.host())).platform("linux/amd64");
        let asked = ask.of(&plain_client(registry.host())).await;
        assert_eq!((asked.id(), asked.is_inconclusive()), ("bad-answer", true), "{encoding}");
        assert!(registry.requests().iter().all(|r| r.headers["accept-encoding"] == "identity"));
    }
}

#[tokio::test]
async fn b39_a_second_line_of_content_encoding_counts_too() {
    let registry = registry().await;
    let fault = Fault::on("*", "/v2/").header("content-encoding", "identity");
    registry.fault(fault.also_header("content-encoding", "gzip"));
    let ask = image(format!("{}/app:1", registry.host())).platform("linux/amd64");
    let asked = ask.of(&plain_client(registry.host())).await;
    assert_eq!(asked.id(), "bad-answer", "{asked:?}");
}

#[tokio::test]
async fn b43_a_captive_portal_is_a_bad_answer() {
    let asked = with(Fault::on("*", "*").captive_portal()).await;
    assert_eq!((asked.id(), asked.is_inconclusive()), ("bad-answer", true), "{asked:?}");
}

#[tokio::test]
async fn b43_statuses_that_no_registry_gives_are_bad_answers() {
    for status in [201, 204, 206, 300, 304, 400, 406, 418, 999] {
        let asked = with(Fault::on("*", MANIFEST).answer_with(status, "", "")).await;
        assert_eq!((asked.id(), asked.is_inconclusive()), ("bad-answer", true), "{status}");
    }
}

#[tokio::test]
async fn b43_a_web_page_that_refuses_speaks_not_for_the_registry() {
    for status in [401, 403, 404, 410] {
        let page = "<html>no</html>";
        let fault = Fault::on("*", "*").answer_with(status, "text/html; charset=utf-8", page);
        let asked = with(fault).await;
        assert_eq!((asked.id(), asked.is_inconclusive()), ("bad-answer", true), "{status}");
    }
}

#[tokio::test]
async fn b40_answers_that_are_no_http_are_bad_answers_or_another_protocol() {
    for (raw, id) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", "bad-answer"),
        ("HTTP/1.1 200 OK\r\nno colon here\r\n\r\n", "bad-answer"),
        ("HTTP/9.9 200 OK\r\n\r\n", "scheme-mismatch"),
        ("hello\r\n\r\n", "scheme-mismatch"),
    ] {
        let asked = with(Fault::on("*", MANIFEST).raw(raw)).await;
        assert_eq!((asked.id(), asked.is_inconclusive()), (id, true), "{raw:?}");
    }
    let flood = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000);
    let asked = with(Fault::on("*", MANIFEST).raw(flood)).await;
    assert!(asked.is_inconclusive(), "{asked:?}");
}

#[tokio::test]
async fn f12_a_limit_on_the_tags_leaves_the_404_and_says_why_nothing_more_is_known() {
    let registry = FakeRegistry::start(Config::open()).await;
    registry.push_image("app", "1", "linux/amd64");
    let mut settings = settings_for(registry.host(), plain_http());
    settings.limits.pause_shortest = Duration::from_millis(50);
    settings.limits.unreachable = Duration::from_millis(50);
    let client = client(&settings);
    registry.fault(Fault::on("*", "/v2/app/tags/list").answer(429).header("retry-after", "0"));
    let ask = image(format!("{}/app:gone", registry.host()));
    let asked = ask.clone().of(&client).await;
    assert_eq!((asked.id(), asked.pulls()), ("absent-or-private", Some(false)), "{asked:?}");
    assert!(asked.text().contains("its tags could not be listed: 429"), "{asked:?}");
    registry.clear_faults();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let asked = ask.of(&client).await;
    assert_eq!(asked.id(), "tag-not-found", "the listing is asked for again: {asked:?}");
}

#[tokio::test]
async fn it_is_known_whether_a_login_was_sent() {
    let sent = async |config: Config, repository: &str| {
        let registry = FakeRegistry::start(config.user("ci", CANARY)).await;
        registry.push_image("app", "1", "linux/amd64");
        registry.fault(Fault::in_repository("refused").answer(403));
        let ask = image(format!("{}/{repository}:1", registry.host())).login("ci", CANARY);
        ask.of(&plain_client(registry.host())).await.answer.attempts[0].login_was_sent()
    };
    assert_eq!(sent(Config::open(), "app").await, Some(false));
    assert_eq!(sent(Config::open(), "refused").await, Some(false), "403 without a challenge");
    assert_eq!(sent(Config::basic(), "app").await, Some(true));
    assert_eq!(sent(Config::bearer().private("app", &["ci"]), "app").await, Some(true));
}
