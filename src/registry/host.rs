//! What is known of one registry host while the process runs: its settings, the scheme a loopback
//! host speaks, the challenge it answers with, and whether it can be reached at all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::challenge::Use;
use super::error::NO_CONNECTION;
use super::lane::Lane;
use super::stats::Meters;
use super::transport::{Request, Response, Transport, Trust, authority, is_loopback};
use crate::diagnosis::cause::{Cause, Reason};
use crate::diagnosis::evidence::Trouble;
use crate::settings::mirrors::{Endpoint, Verify};
use crate::settings::{HostSettings, Limits};

/// Where Docker Hub is reached; it needs no telling what it stands for.
const DOCKER_HUB: &str = "registry-1.docker.io";

/// One registry host.
pub(super) struct Host {
    /// As images write it: `docker.io`, `registry.internal:5000`; of a mirror its own name.
    pub registry: String,
    /// Tells it from every other host, and from itself as a mirror of another registry.
    pub key: String,
    /// Whether logins may be sent to it.
    pub takes_logins: bool,
    /// Nodes send it more than is known here.
    pub nodes_know_more: bool,
    /// Asked what a tag names, and for content by digest.
    pub can: Can,
    /// Path of the API, without a slash at the end.
    api: String,
    /// The registry that it stands for where that is another.
    stands_for: Option<String>,
    pub settings: HostSettings,
    pub lane: Lane,
    trust: Trust,
    /// `https://host`, the scheme replaced once it is known.
    base: Url,
    scheme: tokio::sync::Mutex<()>,
    known_scheme: Mutex<Option<&'static str>>,
    /// Held by the first question, so that the others know the challenge it meets.
    pub first: tokio::sync::Mutex<()>,
    met: Mutex<Option<Option<Use>>>,
    pub head_unsupported: AtomicBool,
    demands_login: AtomicBool,
    unreachable: Mutex<Option<(Instant, Trouble)>>,
    unreachable_for: Duration,
}

/// What a host is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Can {
    pub resolve: bool,
    pub pull: bool,
}

impl Host {
    /// A host that stands for `registry`, by the settings of its own name where nothing else is said.
    pub fn at(
        endpoint: &Endpoint,
        registry: &str,
        settings: HostSettings,
        limits: &Limits,
        meters: &Meters,
    ) -> Option<Self> {
        let name = authority(&endpoint.url);
        // A host with an entry is reached as the entry says: no search for its scheme.
        let plain_http = endpoint.url.scheme() == "http";
        let ca = settings.ca.clone().filter(|_| !plain_http);
        let settings = HostSettings { plain_http, ca, mirrors: Vec::new(), ..settings };
        let mut host = Self::new(&name, &name, settings, limits, meters)?;
        host.trust = match (&endpoint.verify, host.settings.ca.clone()) {
            (Verify::Never, _) => Trust::Unverified,
            (Verify::With(ca), _) => Trust::With(ca.clone()),
            (Verify::ByName, Some(ca)) => Trust::With(ca),
            (Verify::ByName, None) => Trust::System,
        };
        host.base = endpoint.url.clone();
        host.known_scheme = Mutex::new(Some(if plain_http { "http" } else { "https" }));
        host.key = format!("{}{} for {registry}", endpoint.url, endpoint.api);
        host.takes_logins = endpoint.credentials;
        host.nodes_know_more = endpoint.nodes_know_more;
        host.can = Can { resolve: endpoint.resolve, pull: endpoint.pull };
        host.api.clone_from(&endpoint.api);
        let is_itself = name == registry || (registry == "docker.io" && name == DOCKER_HUB);
        host.stands_for = (!is_itself).then(|| registry.to_owned());
        Some(host)
    }

    /// `endpoint` is the host that is contacted for `registry`, for example `registry-1.docker.io`.
    pub fn new(
        registry: &str,
        endpoint: &str,
        settings: HostSettings,
        limits: &Limits,
        meters: &Meters,
    ) -> Option<Self> {
        let mut base = Url::parse(&format!("https://{endpoint}/")).ok()?;
        let mut known_scheme = Some("https");
        let mut trust = match &settings.ca {
            Some(ca) => Trust::With(ca.clone()),
            None => Trust::System,
        };
        if settings.plain_http {
            known_scheme = Some("http");
        } else if settings.ca.is_none() && is_loopback(&base) && base.port().is_some() {
            // containerd's rule for loopback hosts without an entry: unverified https, then http.
            trust = Trust::UnverifiedLoopback;
            known_scheme = if base.port() == Some(80) { Some("http") } else { None };
        } else if settings.ca.is_none() && is_loopback(&base) {
            trust = Trust::UnverifiedLoopback;
        }
        if known_scheme == Some("http") {
            base = Url::parse(&format!("http://{endpoint}/")).ok()?;
        }
        Some(Self {
            registry: registry.to_owned(),
            key: registry.to_owned(),
            takes_logins: true,
            nodes_know_more: false,
            can: Can { resolve: true, pull: true },
            api: "/v2".to_owned(),
            stands_for: None,
            lane: Lane::new(
                settings.requests_in_flight.unwrap_or(limits.in_flight_host),
                settings.rate,
                limits,
                meters.of(registry),
            ),
            settings,
            trust,
            base,
            scheme: tokio::sync::Mutex::default(),
            known_scheme: Mutex::new(known_scheme),
            first: tokio::sync::Mutex::default(),
            met: Mutex::default(),
            head_unsupported: AtomicBool::new(false),
            demands_login: AtomicBool::new(false),
            unreachable: Mutex::default(),
            unreachable_for: limits.unreachable,
        })
    }

    /// The URL of a path below the host, such as `v2/app/tags/list`, with the scheme as far as it is
    /// known and, where the host stands for another, that registry's name as containerd adds it.
    pub fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        match path.strip_prefix("v2/") {
            Some(rest) => url.set_path(&format!("{}/{rest}", self.api)),
            None => url.set_path(path),
        }
        if let Some(registry) = self.stands_for.as_ref().filter(|_| !path.is_empty()) {
            url.query_pairs_mut().append_pair("ns", registry);
        }
        if *lock(&self.known_scheme) == Some("http") && url.scheme() == "https" {
            url = with_scheme(url, "http");
        }
        url
    }

    /// The trust for connections to this host; a token service elsewhere is trusted by the settings
    /// of its own name, or as the system trusts.
    pub fn trust_for(&self, url: &Url, transport: &Transport) -> Trust {
        let is_own = match self.trust {
            Trust::Unverified => url.origin() == self.url("").origin(),
            _ => url.host() == self.base.host(),
        };
        if is_own {
            return self.trust.clone();
        }
        transport.trust_by_settings(url)
    }

    /// Sends a request to the host itself. A host that was just seen to be out of reach is not tried.
    pub async fn send(
        &self,
        transport: &Transport,
        mut request: Request,
        deadline: Instant,
    ) -> Result<Response, Trouble> {
        if let Some((seen, trouble)) = &*lock(&self.unreachable)
            && seen.elapsed() < self.unreachable_for
        {
            return Err(trouble.clone());
        }
        let sent = if lock(&self.known_scheme).is_some() {
            transport.send(&request, &self.trust, &self.lane, deadline).await
        } else {
            let _probing = self.scheme.lock().await;
            if lock(&self.known_scheme).is_some() {
                let scheme = self.url("").scheme().to_owned();
                request.url = with_scheme(request.url, &scheme);
                transport.send(&request, &self.trust, &self.lane, deadline).await
            } else {
                self.probe(transport, request, deadline).await
            }
        };
        // A redirect's target may be dead too; that says nothing about this host.
        if let Err(trouble) = &sent
            && trouble.host == authority(&self.url(""))
            && is_out_of_reach(trouble)
        {
            *lock(&self.unreachable) = Some((Instant::now(), trouble.clone()));
        }
        sent
    }

    /// The first question to the host met no answer: those that waited for it need not try as well.
    /// `in_full`: all the time was waited that an answer may take.
    pub fn never_answered(&self, trouble: &Trouble, in_full: bool) {
        let is_silent = trouble.reason == Reason::Seen(Cause::Timeout);
        if in_full && is_silent && trouble.host == authority(&self.base) {
            *lock(&self.unreachable) = Some((Instant::now(), trouble.clone()));
        }
    }

    /// https first, then plain http where the port does not speak TLS.
    async fn probe(
        &self,
        transport: &Transport,
        mut request: Request,
        deadline: Instant,
    ) -> Result<Response, Trouble> {
        let sent = transport.send(&request, &self.trust, &self.lane, deadline).await;
        let speaks_http = sent.as_ref().is_err_and(may_speak_http);
        if !speaks_http {
            if sent.is_ok() {
                *lock(&self.known_scheme) = Some("https");
            }
            return sent;
        }
        *lock(&self.known_scheme) = Some("http");
        request.url = with_scheme(request.url, "http");
        transport.send(&request, &self.trust, &self.lane, deadline).await
    }

    /// The challenge the host is known for: `None` before anybody asked, `Some(None)` when the first
    /// question met none.
    pub fn met(&self) -> Option<Option<Use>> {
        lock(&self.met).clone()
    }

    /// Remembers what the first question met; a challenge met later is remembered too.
    pub fn remember(&self, challenge: Option<Use>) {
        let mut met = lock(&self.met);
        if challenge.is_some() {
            self.demands_login.store(true, Ordering::Relaxed);
        }
        if met.is_none() || challenge.is_some() {
            *met = Some(challenge);
        }
    }

    /// Whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.base)
    }

    /// Whether the host ever asked anybody for a login.
    pub fn demands_login(&self) -> bool {
        self.demands_login.load(Ordering::Relaxed)
    }
}

fn is_out_of_reach(trouble: &Trouble) -> bool {
    use Cause::*;
    match trouble.reason {
        Reason::AddressRefused => true,
        Reason::Seen(cause) => {
            let is_dead = matches!(
                cause,
                DnsFailure
                    | ConnectionRefused
                    | TlsUntrusted
                    | TlsExpired
                    | TlsHandshake
                    | SchemeMismatch
                    | ProxyFailure
            );
            trouble.status.is_none() && (is_dead || is_connect_timeout(trouble))
        }
        _ => false,
    }
}

/// containerd falls back after a TLS error whose bytes begin `HTTP/`, or a handshake that never ends;
/// never after a refusal.
fn may_speak_http(trouble: &Trouble) -> bool {
    trouble.reason == Reason::Seen(Cause::SchemeMismatch) || is_connect_timeout(trouble)
}

/// No connection was made in time, as opposed to one on which no answer came.
fn is_connect_timeout(trouble: &Trouble) -> bool {
    trouble.reason == Reason::Seen(Cause::Timeout) && trouble.text == NO_CONNECTION
}

fn with_scheme(mut url: Url, scheme: &str) -> Url {
    // https and http are both special schemes, so the change is always possible; the port stays.
    let port = url.port_or_known_default();
    let _ = url.set_scheme(scheme);
    let _ = url.set_port(port);
    url
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
