//! A way to the API server that a test can cut, so that one program loses it while all others keep
//! it: the API server can be asked about its reviews all the while.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Open,
    /// Connections are taken, those of before stay, and nothing more is said on any of them.
    Hangs,
    /// Those of before are reset, and new ones ended at once.
    Refuses,
}

/// A port of loopback that leads to another one; it ends with its owner.
pub struct Link {
    pub address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    task: tokio::task::JoinHandle<()>,
}

impl Link {
    pub async fn start(port: u16, state: State) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(watch::Sender::new(state));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(lead(stream, port, shared.subscribe()));
            }
        });
        Self { address, state, task }
    }

    pub fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn lead(mut near: TcpStream, port: u16, mut state: watch::Receiver<State>) {
    // What has not been sent is thrown away with a reset, as when a machine goes down.
    let _ = near.set_zero_linger();
    let mut far: Option<TcpStream> = None;
    loop {
        let now = *state.borrow_and_update();
        match now {
            State::Refuses => return,
            State::Hangs => {
                if state.changed().await.is_err() {
                    return;
                }
            }
            State::Open => {
                let far = match &mut far {
                    Some(far) => far,
                    none => match TcpStream::connect(("127.0.0.1", port)).await {
                        Ok(stream) => none.insert(stream),
                        Err(_) => return,
                    },
                };
                tokio::select! {
                    _ = copy_bidirectional(&mut near, far) => return,
                    _ = state.changed() => {}
                }
            }
        }
    }
}
