//! The load: a client of HTTP/1.1 and 2 over TLS on hyper, an open loop that begins requests when they
//! are due, and a closed one whose connections each wait for their answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_rustls::TlsConnector;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    Http1,
    Http2,
}

/// Whom the load is for.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    pub path: &'static str,
    config: Arc<ClientConfig>,
}

impl Target {
    /// A server on this address with a certificate of this authority.
    pub fn new(address: SocketAddr, path: &'static str, authority: &str) -> Self {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.as_bytes()).expect("a certificate");
        roots.add(root).expect("an authority");
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Self { address, path, config: Arc::new(config) }
    }

    pub async fn connect(&self, version: Version) -> Connection {
        let mut config = (*self.config).clone();
        config.alpn_protocols = match version {
            Version::Http1 => vec![b"http/1.1".to_vec()],
            Version::Http2 => vec![b"h2".to_vec()],
        };
        let stream = TcpStream::connect(self.address).await.expect("the server accepts");
        stream.set_nodelay(true).expect("a socket");
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = TlsConnector::from(Arc::new(config));
        let stream = TokioIo::new(connector.connect(name, stream).await.expect("a handshake"));
        let sender = match version {
            Version::Http1 => {
                let (sender, connection) = http1::handshake(stream).await.expect("HTTP/1.1");
                tokio::spawn(connection);
                Sender::Http1(sender)
            }
            Version::Http2 => {
                let handshake = http2::handshake(TokioExecutor::new(), stream);
                let (sender, connection) = handshake.await.expect("HTTP/2");
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        };
        Connection { sender, path: self.path }
    }

    pub async fn connect_all(&self, version: Version, count: usize) -> Vec<Connection> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(self.connect(version).await);
        }
        connections
    }
}

pub struct Connection {
    sender: Sender,
    path: &'static str,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// The answer to a body.
    pub async fn post(&mut self, body: Bytes) -> Bytes {
        let request = Request::post(self.path)
            .header("host", "localhost")
            .header("content-type", "application/json");
        let request = request.body(Full::new(body)).expect("a request");
        let response: Response<Incoming> = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await.expect("an open connection");
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                sender.ready().await.expect("an open connection");
                sender.send_request(request).await
            }
        }
        .expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().collect().await.expect("a whole answer").to_bytes()
    }

    /// One more user of the same connection.
    fn share(&self) -> Self {
        match &self.sender {
            Sender::Http2(sender) => {
                Self { sender: Sender::Http2(sender.clone()), path: self.path }
            }
            Sender::Http1(_) => unreachable!("HTTP/1.1 answers one request at a time"),
        }
    }
}

/// What came of a load.
#[derive(Default)]
pub struct Load {
    pub took: Duration,
    times: Vec<Duration>,
    /// Answers that are not a plain "allowed": a warning, a refusal.
    pub odd: usize,
}

impl Load {
    fn of(took: Duration, answers: Vec<Answered>) -> Self {
        let odd = answers.iter().filter(|(_, is_plain)| !is_plain).count();
        let mut times: Vec<Duration> = answers.into_iter().map(|(took, _)| took).collect();
        times.sort();
        Self { took, times, odd }
    }

    pub fn count(&self) -> usize {
        self.times.len()
    }

    pub fn rate(&self) -> f64 {
        self.count() as f64 / self.took.as_secs_f64()
    }

    /// Milliseconds that so many of a hundred stay below.
    pub fn percentile(&self, percent: usize) -> f64 {
        let at = (self.times.len() * percent).div_ceil(100).saturating_sub(1);
        self.times.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

/// How long an answer took, and whether it is the expected one.
type Answered = (Duration, bool);

/// Begins requests at a steady rate over one HTTP/2 connection, whether or not those before were
/// answered. Times count from when a request was due, so that a stall is not overlooked.
pub async fn open(connection: &Connection, bodies: &Bodies, rate: u32, count: usize) -> Load {
    let (runtime, bodies) = (Handle::current(), Arc::clone(bodies));
    let connections: Vec<Connection> = (0..count).map(|_| connection.share()).collect();
    let started = Instant::now() + Duration::from_millis(20);
    // A thread of its own, since the timer of the runtime counts whole milliseconds.
    let begin = move || -> Vec<_> {
        let of = |(nth, mut connection): (usize, Connection)| {
            let due = started + Duration::from_secs(1) * nth as u32 / rate;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let body = bodies[nth % bodies.len()].clone();
            runtime.spawn(async move {
                let answer = connection.post(body).await;
                (due.elapsed(), is_plain(&answer))
            })
        };
        connections.into_iter().enumerate().map(of).collect()
    };
    let begun = tokio::task::spawn_blocking(begin).await.expect("the pacing thread");
    let mut answers = Vec::with_capacity(count);
    for task in begun {
        answers.push(task.await.expect("an answer"));
    }
    Load::of(started.elapsed(), answers)
}

/// Bodies that are sent in turn.
pub type Bodies = Arc<Vec<Bytes>>;

/// Sends `count` bodies over connections that each wait for the answer before the next.
pub async fn closed(connections: &mut Vec<Connection>, bodies: &Bodies, count: usize) -> Load {
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let tasks: Vec<_> = connections
        .drain(..)
        .map(|mut connection| {
            let (next, bodies) = (Arc::clone(&next), Arc::clone(bodies));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                while let Some(nth) = Some(next.fetch_add(1, Relaxed)).filter(|it| *it < count) {
                    let started = Instant::now();
                    let answer = connection.post(bodies[nth % bodies.len()].clone()).await;
                    answers.push((started.elapsed(), is_plain(&answer)));
                }
                (connection, answers)
            })
        })
        .collect();
    let mut answers = Vec::with_capacity(count);
    for task in tasks {
        let (connection, its) = task.await.expect("a connection");
        connections.push(connection);
        answers.extend(its);
    }
    Load::of(started.elapsed(), answers)
}

/// Allowed, and nothing said.
fn is_plain(answer: &[u8]) -> bool {
    let holds = |text: &str| answer.windows(text.len()).any(|part| part == text.as_bytes());
    holds(r#""allowed":true"#) && !holds("warnings")
}
