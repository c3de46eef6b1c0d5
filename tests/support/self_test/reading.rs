//! The reading half of the API, TLS and HTTP/2, and what is counted.

use std::time::{Duration, Instant};

use super::super::{Config, Denial, FakeRegistry, PlatformSpec, media_type, sha256};
use super::*;

#[tokio::test]
async fn head_and_get_of_a_tag_agree_on_type_digest_and_length() {
    let registry = FakeRegistry::start(Config::open()).await;
    let digest = registry.push_image("team/app", "1", "linux/amd64");
    let head = head(&registry, "/v2/team/app/manifests/1").await;
    let get = get(&registry, "/v2/team/app/manifests/1").await;
    for response in [&head, &get] {
        assert_eq!(response.status(), 200);
        assert_eq!(header(response, "content-type"), media_type::MANIFEST);
        assert_eq!(header(response, "docker-content-digest"), digest);
    }
    let length = header(&head, "content-length").to_owned();
    let body = get.bytes().await.unwrap();
    assert_eq!(length, body.len().to_string());
    assert_eq!(sha256(&body), digest);
    assert_eq!(registry.log(), ["HEAD /v2/team/app/manifests/1", "GET /v2/team/app/manifests/1"]);
}

#[tokio::test]
async fn an_image_can_be_walked_from_index_to_layer() {
    let registry = FakeRegistry::start(Config::open()).await;
    let arm = PlatformSpec::from("linux/arm64/v8").config_says("linux/amd64");
    registry.push_index("app", "1", &["linux/amd64".into(), arm, PlatformSpec::attestation()]);
    let index = json(get(&registry, "/v2/app/manifests/1").await).await;
    let child = &index["manifests"][1];
    assert_eq!(child["platform"]["variant"], "v8");
    assert_eq!(index["manifests"][2]["platform"]["os"], "unknown");
    let path = format!("/v2/app/manifests/{}", child["digest"].as_str().unwrap());
    let manifest = json(get(&registry, &path).await).await;
    for (blob, inside) in [(&manifest["config"], "amd64"), (&manifest["layers"][0], "app:1 push 1")]
    {
        let digest = blob["digest"].as_str().unwrap();
        let text = get(&registry, &format!("/v2/app/blobs/{digest}")).await.text().await.unwrap();
        assert_eq!(sha256(text.as_bytes()), digest);
        assert!(text.contains(inside), "{text:?}");
    }
}

#[tokio::test]
async fn indexes_nest_and_entries_may_lack_a_platform() {
    let registry = FakeRegistry::start(Config::open()).await;
    let windows =
        PlatformSpec::from("windows/amd64").os_version("10.0.20348.1").os_features(&["win32k"]);
    let nested = PlatformSpec::nested(&[windows]);
    registry.push_index("app", "1", &[PlatformSpec::from("linux/arm64").undeclared(), nested]);
    let index = json(get(&registry, "/v2/app/manifests/1").await).await;
    assert!(index["manifests"][0].get("platform").is_none());
    assert_eq!(index["manifests"][1]["mediaType"], media_type::INDEX);
    let path = format!("/v2/app/manifests/{}", index["manifests"][1]["digest"].as_str().unwrap());
    let inner = json(get(&registry, &path).await).await;
    assert_eq!(inner["manifests"][0]["platform"]["os.version"], "10.0.20348.1");
    assert_eq!(inner["manifests"][0]["platform"]["os.features"][0], "win32k");
}

#[tokio::test]
async fn what_is_not_there_is_404_in_the_words_of_the_specification() {
    let registry = FakeRegistry::start(Config::open()).await;
    let digest = registry.push_image("app", "1", "linux/amd64");
    registry.forget("app", &digest);
    for (path, code) in [
        ("/v2/app/manifests/2", "MANIFEST_UNKNOWN"),
        ("/v2/app/manifests/1", "MANIFEST_UNKNOWN"),
        ("/v2/app/blobs/sha512:00", "BLOB_UNKNOWN"),
        ("/v2/none/tags/list", "NAME_UNKNOWN"),
    ] {
        let response = get(&registry, path).await;
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(json(response).await["errors"][0]["code"], code, "{path}");
    }
}

#[tokio::test]
async fn tags_are_listed_in_pages() {
    let registry = FakeRegistry::start(Config::open().page_size(2)).await;
    for tag in ["3", "1", "2"] {
        registry.push_image("app", tag, "linux/amd64");
    }
    assert_eq!(registry.tags("app"), ["1", "2", "3"]);
    let first = get(&registry, "/v2/app/tags/list?n=1000").await;
    assert_eq!(header(&first, "link"), "</v2/app/tags/list?last=2&n=2>; rel=\"next\"");
    assert_eq!(json(first).await["tags"], serde_json::json!(["1", "2"]));
    let second = get(&registry, "/v2/app/tags/list?last=2&n=2").await;
    assert_eq!(header(&second, "link"), "");
    assert_eq!(json(second).await["tags"], serde_json::json!(["3"]));
}

#[tokio::test]
async fn pushing_again_moves_the_tag_and_keeps_the_old_digest() {
    let registry = FakeRegistry::start(Config::open()).await;
    let old = registry.push_image("app", "1", "linux/amd64");
    let new = registry.push_image("app", "1", "linux/amd64");
    assert_ne!(old, new);
    assert_eq!(header(&head(&registry, "/v2/app/manifests/1").await, "docker-content-digest"), new);
    assert_eq!(head(&registry, &format!("/v2/app/manifests/{old}")).await.status(), 200);
}

#[tokio::test]
async fn artifacts_and_schema1_keep_their_types() {
    let registry = FakeRegistry::start(Config::open()).await;
    registry.push_artifact("chart", "1");
    registry.push_schema1("old", "1");
    let chart = json(get(&registry, "/v2/chart/manifests/1").await).await;
    assert_eq!(chart["config"]["mediaType"], media_type::EMPTY);
    assert_eq!(
        header(&head(&registry, "/v2/old/manifests/1").await, "content-type"),
        media_type::SCHEMA1
    );
}

#[tokio::test]
async fn tls_serves_http2_and_on_request_only_http1() {
    let authority = tls::Authority::new();
    for (config, version) in [
        (Config::open(), reqwest::Version::HTTP_2),
        (Config::open().http1_only(), reqwest::Version::HTTP_11),
    ] {
        let registry = FakeRegistry::start(config.tls(&authority.valid())).await;
        let digest = registry.push_image("app", "1", "linux/amd64");
        let client = client(Some(&authority.pem()));
        let url = format!("{}/v2/app/manifests/1", registry.url());
        let response = client.head(&url).send().await.unwrap();
        assert_eq!(response.version(), version);
        assert_eq!(header(&response, "docker-content-digest"), digest);
        assert_ne!(header(&response, "content-length"), "0");
        assert_eq!(registry.requests()[0].host, registry.host());
        assert_eq!(registry.requests()[0].version, version);
    }
}

#[tokio::test]
async fn bad_certificates_are_bad_in_their_own_way() {
    let authority = tls::Authority::new();
    for (identity, word) in [
        (authority.expired(), "Expired"),
        (authority.not_yet_valid(), "NotValidYet"),
        (authority.wrong_name(), "NotValidForName"),
        (tls::Identity::self_signed(), "UnknownIssuer"),
        (tls::Authority::new().valid(), "BadSignature"),
        (authority.valid_with_chain_of(2000), ""),
    ] {
        let registry = FakeRegistry::start(Config::open().tls(&identity)).await;
        let error = client(Some(&authority.pem())).get(registry.url()).send().await.unwrap_err();
        let text = format!("{error:?}");
        assert!(text.contains(word), "{word}: {text}");
        assert_eq!(registry.count(), 0);
    }
}

#[tokio::test]
async fn latency_and_load_are_measured() {
    let registry = FakeRegistry::start(Config::open().latency(Duration::from_millis(100))).await;
    let begun = Instant::now();
    let (one, two) = tokio::join!(get(&registry, "/v2/"), get(&registry, "/v2/"));
    assert!(begun.elapsed() >= Duration::from_millis(100));
    assert!(one.status().is_success() && two.status().is_success());
    assert_eq!((registry.peak_in_flight(), registry.connections(), registry.count()), (2, 2, 2));
    registry.reset_counts();
    assert_eq!((registry.peak_in_flight(), registry.connections(), registry.count()), (0, 0, 0));
}

#[tokio::test]
async fn every_nth_answer_can_be_lost_and_headers_put_on_all() {
    let config = Config::open().lose_every(2).header("ratelimit-remaining", "0;w=21600");
    let registry = FakeRegistry::start(config).await;
    assert_eq!(header(&get(&registry, "/v2/").await, "ratelimit-remaining"), "0;w=21600");
    assert!(client(None).get(registry.url()).send().await.is_err());
    assert_eq!(get(&registry, "/v2/").await.status(), 200);
}

#[tokio::test]
async fn a_stopped_registry_refuses_connections_and_its_port_can_be_taken_again() {
    let registry = FakeRegistry::start(Config::open()).await;
    let host = registry.host().to_owned();
    assert_eq!(get(&registry, "/v2/").await.status(), 200);
    registry.stop().await;
    assert!(tokio::net::TcpStream::connect(&host).await.is_err());
    let port = host.rsplit(':').next().unwrap().parse().unwrap();
    let again = FakeRegistry::start(Config::open().port(port)).await;
    assert_eq!((again.host(), get(&again, "/v2/").await.status().as_u16()), (host.as_str(), 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_reads_at_once_do_not_wait_for_each_other() {
    let registry = FakeRegistry::start(Config::bearer().denial(Denial::AtToken(403))).await;
    let client = client(None);
    let mut asking = tokio::task::JoinSet::new();
    for turn in 0..400 {
        let path = ["/token?scope=repository:app:pull", "/v2/app/manifests/1"][turn % 2];
        asking.spawn(client.get(format!("{}{path}", registry.url())).send());
    }
    while let Some(answered) = asking.join_next().await {
        assert!(matches!(answered.unwrap().unwrap().status().as_u16(), 200 | 401));
    }
}
