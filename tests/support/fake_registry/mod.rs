//! An OCI registry inside the test process: it holds what was pushed into it by call, serves the
//! reading half of the distribution API with logins, records every request, and fails on demand.
//!
//! ```ignore
//! let registry = FakeRegistry::start(Config::bearer().user("ci", "pw").private("team/app", &["ci"])).await;
//! registry.push_image("team/app", "1", "linux/amd64");
//! registry.fault(Fault::on("HEAD", "/v2/team/app/manifests/1").answer(503).once());
//! assert_eq!(registry.count_of("*", "/v2/"), 0);
//! ```

mod answer;
mod auth;
mod config;
mod content;
mod fault;
mod serve;
mod wire;

pub use answer::Answer;
pub use auth::{Access, Anonymous, Denial, TokenField};
pub use config::Config;
pub use fault::Fault;
pub use serve::Recorded;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use super::{Task, listen};
use serve::Shared;

/// A running registry; it stops when dropped.
pub struct FakeRegistry {
    shared: Arc<Shared>,
    host: String,
    task: Task,
}

impl FakeRegistry {
    /// Starts on a free port of 127.0.0.1.
    pub async fn start(config: Config) -> Self {
        Self::start_blocking(config)
    }

    /// The same for callers outside of async code; it does not block for long.
    pub fn start_blocking(config: Config) -> Self {
        Self::run(config, None)
    }

    /// A second server for the tokens of `registry`, which then points its challenges at it.
    ///
    /// Of `config` its logins and access rules do not count, those of `registry` do.
    pub async fn start_token_server(config: Config, registry: &FakeRegistry) -> Self {
        let server = Self::run(config, Some(registry));
        registry.set_realm(&format!("{}/token", server.url()));
        server
    }

    fn run(config: Config, tokens_of: Option<&FakeRegistry>) -> Self {
        let Config {
            auth,
            tls,
            http1_only,
            port,
            latency,
            jitter,
            lose_every,
            page_size,
            headers,
            script,
        } = config;
        let (listener, host) = listen(port);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (content, auth) = match tokens_of {
            Some(other) => (other.shared.content.clone(), other.shared.auth.clone()),
            None => (
                Arc::default(),
                Arc::new(auth::Auth::new(auth, format!("{scheme}://{host}/token"))),
            ),
        };
        let shared = Arc::new(Shared {
            content,
            auth,
            tls: tls.map(|identity| identity.server_config(http1_only)),
            http1_only,
            latency,
            jitter,
            lose_every,
            page_size,
            headers,
            script,
            faults: Mutex::default(),
            recorded: Mutex::default(),
            served: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        });
        let task = Task::spawn(wire::accept(listener, shared.clone()));
        Self { shared, host, task }
    }

    /// Stops and waits until the port is free again; dropping stops too, a moment later.
    pub async fn stop(self) {
        self.task.stop().await;
    }

    /// `127.0.0.1:PORT`, as it is written in an image reference.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Scheme and host, such as `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.host)
    }

    /// Adds a fault; the first one that takes a request wins.
    pub fn fault(&self, fault: Fault) {
        self.shared.faults().push(fault);
    }

    /// The registry is well again.
    pub fn clear_faults(&self) {
        self.shared.faults().clear();
    }

    /// Points challenges at another token endpoint from now on.
    pub fn set_realm(&self, realm: &str) {
        self.shared.auth.set_realm(realm);
    }

    /// No token granted so far is good any more.
    pub fn revoke_tokens(&self) {
        self.shared.auth.revoke_tokens();
    }

    /// Changes a user's password; tokens granted before stay good.
    pub fn set_password(&self, user: &str, password: &str) {
        self.shared.auth.set_password(user, password);
    }

    /// Every request since the start or the last `reset_counts`, in order of arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.recorded().clone()
    }

    /// How many requests that is.
    pub fn count(&self) -> usize {
        self.shared.recorded().len()
    }

    /// How many had this method (`*` for any) and path: exact, or a beginning if it ends in `/`, `*` for anything.
    pub fn count_of(&self, method: &str, path: &str) -> usize {
        let fits =
            |r: &&Recorded| fault::matches(method, &r.method) && fault::matches(path, r.path());
        self.shared.recorded().iter().filter(fits).count()
    }

    /// Method and path of every request, one a line; for asserting a whole conversation.
    pub fn log(&self) -> Vec<String> {
        self.shared
            .recorded()
            .iter()
            .map(|r| format!("{} {}", r.method, r.path_and_query))
            .collect()
    }

    /// Forgets the recorded requests, the peak and the number of connections; faults keep their counts.
    pub fn reset_counts(&self) {
        self.shared.recorded().clear();
        self.shared.peak.store(self.shared.in_flight.load(SeqCst), SeqCst);
        self.shared.connections.store(0, SeqCst);
    }

    /// The most requests that were in flight at once.
    pub fn peak_in_flight(&self) -> usize {
        self.shared.peak.load(SeqCst)
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(SeqCst)
    }
}
