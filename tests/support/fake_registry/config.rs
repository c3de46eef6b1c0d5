//! How a fake registry is set up before it starts: who may log in, how slow it is, TLS or not.
//!
//! The parts about logins and repository access are in `auth`.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::super::tls::Identity;
use super::auth::{Rules, Scheme};

/// Settings of one fake registry, built up by naming what differs from an open, fast, plain one.
#[derive(Clone, Default)]
pub struct Config {
    pub(super) auth: Rules,
    pub(super) tls: Option<Identity>,
    pub(super) http1_only: bool,
    pub(super) latency: Duration,
    pub(super) jitter: Duration,
    pub(super) lose_every: Option<usize>,
    pub(super) page_size: Option<usize>,
    pub(super) headers: HeaderMap,
}

impl Config {
    /// Everyone may read everything.
    pub fn open() -> Self {
        Self::default()
    }

    /// Every request needs a user and password (see `user`).
    pub fn basic() -> Self {
        Self::with(Scheme::Basic)
    }

    /// Every request needs a token from the token endpoint, `/token` here unless `realm` says else.
    pub fn bearer() -> Self {
        Self::with(Scheme::Bearer)
    }

    fn with(scheme: Scheme) -> Self {
        Self { auth: Rules::of(scheme), ..Self::default() }
    }

    /// Serve TLS with this certificate, HTTP/2 and HTTP/1.1 by ALPN.
    pub fn tls(mut self, identity: &Identity) -> Self {
        self.tls = Some(identity.clone());
        self
    }

    /// Offer no HTTP/2; faults on the wire (`Fault::close`, `Fault::slow_body` …) need this under TLS.
    pub fn http1_only(mut self) -> Self {
        self.http1_only = true;
        self
    }

    /// Wait this long before every answer.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Wait up to this much longer, differently for each request but alike in every run.
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Drop the connection instead of answering each n-th request (20 loses 5 %).
    pub fn lose_every(mut self, nth: usize) -> Self {
        self.lose_every = Some(nth);
        self
    }

    /// Never list more than this many tags at once, whatever `n` asks.
    pub fn page_size(mut self, tags: usize) -> Self {
        self.page_size = Some(tags);
        self
    }

    /// Put this header on every answer, such as `ratelimit-remaining`.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header value");
        self.headers.append(HeaderName::from_static(name), value);
        self
    }
}
