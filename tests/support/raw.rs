//! Peers that are no registry: scripted TCP servers, a trap that records every byte, ports where
//! nothing answers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::{RUNTIME, Task, listen};

/// A TCP listener on loopback whose every connection follows a script.
pub struct RawServer {
    host: String,
    accepted: Arc<Mutex<usize>>,
    _task: Task,
}

impl RawServer {
    /// Runs `script` on each connection; the connection closes when the script returns.
    pub async fn start<F, W>(script: F) -> Self
    where
        F: Fn(TcpStream) -> W + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        Self::start_blocking(script)
    }

    /// The same for callers outside of async code.
    pub fn start_blocking<F, W>(script: F) -> Self
    where
        F: Fn(TcpStream) -> W + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let (listener, host) = listen(0);
        let accepted = Arc::new(Mutex::new(0));
        let count = accepted.clone();
        let task = Task::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                *count.lock().unwrap() += 1;
                connections.spawn(script(stream));
            }
        });
        Self { host, accepted, _task: task }
    }

    /// Accepts and never says a word: a TLS handshake that gets no hello, a request without answer.
    pub async fn silent() -> Self {
        Self::start(|stream| async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
        .await
    }

    /// Reads a request's head, sends these bytes, closes.
    pub async fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes: Vec<u8> = bytes.into();
        Self::start(move |mut stream| {
            let bytes = bytes.clone();
            async move {
                read_head(&mut stream, &mut |_| {}).await;
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }

    /// Sends these bytes at once, whatever the peer says, then waits for it to hang up.
    pub async fn speaking(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes: Vec<u8> = bytes.into();
        Self::start(move |mut stream| {
            let bytes = bytes.clone();
            async move {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            }
        })
        .await
    }

    /// Greets like a mail server: neither HTTP nor TLS.
    pub async fn garbage() -> Self {
        Self::speaking("220 mail.example.com ESMTP\r\n\u{1}\u{2}\u{3}\r\n").await
    }

    /// Reads the client's hello and answers with the beginning of a TLS record that never ends.
    pub async fn stalled_tls() -> Self {
        Self::start(|mut stream| async move {
            let mut hello = [0; 4096];
            let _ = stream.read(&mut hello).await;
            let _ = stream.write_all(&[0x16, 0x03, 0x03, 0x10, 0x00, 0x02]).await;
            std::future::pending::<()>().await;
        })
        .await
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        *self.accepted.lock().unwrap()
    }
}

/// A server that must not be reached, or not with a secret: it keeps every byte it receives.
///
/// An HTTP request is answered 404, a TLS hello with a close, so that the caller goes on.
pub struct Trap {
    server: RawServer,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Trap {
    pub async fn start() -> Self {
        Self::start_blocking()
    }

    /// The same for callers outside of async code.
    pub fn start_blocking() -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = received.clone();
        let server = RawServer::start_blocking(move |mut stream| {
            let kept = kept.clone();
            async move {
                let mut keep = |bytes: &[u8]| kept.lock().unwrap().extend(bytes);
                read_head(&mut stream, &mut keep).await;
                let _ = stream
                    .write_all(
                        b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                    )
                    .await;
                let _ = stream.shutdown().await;
                let mut rest = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut rest).await {
                    keep(&rest[..n]);
                }
            }
        });
        Self { server, received }
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        self.server.host()
    }

    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    /// Every byte of every connection.
    pub fn received(&self) -> Vec<u8> {
        self.received.lock().unwrap().clone()
    }

    /// The same as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.received()).into_owned()
    }

    /// Whether this text arrived, as it is or as the password of a Basic login.
    pub fn heard(&self, secret: &str) -> bool {
        let text = self.text();
        let logins = text.split_whitespace().filter_map(|word| {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.decode(word).ok()
        });
        text.contains(secret)
            || logins.into_iter().any(|l| String::from_utf8_lossy(&l).contains(secret))
    }
}

/// Reads up to the blank line after a request's headers, or the first bytes of a TLS hello.
async fn read_head(stream: &mut TcpStream, keep: &mut (impl FnMut(&[u8]) + Send)) {
    let mut head: Vec<u8> = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        keep(&buffer[..n]);
        head.extend(&buffer[..n]);
        if head[0] == 0x16 || head.windows(4).any(|w| w == b"\r\n\r\n") {
            return;
        }
    }
}

/// A port whose queue of connections is full, so that a new one gets no answer at all.
pub struct FullBacklog {
    host: String,
    _listener: tokio::net::TcpListener,
    _waiting: Vec<TcpStream>,
}

impl FullBacklog {
    pub async fn start() -> Self {
        // On the servers' runtime, so that it outlives the caller's.
        RUNTIME.spawn(Self::fill()).await.expect("filling a queue does not panic")
    }

    async fn fill() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free loopback port");
        let listener = socket.listen(1).expect("a listener");
        let address = listener.local_addr().expect("a bound address");
        let mut waiting = Vec::new();
        let patience = Duration::from_millis(200);
        while let Ok(Ok(stream)) = tokio::time::timeout(patience, TcpStream::connect(address)).await
        {
            waiting.push(stream);
        }
        Self { host: address.to_string(), _listener: listener, _waiting: waiting }
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// `127.0.0.1:PORT` of a port that was free a moment ago: connections are refused.
pub fn closed_port() -> String {
    listen(0).1
}
