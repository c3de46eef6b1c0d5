//! Scripted faults, seen from the client's side of the socket.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::{Config, FakeRegistry, Fault};
use super::*;

const MANIFEST: &str = "/v2/app/manifests/1";

async fn start(fault: Fault) -> FakeRegistry {
    let registry = FakeRegistry::start(Config::open()).await;
    registry.push_image("app", "1", "linux/amd64");
    registry.fault(fault);
    registry
}

/// What arrives on a plain socket within `patience`, and the error that ended it.
async fn wire(registry: &FakeRegistry, patience: Duration) -> (String, Option<std::io::ErrorKind>) {
    let mut stream = TcpStream::connect(registry.host()).await.unwrap();
    let request = format!("GET {MANIFEST} HTTP/1.1\r\nhost: h\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    let mut buffer = [0; 65536];
    let end = Instant::now() + patience;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let ended = match tokio::time::timeout(left, stream.read(&mut buffer)).await {
            Ok(Ok(0)) => None,
            Ok(Ok(n)) => {
                received.extend(&buffer[..n]);
                continue;
            }
            Ok(Err(error)) => Some(error.kind()),
            Err(_) => Some(std::io::ErrorKind::TimedOut),
        };
        return (String::from_utf8_lossy(&received).into_owned(), ended);
    }
}

fn body(text: &str) -> &str {
    text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[tokio::test]
async fn a_fault_hits_its_method_and_path_as_often_as_it_says() {
    let registry = start(Fault::on("HEAD", MANIFEST).answer(503).once()).await;
    assert_eq!(get(&registry, MANIFEST).await.status(), 200);
    assert_eq!(head(&registry, "/v2/app/manifests/10").await.status(), 404);
    assert_eq!(head(&registry, MANIFEST).await.status(), 503);
    assert_eq!(head(&registry, MANIFEST).await.status(), 200);

    registry.fault(Fault::in_repository("app").retry_after("7").nth(2));
    assert_eq!(get(&registry, MANIFEST).await.status(), 200);
    let limited = get(&registry, MANIFEST).await;
    assert_eq!((limited.status().as_u16(), header(&limited, "retry-after")), (429, "7"));
    assert_eq!(json(limited).await["errors"][0]["code"], "TOOMANYREQUESTS");
    assert_eq!(get(&registry, MANIFEST).await.status(), 200);

    registry.fault(Fault::on("GET", "/v2/*/manifests/*").answer(500).after(1));
    assert_eq!(get(&registry, MANIFEST).await.status(), 200);
    assert_eq!(get(&registry, MANIFEST).await.status(), 500);
    registry.clear_faults();
    assert_eq!(get(&registry, MANIFEST).await.status(), 200);
}

#[tokio::test]
async fn headers_can_be_lost_changed_and_doubled() {
    let fault = Fault::on("*", MANIFEST)
        .without_header("content-type")
        .also_header("docker-content-digest", "sha256:other")
        .header("content-encoding", "gzip");
    let registry = start(fault).await;
    let response = head(&registry, MANIFEST).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), "");
    assert_eq!(header(&response, "content-encoding"), "gzip");
    assert_eq!(response.headers().get_all("docker-content-digest").iter().count(), 2);
}

#[tokio::test]
async fn answers_can_be_anything() {
    let registry = start(Fault::on("GET", "/portal").captive_portal()).await;
    registry.fault(Fault::on("GET", "/none").challenge(&[]));
    registry.fault(Fault::on("GET", "/two").challenge(&["Negotiate", "Basic realm=\"x, y\""]));
    registry.fault(Fault::on("GET", "/odd").answer_with(999, "", ""));
    registry.fault(Fault::on("GET", "/nothing").answer_with(204, "", ""));
    let portal = get(&registry, "/portal").await;
    assert_eq!(
        (portal.status().as_u16(), header(&portal, "content-type")),
        (200, "text/html; charset=utf-8")
    );
    let none = get(&registry, "/none").await;
    assert_eq!((none.status().as_u16(), header(&none, "www-authenticate")), (401, ""));
    let two = get(&registry, "/two").await;
    assert_eq!(two.headers().get_all("www-authenticate").iter().count(), 2);
    assert_eq!(get(&registry, "/odd").await.status().as_u16(), 999);
    assert_eq!(get(&registry, "/nothing").await.status(), 204);
}

#[tokio::test]
async fn redirects_lead_away_or_round_in_circles() {
    let registry = start(Fault::on("GET", "/away").redirect_to_host("http://127.0.0.1:1")).await;
    registry.fault(Fault::on("GET", "/self").redirect_to_self());
    registry.fault(Fault::on("GET", MANIFEST).redirect_chain(2));
    let location = |response: &reqwest::Response| header(response, "location").to_owned();
    let away = get(&registry, "/away?n=1").await;
    assert_eq!(
        (away.status().as_u16(), location(&away).as_str()),
        (307, "http://127.0.0.1:1/away?n=1")
    );
    assert_eq!(location(&get(&registry, "/self").await), "/self");
    let hop = location(&get(&registry, MANIFEST).await);
    let hop = location(&get(&registry, &hop).await);
    assert_eq!(hop, format!("{MANIFEST}?hop=2"));
    assert_eq!(get(&registry, &hop).await.status(), 200);
}

#[tokio::test]
async fn a_tag_can_answer_two_digests_in_turn_and_a_digest_wrong_bytes() {
    let registry = FakeRegistry::start(Config::open()).await;
    let one = registry.push_image("app", "1", "linux/amd64");
    let two = registry.push_image("app", "2", "linux/amd64");
    registry.fault(Fault::on("*", MANIFEST).instead("/v2/app/manifests/2").every_other());
    for digest in [&two, &one, &two] {
        assert_eq!(header(&head(&registry, MANIFEST).await, "docker-content-digest"), digest);
    }
    let path = format!("/v2/app/manifests/{one}");
    registry.fault(Fault::on("GET", &path).body("{}"));
    let response = get(&registry, &path).await;
    assert_eq!(header(&response, "docker-content-digest"), one);
    assert_eq!(response.text().await.unwrap(), "{}");
}

#[tokio::test]
async fn an_answer_can_be_late() {
    let registry = start(Fault::on("*", MANIFEST).delayed(Duration::from_millis(150))).await;
    let begun = Instant::now();
    assert_eq!(head(&registry, MANIFEST).await.status(), 200);
    assert!(begun.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn headers_and_bodies_can_drip() {
    let each = Duration::from_millis(20);
    let registry = start(Fault::on("GET", MANIFEST).slow_headers(each)).await;
    let (text, end) = wire(&registry, Duration::from_millis(300)).await;
    assert!(
        (1..=16).contains(&text.len()) && "HTTP/1.1 200 Scripted".starts_with(&text),
        "{text:?}"
    );
    assert_eq!(end, Some(std::io::ErrorKind::TimedOut));

    let registry = start(Fault::on("GET", MANIFEST).slow_body(each)).await;
    let (text, end) = wire(&registry, Duration::from_millis(300)).await;
    assert!((1..=16).contains(&body(&text).len()), "{text:?}");
    assert_eq!(end, Some(std::io::ErrorKind::TimedOut));
}

#[tokio::test]
async fn a_body_can_be_endless() {
    let registry = start(Fault::on("GET", MANIFEST).endless_body()).await;
    let mut response = get(&registry, MANIFEST).await;
    let mut read = 0;
    while read < 5 * 1024 * 1024 {
        read += response.chunk().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn lengths_can_lie() {
    const HUGE: u64 = 10 << 30;
    let registry = start(Fault::on("*", MANIFEST).claims_length(HUGE)).await;
    assert_eq!(header(&head(&registry, MANIFEST).await, "content-length"), HUGE.to_string());
    let (text, end) = wire(&registry, Duration::from_millis(200)).await;
    assert!(text.contains(&format!("content-length: {HUGE}\r\n")) && body(&text).ends_with('}'));
    assert_eq!(end, Some(std::io::ErrorKind::TimedOut));

    let registry = start(Fault::on("GET", MANIFEST).short_body()).await;
    assert!(get(&registry, MANIFEST).await.bytes().await.is_err());
    assert_eq!(wire(&registry, Duration::from_secs(5)).await.1, None);
}

#[tokio::test]
async fn connections_can_reset_close_hang_and_talk_nonsense() {
    let registry = start(Fault::on("GET", MANIFEST).reset_mid_body().once()).await;
    registry.fault(Fault::on("GET", MANIFEST).close().once());
    registry.fault(Fault::on("GET", MANIFEST).hang().once());
    registry.fault(Fault::on("GET", MANIFEST).raw("HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\n").once());
    let patience = Duration::from_millis(300);
    let (text, end) = wire(&registry, patience).await;
    assert!(body(&text).starts_with('{') && !body(&text).ends_with("}]}"), "{text:?}");
    assert_eq!(end, Some(std::io::ErrorKind::ConnectionReset));
    assert_eq!(wire(&registry, patience).await, (String::new(), None));
    assert_eq!(wire(&registry, patience).await.1, Some(std::io::ErrorKind::TimedOut));
    assert!(wire(&registry, patience).await.0.ends_with("\r\n b\r\n\r\n"));
    assert_eq!(get(&registry, MANIFEST).await.status(), 200);
}

#[tokio::test]
async fn wire_faults_work_under_tls_and_say_so_on_http2() {
    let authority = tls::Authority::new();
    for http1 in [true, false] {
        let config = Config::open().tls(&authority.valid());
        let registry = FakeRegistry::start(if http1 { config.http1_only() } else { config }).await;
        registry.push_image("app", "1", "linux/amd64");
        registry.fault(Fault::on("GET", MANIFEST).reset_mid_body());
        let url = format!("{}{MANIFEST}", registry.url());
        let response = client(Some(&authority.pem())).get(url).send().await.unwrap();
        if http1 {
            assert!(response.bytes().await.is_err());
        } else {
            assert_eq!(response.status(), 500);
            assert!(response.text().await.unwrap().contains("http1_only"));
        }
    }
}

#[tokio::test]
async fn on_http2_one_stream_can_hang_and_the_connection_be_cut() {
    let authority = tls::Authority::new();
    let registry = FakeRegistry::start(Config::open().tls(&authority.valid())).await;
    registry.fault(Fault::on("GET", "/hang").hang());
    registry.fault(Fault::on("GET", "/close").close());
    let client = client(Some(&authority.pem()));
    let ask = |path: &str| client.get(format!("{}{path}", registry.url())).send();
    let hanging = tokio::time::timeout(Duration::from_millis(200), ask("/hang"));
    let (hanging, other) = tokio::join!(hanging, ask("/v2/"));
    assert!(hanging.is_err() && other.unwrap().status().is_success());
    assert!(ask("/close").await.is_err());
}
