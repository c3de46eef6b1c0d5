//! Connections of the fake registry: accepting, TLS, and taking one over to misbehave on it.
//!
//! hyper serves one end of an in-memory pipe and this side copies between the pipe and the socket.
//! A fault stops the copying and writes its own bytes, so no HTTP library tidies them up.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::serve::{Shared, handle};

/// One step of a script played on a connection; after the last step the connection closes.
#[derive(Clone, Debug)]
pub enum Step {
    Send(Vec<u8>),
    Drip(Vec<u8>, Duration),
    Forever(Vec<u8>),
    Reset,
    Hang,
}

/// What a request's handler needs of its connection.
#[derive(Clone)]
pub struct Connection {
    pub shared: Arc<Shared>,
    pub take_over: mpsc::Sender<Vec<Step>>,
}

/// Accepts until dropped; the connections are dropped with it.
pub async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                shared.count_connection();
                connections.spawn(connection(stream, shared.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One client; that it goes away at any moment is its right, so errors end here.
async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let _ = match shared.tls.clone() {
        None => converse(stream, shared).await,
        Some(tls) => match TlsAcceptor::from(tls).accept(stream).await {
            Ok(stream) => converse(stream, shared).await,
            Err(error) => Err(error),
        },
    };
}

async fn converse(mut stream: impl Wire, shared: Arc<Shared>) -> io::Result<()> {
    let (mut near, far) = duplex(64 * 1024);
    let (take_over, mut scripts) = mpsc::channel(1);
    let mut http = auto::Builder::new(TokioExecutor::new());
    if shared.http1_only {
        http = http.http1_only();
    }
    let service = Router::new().fallback(handle).with_state(Connection { shared, take_over });
    let service = TowerToHyperService::new(service);
    let mut serving = JoinSet::new();
    serving.spawn(async move { http.serve_connection(TokioIo::new(far), service).await.is_ok() });
    let script = tokio::select! {
        Some(script) = scripts.recv() => script,
        copied = copy_bidirectional(&mut stream, &mut near) => return copied.map(drop),
    };
    drop(serving);
    play(&mut stream, script).await
}

async fn play(stream: &mut impl Wire, script: Vec<Step>) -> io::Result<()> {
    for step in script {
        match step {
            Step::Send(bytes) => stream.write_all(&bytes).await?,
            Step::Drip(bytes, each) => {
                for byte in bytes {
                    stream.write_all(&[byte]).await?;
                    stream.flush().await?;
                    sleep(each).await;
                }
            }
            Step::Forever(bytes) => loop {
                stream.write_all(&bytes).await?;
            },
            Step::Reset => {
                // What was sent before has to arrive first, or the peer sees the reset alone.
                stream.flush().await?;
                sleep(Duration::from_millis(50)).await;
                // Without a shutdown: an orderly end would arrive before the reset.
                return stream.tcp().set_zero_linger();
            }
            Step::Hang => {
                stream.flush().await?;
                std::future::pending::<()>().await;
            }
        }
    }
    stream.shutdown().await
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {
    fn tcp(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Wire for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}
