//! Registries to test against, in process and real, and servers that misbehave on the wire.
//!
//! `FakeRegistry` speaks the distribution protocol and can be told to fail in most ways a registry
//! fails; `RawServer` is for peers that do not even speak HTTP; `Trap` records what must not arrive;
//! `RealRegistry` runs the Distribution binary. All servers live on a runtime of their own, so a
//! blocking test that waits for a child process is served as well as an async one.
//! Nothing here knows the program under test: examples and benches include this folder by `#[path]`.

// Each including binary uses its own part, and a broken test server should panic where it broke.
#![allow(dead_code, unused_imports, clippy::unwrap_used)]

mod fake_registry;
pub mod families;
mod image;
mod raw;
mod real_registry;
#[cfg(test)]
mod self_test;
pub mod tls;

pub use fake_registry::{
    Access, Anonymous, Answer, Config, Denial, FakeRegistry, Fault, Recorded, TokenField,
};
pub use image::{PlatformSpec, media_type, sha256};
pub use raw::{FullBacklog, RawServer, Trap, closed_port};
pub use real_registry::{Destination, RealRegistry, Setup};

use std::sync::LazyLock;

/// The runtime every server of this folder runs on; it lives as long as the process.
static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("test-registry")
        .enable_all()
        .build()
        .expect("a runtime for the test servers")
});

/// A listener on this loopback port (0 for a free one), and its `127.0.0.1:PORT`.
fn listen(port: u16) -> (tokio::net::TcpListener, String) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a free loopback port");
    listener.set_nonblocking(true).expect("a listener for async use");
    let host = listener.local_addr().expect("a bound address").to_string();
    let _inside = RUNTIME.enter();
    (tokio::net::TcpListener::from_std(listener).expect("a listener for async use"), host)
}

/// A server's task, stopped when its owner goes.
struct Task(tokio::task::JoinHandle<()>);

impl Task {
    fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(RUNTIME.spawn(work))
    }

    /// Stops it and waits until it is gone.
    async fn stop(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
