//! How a fake registry is set up before it starts: who may log in, how slow it is, TLS or not.
//!
//! What these settings mean for a request is in `auth` and `serve`.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::super::tls::Identity;
use super::answer::Answer;
use super::auth::{Access, Anonymous, Denial, Rules, Scheme, TokenField};
use super::serve::{Recorded, Script};

/// Settings of one fake registry, built up by naming what differs from an open, fast, plain one.
#[derive(Clone, Default)]
pub struct Config {
    pub(super) auth: Rules,
    pub(super) tls: Option<Identity>,
    pub(super) http1_only: bool,
    pub(super) port: u16,
    pub(super) latency: Duration,
    pub(super) jitter: Duration,
    pub(super) lose_every: Option<usize>,
    pub(super) page_size: Option<usize>,
    pub(super) headers: HeaderMap,
    pub(super) script: Option<Script>,
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

    /// Listen on this port in place of any free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
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

    /// Answer by this script; what it has no answer for is answered as usual.
    pub fn script(
        mut self,
        script: impl Fn(&Recorded) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        self.script = Some(std::sync::Arc::new(script));
        self
    }

    /// Put this header on every answer, such as `ratelimit-remaining`.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header value");
        self.headers.append(HeaderName::from_static(name), value);
        self
    }
}

/// Who may log in, who may read what, and what the token endpoint does.
impl Config {
    /// A user who may log in.
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.auth.users.insert(name.to_owned(), password.to_owned());
        self
    }

    /// A refresh token that logs `name` in by POST with `grant_type=refresh_token`.
    pub fn identity_token(mut self, name: &str, token: &str) -> Self {
        self.auth.identity_tokens.insert(token.to_owned(), name.to_owned());
        self
    }

    /// Only `readers` may read this repository; how others are refused is `denial`'s to say.
    pub fn private(self, repository: &str, readers: &[&str]) -> Self {
        self.rule(repository, readers, None)
    }

    /// As `private`, and others are refused in this way.
    pub fn private_with(self, repository: &str, readers: &[&str], denial: Denial) -> Self {
        self.rule(repository, readers, Some(denial))
    }

    fn rule(mut self, repository: &str, readers: &[&str], denial: Option<Denial>) -> Self {
        let readers = readers.iter().map(|r| (*r).to_owned()).collect();
        self.auth.access.insert(repository.to_owned(), Access { readers, denial });
        self
    }

    /// How this registry refuses; by default `InsufficientScope`, with Basic `Forbidden`.
    pub fn denial(mut self, denial: Denial) -> Self {
        self.auth.denial = Some(denial);
        self
    }

    /// A repository that is not there is refused like a private one (Docker Hub, GHCR).
    pub fn absent_looks_private(mut self) -> Self {
        self.auth.absent_looks_private = true;
        self
    }

    /// What callers without a login get from the token endpoint.
    pub fn anonymous(mut self, anonymous: Anonymous) -> Self {
        self.auth.anonymous = anonymous;
        self
    }

    /// The realm written into challenges, instead of this registry's own `/token`.
    pub fn realm(mut self, realm: &str) -> Self {
        self.auth.realm = Some(realm.to_owned());
        self
    }

    /// The service written into challenges.
    pub fn service(mut self, service: &str) -> Self {
        self.auth.service = service.to_owned();
        self
    }

    /// How long tokens live, and what `expires_in` says; `None` leaves the field out and means 60 s.
    pub fn expires_in(mut self, seconds: impl Into<Option<u64>>) -> Self {
        self.auth.expires_in = seconds.into();
        self
    }

    /// Which field holds the token.
    pub fn token_field(mut self, field: TokenField) -> Self {
        self.auth.field = field;
        self
    }

    /// Fields put over the token answer, such as `json!({"expires_in": -5})`.
    pub fn token_extra(mut self, extra: Value) -> Self {
        self.auth.extra = extra;
        self
    }

    /// A POST to the token endpoint is answered with this status; GET works on.
    pub fn token_post_answers(mut self, status: u16) -> Self {
        self.auth.post_status = Some(status);
        self
    }

    /// Tokens are granted and then refused, each with `error="invalid_token"`.
    pub fn tokens_never_work(mut self) -> Self {
        self.auth.tokens_fail = true;
        self
    }
}
