//! One HTTP exchange with a registry or its token service: one shared client per set of authorities,
//! addresses judged when they are resolved, redirects followed by our own rules, bodies cut at a cap,
//! a deadline on everything. Passes no opinion on statuses.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Client, Method};
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use tokio::time::Instant;
use url::{Host, Url};

use super::breaker::Watch;
use super::error::classify;
use super::guard::Guard;
use super::identity::Identity;
use super::lane::{self, Lane};
use super::pause::Pauses;
use super::redirect::redirect_target;
use super::resolve::{GuardedResolver, Lookup};
use crate::diagnosis::cause::{Cause, Reason};
use crate::diagnosis::evidence::Trouble;
use crate::settings::registries::CertificateFile;
use crate::settings::{Limits, Registries};

/// Which authorities a connection trusts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Trust {
    /// The system's authorities.
    System,
    /// The system's and those of one file.
    With(CertificateFile),
    /// Loopback without an entry in the settings: containerd does not verify it either.
    UnverifiedLoopback,
    /// Named by the settings as a host whose certificate is not verified.
    Unverified,
}

/// One request.
pub(super) struct Request {
    pub method: Method,
    pub url: Url,
    pub accept: &'static str,
    pub authorization: Option<HeaderValue>,
    /// A form to POST.
    pub form: Option<String>,
    /// Bytes of body read; longer success bodies are [`Reason::TooLarge`], longer error bodies are cut.
    pub cap: usize,
    pub follow_redirects: bool,
    /// Whose request it is; a host that asks one caller to wait may answer another.
    pub identity: Option<Identity>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The host that answered, after redirects.
    pub host: String,
    /// A redirect to another origin took the login off.
    pub led_away: bool,
}

impl Response {
    /// A header value as text; `None` when absent, longer than the cap, or no text.
    pub fn header(&self, name: &str, cap: usize) -> Option<&str> {
        self.headers.get(name).filter(|value| value.len() <= cap)?.to_str().ok()
    }

    pub fn is_html(&self) -> bool {
        let of =
            |value: &HeaderValue| value.as_bytes().to_ascii_lowercase().starts_with(b"text/html");
        self.headers.get(header::CONTENT_TYPE).is_some_and(of)
    }
}

type Permits<'a> =
    (Result<SemaphorePermit<'a>, AcquireError>, Result<SemaphorePermit<'a>, AcquireError>);

/// A request that may go now.
struct Admitted<'a> {
    _permits: Permits<'a>,
    watch: Watch<'a>,
}

/// The shared HTTP client.
pub(super) struct Transport {
    guard: Arc<Guard>,
    addresses: Arc<BTreeMap<String, SocketAddr>>,
    registries: Arc<Registries>,
    pub(super) lookup: Lookup,
    limits: Limits,
    pauses: Pauses,
    /// By trust, and by port where a rule names it: a resolver is not told which one is dialled. Both
    /// come from the settings, so that images make no more of them.
    clients: Mutex<HashMap<(Trust, u16), Client>>,
    in_flight: Semaphore,
    requests: AtomicU64,
}

impl Transport {
    /// `addresses`: see [`crate::settings::Settings::addresses`].
    pub fn new(
        guard: Guard,
        limits: Limits,
        registries: Arc<Registries>,
        addresses: BTreeMap<String, SocketAddr>,
    ) -> Self {
        let in_flight = Semaphore::new(limits.in_flight);
        Self {
            guard: Arc::new(guard),
            addresses: Arc::new(addresses),
            registries,
            lookup: Lookup::default(),
            pauses: Pauses::new(&limits),
            limits,
            clients: Mutex::default(),
            in_flight,
            requests: AtomicU64::new(0),
        }
    }

    /// HTTP requests that reached a server, redirects and token requests included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub fn clients(&self) -> usize {
        self.clients.lock().unwrap().len()
    }

    /// Sends one request, follows its redirects, reads its body; one retry where the connection failed.
    pub async fn send(
        &self,
        request: &Request,
        trust: &Trust,
        lane: &Lane,
        deadline: Instant,
    ) -> Result<Response, Trouble> {
        let host = authority(&request.url);
        let work = async {
            let admitted = self.admitted(request, &host, lane, deadline).await?;
            let mut tries_left = self.limits.connection_retries;
            let sent = loop {
                match self.follow(request, trust, lane).await {
                    Err(trouble) if tries_left > 0 && is_worth_a_retry(&trouble) => {
                        tries_left -= 1;
                        tokio::time::sleep(jitter(Duration::from_millis(25))).await;
                    }
                    done => break done,
                }
            };
            admitted.watch.settle(lane::end(&sent, &host));
            sent
        };
        match tokio::time::timeout_at(deadline, work).await {
            Ok(done) => done,
            Err(_) => Err(timeout(&host, "no complete answer in time")),
        }
    }

    /// The permits for a request, once its host may be asked. The host's own comes first, so that a
    /// slow host queues on itself and not on the others; nobody holds one while waiting for a pause.
    async fn admitted<'a>(
        &'a self,
        request: &Request,
        host: &str,
        lane: &'a Lane,
        deadline: Instant,
    ) -> Result<Admitted<'a>, Trouble> {
        if let Some(trouble) = lane.breakers.refuses(host, request.identity) {
            return Err(trouble);
        }
        lane.turn(host, deadline).await?;
        loop {
            self.pauses.wait(host, request.identity, deadline).await?;
            let _permits = (lane.permits.acquire().await, self.in_flight.acquire().await);
            if self.pauses.refuses(host, request.identity).is_none() {
                let watch = lane.breakers.pass(host, request.identity)?;
                return Ok(Admitted { _permits, watch });
            }
        }
    }

    async fn follow(
        &self,
        request: &Request,
        trust: &Trust,
        lane: &Lane,
    ) -> Result<Response, Trouble> {
        let mut url = request.url.clone();
        let mut authorization = request.authorization.clone();
        let mut trust = trust.clone();
        for _ in 0..=self.limits.redirects {
            if !self.guard.allows_literal(&url) {
                return Err(refused_address(&authority(&url)));
            }
            let response =
                self.exchange(request, &url, authorization.as_ref(), &trust, lane).await?;
            let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            if !is_redirect || !request.follow_redirects {
                let read = self.read(response, request, &url).await;
                let led_away = request.authorization.is_some() && authorization.is_none();
                return read.map(|response| Response { led_away, ..response });
            }
            let next = redirect_target(&response, &url, self.limits.header_bytes)?;
            if next.origin() != url.origin() {
                authorization = None;
                let is_for_next_too = match trust {
                    Trust::UnverifiedLoopback => is_loopback(&next),
                    Trust::Unverified => false,
                    Trust::System | Trust::With(_) => next.host() == url.host(),
                };
                if !is_for_next_too {
                    trust = self.trust_by_settings(&next);
                }
            }
            url = next;
        }
        Err(Trouble {
            reason: Reason::TooManyRedirects,
            host: authority(&request.url),
            status: None,
            text: format!("redirected more than {} times", self.limits.redirects),
        })
    }

    /// What the settings trust for a host that nothing else is known of.
    pub fn trust_by_settings(&self, url: &Url) -> Trust {
        self.registries.host(&authority(url)).ca.map_or(Trust::System, Trust::With)
    }

    async fn exchange(
        &self,
        request: &Request,
        url: &Url,
        authorization: Option<&HeaderValue>,
        trust: &Trust,
        lane: &Lane,
    ) -> Result<reqwest::Response, Trouble> {
        let host = authority(url);
        if let Some(trouble) = self.pauses.refuses(&host, request.identity) {
            return Err(trouble);
        }
        let client = self.client(trust, url).map_err(|text| Trouble {
            reason: Reason::Seen(Cause::TlsUntrusted),
            host: authority(url),
            status: None,
            text,
        })?;
        let mut builder = client
            .request(request.method.clone(), url.clone())
            .header(header::ACCEPT, request.accept)
            .header(header::ACCEPT_ENCODING, "identity");
        if let Some(value) = authorization {
            builder = builder.header(header::AUTHORIZATION, value);
        }
        if let Some(form) = &request.form {
            builder = builder
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.clone());
        }
        let started = Instant::now();
        let sent =
            tokio::time::timeout(self.limits.connect + self.limits.headers, builder.send()).await;
        let answer = sent.map_err(|_| timeout(&host, "no answer in time"))?;
        if !answer.as_ref().is_err_and(reqwest::Error::is_connect) {
            self.requests.fetch_add(1, Ordering::Relaxed);
            lane.counters.sent(started.elapsed());
        }
        let answer = answer.map_err(|error| classify(&error, &host, url.scheme()));
        if let Ok(response) = &answer {
            self.pauses.note(&host, request.identity, response.status(), response.headers());
            if let Some(left) = pulls_left(response.headers()) {
                lane.counters.told(left);
            }
        }
        let outcome = match &answer {
            Ok(response) => response.status().as_str().to_owned(),
            Err(trouble) => trouble.text.clone(),
        };
        let took = started.elapsed().as_millis();
        // The query may hold a token service's scope, never a secret; it is left out all the same.
        tracing::debug!(method = %request.method, %host, path = url.path(), login = authorization.is_some() || request.form.is_some(), outcome, ms = took, "asked");
        answer
    }

    async fn read(
        &self,
        mut response: reqwest::Response,
        request: &Request,
        url: &Url,
    ) -> Result<Response, Trouble> {
        let host = authority(url);
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        if request.method != Method::HEAD {
            let encoded = headers
                .get_all(header::CONTENT_ENCODING)
                .iter()
                .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
            if encoded {
                return Err(bad_answer(
                    &host,
                    status.as_u16(),
                    "a compressed body, which was not asked for",
                ));
            }
            if status.is_success()
                && response.content_length().is_some_and(|length| length > request.cap as u64)
            {
                return Err(too_large(&host, status.as_u16(), request.cap));
            }
            loop {
                match response.chunk().await {
                    Ok(None) => break,
                    Ok(Some(chunk)) => {
                        let room = request.cap - body.len();
                        if chunk.len() <= room {
                            body.extend_from_slice(&chunk);
                        } else if status.is_success() {
                            return Err(too_large(&host, status.as_u16(), request.cap));
                        } else {
                            body.extend_from_slice(&chunk[..room]);
                            break;
                        }
                    }
                    Err(_) if !status.is_success() => break,
                    Err(error) => return Err(classify(&error, &host, url.scheme())),
                }
            }
        }
        Ok(Response { status: status.as_u16(), headers, body, host, led_away: false })
    }

    fn client(&self, trust: &Trust, url: &Url) -> Result<Client, String> {
        let port = self.guard.judged_port(url.port_or_known_default().unwrap_or(0));
        let key = (trust.clone(), port);
        let clients = || self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clients().get(&key).cloned();
        if let Some(client) = known {
            return Ok(client);
        }
        // It takes a while, and others have their clients already.
        let client = self.build(trust, port)?;
        Ok(clients().entry(key).or_insert(client).clone())
    }

    fn build(&self, trust: &Trust, port: u16) -> Result<Client, String> {
        let mut builder = Client::builder()
            .user_agent(concat!("pullproof/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(self.limits.connect)
            .dns_resolver(Arc::new(GuardedResolver {
                guard: self.guard.clone(),
                addresses: self.addresses.clone(),
                port,
                lookup: self.lookup.clone(),
                patience: self.limits.connect.mul_f64(0.8),
            }))
            .http1_max_headers(100)
            .http2_max_header_list_size(32 << 10)
            .pool_max_idle_per_host(self.limits.in_flight_host);
        match trust {
            Trust::System => {}
            Trust::With(ca) => {
                let roots = reqwest::Certificate::from_pem_bundle(ca.pem.as_bytes())
                    .map_err(|_| format!("{} holds no usable certificate", ca.file.display()))?;
                builder = builder.tls_certs_merge(roots);
            }
            Trust::Unverified => builder = builder.tls_danger_accept_invalid_certs(true),
            Trust::UnverifiedLoopback => {
                builder = builder.tls_danger_accept_invalid_certs(true).no_proxy()
            }
        }
        builder
            .build()
            .map_err(|_| "no certificate authorities were found on this system".to_owned())
    }
}

/// `ratelimit-remaining: 76;w=21600`: the pulls left to whoever asked.
pub(super) fn pulls_left(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get("ratelimit-remaining").filter(|value| value.len() <= 64)?;
    value.to_str().ok()?.split(';').next()?.trim().parse().ok()
}

/// `host[:port]` of a URL, without user info, path and query.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether a URL names this machine: `localhost` or a loopback address.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A broken or refused connection may be luck; a name, a certificate, a refused address or a body
/// that ends early is not.
fn is_worth_a_retry(trouble: &Trouble) -> bool {
    matches!(trouble.reason, Reason::Seen(Cause::ConnectionRefused | Cause::Unreachable))
}

/// `around` ±20 %.
pub(super) fn jitter(around: Duration) -> Duration {
    around.mul_f64(rand::random_range(0.8..1.2))
}

pub(super) fn bad_answer(host: &str, status: u16, text: &str) -> Trouble {
    Trouble {
        reason: Reason::Seen(Cause::BadAnswer),
        host: host.to_owned(),
        status: Some(status),
        text: text.to_owned(),
    }
}

fn too_large(host: &str, status: u16, cap: usize) -> Trouble {
    Trouble {
        reason: Reason::TooLarge,
        host: host.to_owned(),
        status: Some(status),
        text: format!("an answer of more than {cap} bytes"),
    }
}

fn timeout(host: &str, text: &str) -> Trouble {
    Trouble {
        reason: Reason::Seen(Cause::Timeout),
        host: host.to_owned(),
        status: None,
        text: text.to_owned(),
    }
}

fn refused_address(host: &str) -> Trouble {
    Trouble {
        reason: Reason::AddressRefused,
        host: host.to_owned(),
        status: None,
        text: "this address is never connected to".to_owned(),
    }
}
