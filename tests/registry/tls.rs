//! Certificates good and bad, schemes that do not fit, and the rule for loopback hosts: never a
//! fallback to plain http where the settings name the host, and none after a refusal.

use super::*;
use crate::support::tls::{Authority, Identity};
use crate::support::{Config, FakeRegistry, Fault, RawServer, Trap, closed_port};

async fn registry(identity: &Identity) -> FakeRegistry {
    let registry = FakeRegistry::start(Config::basic().tls(identity).user("ci", CANARY)).await;
    registry.push_image("app", "1", "linux/amd64");
    registry
}

fn app(host: &str) -> Ask {
    image(format!("{host}/app:1")).login("ci", CANARY)
}

#[tokio::test]
async fn f34_a_private_authority_of_the_settings_is_trusted() {
    let authority = Authority::new();
    let registry = registry(&authority.valid()).await;
    let client = client(&settings_for(registry.host(), trusting(&authority)));
    assert_eq!(app(registry.host()).of(&client).await.id(), "pullable");
}

#[tokio::test]
async fn f34_a_bad_certificate_is_told_by_kind_and_sees_no_login() {
    let (known, unknown) = (Authority::new(), Authority::new());
    for (identity, cause) in [
        (unknown.valid(), "tls-untrusted"),
        (Identity::self_signed(), "tls-untrusted"),
        (known.expired(), "tls-expired"),
        (known.not_yet_valid(), "tls-expired"),
        (known.wrong_name(), "tls-handshake"),
    ] {
        let registry = registry(&identity).await;
        let client = client(&settings_for(registry.host(), trusting(&known)));
        let asked = app(registry.host()).of(&client).await;
        assert_eq!((asked.id(), asked.is_inconclusive()), (cause, true), "{asked:?}");
        assert_eq!(registry.count(), 0, "{cause}");
    }
}

#[tokio::test]
async fn f34_a_chain_of_a_megabyte_is_a_tls_failure() {
    let authority = Authority::new();
    let registry = registry(&authority.valid_with_chain_of(2000)).await;
    let client = client(&settings_for(registry.host(), trusting(&authority)));
    let asked = app(registry.host()).of(&client).await;
    assert!(asked.is_inconclusive() && asked.id().starts_with("tls-"), "{asked:?}");
    assert!(asked.took < Duration::from_secs(2), "{:?}", asked.took);
}

#[tokio::test]
async fn f35_plain_http_on_the_tls_port_is_a_scheme_mismatch_without_fallback() {
    let plain = FakeRegistry::start(Config::basic().user("ci", CANARY)).await;
    plain.push_image("app", "1", "linux/amd64");
    let client = client(&settings_for(plain.host(), trusting(&Authority::new())));
    let asked = app(plain.host()).of(&client).await;
    assert_eq!((asked.id(), asked.is_inconclusive()), ("scheme-mismatch", true));
    assert_eq!(plain.count(), 0);
    let trap = Trap::start().await;
    let client = client_for(trap.host());
    app(trap.host()).of(&client).await;
    assert!(!trap.text().contains("HTTP/1"), "nothing in clear: {}", trap.text());
}

fn client_for(host: &str) -> Registry {
    client(&settings_for(host, trusting(&Authority::new())))
}

#[tokio::test]
async fn f35_tls_on_a_plain_http_port_is_a_scheme_mismatch_and_sees_no_login() {
    let registry = registry(&Authority::new().valid()).await;
    let asked = app(registry.host()).of(&plain_client(registry.host())).await;
    assert_eq!((asked.id(), asked.is_inconclusive()), ("scheme-mismatch", true), "{asked:?}");
}

#[tokio::test]
async fn f35_a_web_server_that_says_it_wants_https_is_a_scheme_mismatch() {
    let answer = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 48\r\nconnection: close\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    let server = RawServer::answering(answer).await;
    let asked = app(server.host()).of(&plain_client(server.host())).await;
    assert_eq!(asked.id(), "scheme-mismatch", "{asked:?}");
}

#[tokio::test]
async fn loopback_is_asked_by_unverified_https_first() {
    let registry = registry(&Identity::self_signed()).await;
    let asked = app(registry.host()).of(&client(&settings())).await;
    assert_eq!(asked.id(), "pullable", "{asked:?}");
}

#[tokio::test]
async fn loopback_falls_back_to_http_where_the_port_speaks_it() {
    let plain = FakeRegistry::start(Config::open()).await;
    plain.push_image("app", "1", "linux/amd64");
    let client = client(&settings());
    assert_eq!(image(format!("{}/app:1", plain.host())).of(&client).await.id(), "pullable");
    assert_eq!(plain.log(), ["HEAD /v2/app/manifests/1"]);
    image(format!("{}/app:2", plain.host())).of(&client).await;
    // One connection was lost to the search for the scheme; the second question reuses the other.
    assert_eq!(plain.connections(), 2);
}

#[tokio::test]
async fn loopback_falls_back_to_http_when_no_handshake_comes() {
    let answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let server = RawServer::start(move |mut stream| async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut first = [0; 1024];
        let read = stream.read(&mut first).await.unwrap_or_default();
        if first[0] == 0x16 || read == 0 {
            return std::future::pending().await;
        }
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let asked = image(format!("{}/app:1", server.host())).of(&client(&settings())).await;
    assert_eq!(asked.id(), "absent-or-private", "{asked:?}");
}

#[tokio::test]
async fn loopback_does_not_fall_back_after_a_refusal_or_a_late_answer() {
    let asked = image(format!("{}/app:1", closed_port())).of(&client(&settings())).await;
    assert_eq!(asked.id(), "connection-refused");
    let late = registry(&Identity::self_signed()).await;
    late.fault(Fault::on("*", "*").hang());
    let asked = app(late.host()).of(&client(&settings())).await;
    assert_eq!(asked.id(), "timeout", "{asked:?}");
    assert_eq!((late.count(), late.connections()), (1, 1));
}

#[tokio::test]
async fn a_host_that_is_not_loopback_has_no_other_scheme() {
    // Its name is not resolved, so what counts is that the search ends after one try.
    let asked =
        image("registry.invalid:5000/app:1").login("ci", CANARY).of(&client(&settings())).await;
    assert_eq!(asked.id(), "dns-failure", "{asked:?}");
}
