use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::diagnosis::cause::{Cause, Reason};
use crate::diagnosis::evidence::Trouble;
use crate::registry::guard::Door;
use crate::registry::lane::Lane;
use crate::registry::transport::{Request, Response, Transport, Trust};
use crate::settings::Limits;

fn lookup<F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static>(
    find: impl Fn(String) -> F + Send + Sync + 'static,
) -> Lookup {
    Lookup::Given(Arc::new(move |name| Box::pin(find(name))))
}

fn at(address: impl Into<std::net::IpAddr>) -> SocketAddr {
    SocketAddr::new(address.into(), 0)
}

fn transport(lookup: Lookup, door: Door) -> Transport {
    guarded(lookup, Guard { door, ..Guard::default() })
}

fn guarded(lookup: Lookup, guard: Guard) -> Transport {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut transport =
        Transport::new(guard, Limits::webhook(), Arc::default(), BTreeMap::default());
    transport.lookup = lookup;
    transport
}

async fn get(transport: &Transport, url: &str) -> Result<Response, Trouble> {
    let limits = Limits::webhook();
    let request = Request {
        method: reqwest::Method::GET,
        url: url.parse().unwrap(),
        accept: "*/*",
        authorization: None,
        form: None,
        cap: 100,
        follow_redirects: true,
        identity: None,
    };
    let lane = Lane::new(16, None, &limits, Arc::default());
    let deadline = tokio::time::Instant::now() + limits.question;
    transport.send(&request, &Trust::System, &lane, deadline).await
}

/// Answers 200 to whatever comes; how often it was connected to.
async fn server(listener: TcpListener) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    });
    count
}

#[tokio::test]
async fn f31_names_that_are_not_resolved_are_told_in_two_seconds_and_asked_once() {
    let asked = Arc::new(AtomicUsize::new(0));
    let fails = |text: &'static str| {
        let asked = asked.clone();
        lookup(move |_| {
            asked.fetch_add(1, Ordering::Relaxed);
            async move { Err(io::Error::other(text)) }
        })
    };
    let silent = lookup(|_| std::future::pending());
    let none = lookup(|_| async { Ok(Vec::new()) });
    for (lookup, words) in [
        (fails("failed to lookup address: Name or service not known"), "service not known"),
        (fails("failed to lookup address: Temporary failure in name resolution"), "Temporary"),
        (silent, "no answer in time"),
        (none, "it has no address"),
    ] {
        let began = Instant::now();
        let trouble =
            get(&transport(lookup, Door::Cluster), "http://r.example/v2/").await.unwrap_err();
        assert_eq!(trouble.reason, Reason::Seen(Cause::DnsFailure), "{trouble:?}");
        assert!(trouble.text.contains(words), "{trouble:?}");
        assert!(began.elapsed() < Duration::from_secs(2), "{words}: {:?}", began.elapsed());
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn f31_of_a_thousand_addresses_a_few_of_both_families_are_tried() {
    let many = |name: &str| {
        let v6 = (0..500).map(|n| at(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n)));
        let v4 = (0..500_u16).map(|n| at(Ipv4Addr::new(198, 51, (n >> 8) as u8, n as u8)));
        assert_eq!(name, "r.example");
        v6.chain(v4).collect()
    };
    let resolver = GuardedResolver {
        guard: Arc::default(),
        addresses: Arc::default(),
        port: 0,
        lookup: lookup(move |name| {
            let found = many(&name);
            async move { Ok(found) }
        }),
        patience: Duration::from_secs(1),
    };
    let found: Vec<SocketAddr> =
        resolver.resolve("r.example".parse().unwrap()).await.unwrap().collect();
    assert_eq!(found.len(), 2 * MAX_ADDRESSES);
    assert_eq!(found.iter().filter(|address| address.is_ipv6()).count(), MAX_ADDRESSES);
}

#[tokio::test]
async fn f32_t02_a_name_that_turns_to_this_machine_or_to_metadata_reaches_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let trap = server(listener).await;
    for inside in [
        at(Ipv4Addr::LOCALHOST),
        at(Ipv4Addr::new(127, 9, 9, 9)),
        at(Ipv6Addr::LOCALHOST),
        at(Ipv4Addr::LOCALHOST.to_ipv6_mapped()),
        at(Ipv4Addr::new(169, 254, 169, 254)),
        at(Ipv4Addr::UNSPECIFIED),
    ] {
        // The first look-up gives a public address that leads nowhere, every later one ours.
        let looked_up = Arc::new(AtomicUsize::new(0));
        let counted = looked_up.clone();
        let flips = lookup(move |_| {
            let nth = counted.fetch_add(1, Ordering::Relaxed);
            let public = at(Ipv4Addr::new(192, 0, 2, 1));
            async move { Ok(vec![if nth == 0 { public } else { inside }]) }
        });
        let transport = transport(flips, Door::Cluster);
        let url = format!("http://r.example:{port}/v2/");
        let _ = get(&transport, &url).await;
        let looked_up_before = looked_up.load(Ordering::Relaxed);
        let trouble = get(&transport, &url).await.unwrap_err();
        assert_eq!(trouble.reason, Reason::AddressRefused, "{inside}: {trouble:?}");
        assert!(looked_up.load(Ordering::Relaxed) > looked_up_before, "looked up each time");
    }
    assert_eq!(trap.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn f33_an_address_of_the_other_family_that_swallows_all_costs_little() {
    // A listener that nobody serves, its queue filled: further connections get no answer.
    let Ok(black_hole) = tokio::net::TcpSocket::new_v6() else { return };
    let Ok(()) = black_hole.bind((Ipv6Addr::LOCALHOST, 0).into()) else { return };
    let black_hole = black_hole.listen(1).unwrap();
    let hole = black_hole.local_addr().unwrap();
    let fill = (0..8).map(|_| tokio::spawn(tokio::net::TcpStream::connect(hole)));
    let _full: Vec<_> = fill.collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, hole.port())).await else { return };
    let reached = server(listener).await;
    let both = lookup(|_| async { Ok(vec![at(Ipv6Addr::LOCALHOST), at(Ipv4Addr::LOCALHOST)]) });
    let transport = transport(both, Door::CommandLine);
    let url = format!("http://r.example:{}/v2/", hole.port());
    let began = Instant::now();
    let sent = get(&transport, &url).await;
    assert!(sent.is_ok_and(|response| response.status == 200));
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    assert!(began.elapsed() > Duration::from_millis(100), "it was a black hole");
    assert_eq!(reached.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn t01_images_on_a_hundred_ports_share_their_client_and_the_api_server_is_still_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = listener.local_addr().unwrap();
    let trap = server(listener).await;
    let here = lookup(|_| async { Ok(vec![at(Ipv4Addr::LOCALHOST)]) });
    let transport = guarded(here, Guard { refuse: vec![api], ..Guard::default() });
    let urls: Vec<_> = (1..=100).map(|port| format!("http://r.example:{port}/v2/")).collect();
    let sent = join_all(urls.iter().map(|url| get(&transport, url))).await;
    assert!(sent.iter().all(Result::is_err), "{sent:?}");
    assert_eq!(transport.clients(), 1);
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = other.local_addr().unwrap().port();
    let reached = server(other).await;
    assert!(get(&transport, &format!("http://r.example:{port}/v2/")).await.is_ok());
    assert_eq!((transport.clients(), reached.load(Ordering::Relaxed)), (1, 1));
    let refused = get(&transport, &format!("http://r.example:{}/v2/", api.port())).await;
    assert_eq!(refused.unwrap_err().reason, Reason::AddressRefused);
    assert_eq!((transport.clients(), trap.load(Ordering::Relaxed)), (2, 0));
}
