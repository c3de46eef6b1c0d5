//! Peers that are no registry, and the real one.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::real_registry::find_binary;
use super::super::{
    FullBacklog, PlatformSpec, RawServer, RealRegistry, Setup, Trap, closed_port, media_type,
    sha256,
};
use super::*;

#[tokio::test]
async fn raw_servers_follow_their_script() {
    let server = RawServer::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
    let response = client(None).get(format!("http://{}", server.host())).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "hi");
    assert_eq!(server.connections(), 1);
    let server = RawServer::start(|mut stream: TcpStream| async move {
        let _ = stream.write_all(b"bye").await;
    })
    .await;
    let mut text = String::new();
    TcpStream::connect(server.host()).await.unwrap().read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "bye");
}

#[tokio::test]
async fn no_handshake_ends_with_a_silent_a_stalled_or_a_babbling_peer() {
    let patience = Duration::from_millis(300);
    let client = client(Some(&tls::Authority::new().pem()));
    for server in [RawServer::silent().await, RawServer::stalled_tls().await] {
        let request = client.get(format!("https://{}", server.host())).send();
        assert!(tokio::time::timeout(patience, request).await.is_err());
        assert_eq!(server.connections(), 1);
    }
    let server = RawServer::garbage().await;
    let request = client.get(format!("https://{}", server.host())).send();
    assert!(tokio::time::timeout(patience, request).await.unwrap().is_err());
}

#[tokio::test]
async fn a_trap_hears_every_byte() {
    let trap = Trap::start().await;
    assert!(!trap.heard("s3cret"));
    let url = format!("http://{}/x", trap.host());
    let response = client(None).post(&url).body("form=s3cret").send().await.unwrap();
    assert_eq!(response.status(), 404);
    assert!(trap.heard("s3cret") && trap.text().starts_with("POST /x HTTP/1.1\r\n"));
    client(None).get(&url).basic_auth("ci", Some("hidden")).send().await.unwrap();
    assert!(trap.heard("hidden") && !trap.text().contains("hidden"));
    assert!(client(None).get(format!("https://{}", trap.host())).send().await.is_err());
    assert_eq!(trap.connections(), 3);
}

#[tokio::test]
async fn ports_can_be_closed_or_deaf() {
    assert!(TcpStream::connect(closed_port()).await.is_err());
    let deaf = FullBacklog::start().await;
    let begun = Instant::now();
    let connecting = TcpStream::connect(deaf.host());
    assert!(tokio::time::timeout(Duration::from_millis(300), connecting).await.is_err());
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[test]
fn a_blocking_test_is_served_too() {
    let registry = FakeRegistry::start_blocking(super::super::Config::open());
    let mut stream = std::net::TcpStream::connect(registry.host()).unwrap();
    std::io::Write::write_all(&mut stream, b"GET /v2/ HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
    assert!(text.starts_with("HTTP/1.0 200 OK\r\n"), "{text}");
}

#[tokio::test]
async fn a_missing_registry_binary_is_an_error_that_says_so() {
    let error = RealRegistry::start_binary(Path::new("/nowhere/registry"), Setup::open()).err();
    assert!(error.unwrap().contains("/nowhere/registry did not start"));
    let error = find_binary(None, "/nowhere".as_ref()).unwrap_err();
    assert!(error.contains("apt-get install docker-registry"), "{error}");
    assert_eq!(find_binary(Some("x".into()), "".as_ref()), Ok("x".into()));
}

#[tokio::test]
async fn a_real_registry_serves_what_is_pushed() {
    let registry = RealRegistry::start(Setup::open()).await.unwrap();
    let image = registry.push_image("team/app", "1", "linux/amd64").await.unwrap();
    let platforms = [
        PlatformSpec::from("linux/amd64"),
        PlatformSpec::from("linux/arm64/v8").undeclared(),
        PlatformSpec::attestation(),
        PlatformSpec::nested(&["windows/amd64".into()]),
    ];
    let index = registry.push_index("team/app", "multi", &platforms).await.unwrap();
    for (tag, digest, kind) in
        [("1", &image, media_type::MANIFEST), ("multi", &index, media_type::INDEX)]
    {
        let url = format!("http://{}/v2/team/app/manifests/{tag}", registry.host());
        let response = client(None).get(url).header("accept", kind).send().await.unwrap();
        assert_eq!(header(&response, "docker-content-digest"), digest);
        assert_eq!(header(&response, "content-type"), kind);
        assert_eq!(&sha256(&response.bytes().await.unwrap()), digest);
    }
}

#[tokio::test]
async fn a_real_registry_asks_for_a_login_over_private_tls() {
    let authority = tls::Authority::new();
    let setup = Setup::open().with_login().with_tls(&authority);
    let registry = RealRegistry::start(setup).await.unwrap();
    registry.push_image("app", "1", "linux/amd64").await.unwrap();
    let url = format!("https://{}/v2/app/manifests/1", registry.host());
    let ask = |login: Option<(&'static str, &'static str)>| {
        let request =
            client(Some(&authority.pem())).head(&url).header("accept", media_type::MANIFEST);
        match login {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        }
        .send()
    };
    let refused = ask(None).await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(header(&refused, "www-authenticate"), "Basic realm=\"test\"");
    assert_eq!(ask(Some(("ci", "wrong"))).await.unwrap().status(), 401);
    assert_eq!(ask(Some(("ci", "s3cret"))).await.unwrap().status(), 200);
}
