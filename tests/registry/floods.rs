//! Peers that speak HTTP/2 and flood: the connection is given up, in time, and other hosts are asked
//! as ever.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::support::tls::Authority;
use crate::support::{Config, FakeRegistry, RawServer};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// `:status: 200` and nothing else.
const OK: &[u8] = &[0x88];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Begins as HTTP/2 does, waits for a request, says `first` and then `again` until nobody listens.
async fn flooding(authority: &Authority, first: Vec<u8>, again: Vec<u8>) -> RawServer {
    let acceptor = tokio_rustls::TlsAcceptor::from(authority.valid().server_config(false));
    let (first, again) = (Arc::new(first), Arc::new(again));
    RawServer::start(move |stream| {
        let (acceptor, first, again) = (acceptor.clone(), first.clone(), again.clone());
        async move {
            let Ok(mut tls) = acceptor.accept(stream).await else { return };
            assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let mut heard = [0; 4096];
            let _ = tls.read(&mut heard).await;
            let _ = tls.write_all(&frame(SETTINGS, 0, 0, &[])).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            let _ = tls.read(&mut heard).await;
            if tls.write_all(&first).await.is_err() {
                return;
            }
            while !again.is_empty() && tls.write_all(&again).await.is_ok() {}
            let _ = tls.flush().await;
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
    })
    .await
}

#[tokio::test]
async fn b40_a_flood_of_frames_ends_its_connection_and_touches_no_other_host() {
    let authority = Authority::new();
    // A literal header field that is new each time it is decoded.
    let field = [&[0x00, 0x7f, 0xff, 0x03][..], &[b'a'; 638], &[0x01, b'b']].concat();
    let floods: [(&str, Vec<u8>, Vec<u8>); 11] = [
        ("CONTINUATION", frame(HEADERS, 0, 1, OK), frame(CONTINUATION, 0, 1, &field)),
        ("empty CONTINUATION", frame(HEADERS, 0, 1, OK), frame(CONTINUATION, 0, 1, &[])),
        ("empty DATA", frame(HEADERS, END_HEADERS, 1, OK), frame(DATA, 0, 1, &[])),
        ("RST_STREAM", Vec::new(), frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])),
        ("SETTINGS", Vec::new(), frame(SETTINGS, 0, 0, &[])),
        ("PING", Vec::new(), frame(PING, 0, 0, &[7; 8])),
        ("PUSH_PROMISE", Vec::new(), frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x88])),
        ("WINDOW_UPDATE", Vec::new(), frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])),
        (
            "informational",
            Vec::new(),
            frame(HEADERS, END_HEADERS, 1, &[0x08, 0x03, b'1', b'0', b'3']),
        ),
        ("GOAWAY", frame(GOAWAY, 0, 0, &[0; 8]), Vec::new()),
        ("an unknown length", vec![0xff; 64], vec![0xff; 64]),
    ];
    let well = FakeRegistry::start(Config::open().tls(&authority.valid())).await;
    well.push_image("app", "1", "linux/amd64");
    for (name, first, again) in floods {
        let hostile = flooding(&authority, first, again).await;
        let mut settings = settings_for(hostile.host(), trusting(&authority));
        settings.registries = settings.registries.with_host(well.host(), trusting(&authority));
        let client = client(&settings);
        let (flooded, other) = tokio::join!(
            image(format!("{}/app:1", hostile.host())).of(&client),
            image(format!("{}/app:1", well.host())).of(&client)
        );
        assert!(flooded.is_inconclusive(), "{name}: {flooded:?}");
        let most = limits().question + Duration::from_secs(2);
        assert!(flooded.took < most, "{name}: {:?}", flooded.took);
        assert_eq!(other.id(), "pullable", "{name}");
        assert!(hostile.connections() > 0, "{name}");
    }
}
