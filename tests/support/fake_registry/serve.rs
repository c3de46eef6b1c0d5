//! What a fake registry answers: the distribution API's reading half, and the token endpoint.
//!
//! Every request is recorded before anything else happens to it, then delayed, spoiled or answered.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, Response, Version, header};
use serde_json::json;
use tokio::time::sleep;

use super::answer::Answer;
use super::auth::{Auth, basic_login};
use super::content::Content;
use super::fault::Fault;
use super::wire::{Connection, Step};

/// The longest request body kept.
const BODY_LIMIT: usize = 1024 * 1024;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: String,
    pub path_and_query: String,
    pub host: String,
    pub authorization: Option<String>,
    pub accept: Vec<String>,
    pub headers: HeaderMap,
    /// The body, a form when it is a token request.
    pub form: String,
    pub version: Version,
    pub at: Instant,
}

impl Recorded {
    pub fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap_or_default()
    }

    /// User and password, if the Authorization is Basic.
    pub fn basic(&self) -> Option<(String, String)> {
        basic_login(self.authorization.as_deref()?)
    }

    /// The first value of a field of the query or the form.
    pub fn field(&self, name: &str) -> Option<String> {
        let query = self.path_and_query.split_once('?').map_or("", |(_, query)| query);
        [query, &self.form]
            .into_iter()
            .flat_map(|text| url::form_urlencoded::parse(text.as_bytes()))
            .find_map(|(n, value)| (n == name).then(|| value.into_owned()))
    }
}

/// Answers in place of the registry.
pub type Script = Arc<dyn Fn(&Recorded) -> Option<Answer> + Send + Sync>;

/// The state all connections of one registry share.
pub struct Shared {
    pub content: Arc<Mutex<Content>>,
    pub auth: Arc<Auth>,
    pub tls: Option<Arc<tokio_rustls::rustls::ServerConfig>>,
    pub http1_only: bool,
    pub latency: Duration,
    pub jitter: Duration,
    pub lose_every: Option<usize>,
    pub page_size: Option<usize>,
    pub headers: HeaderMap,
    pub script: Option<Script>,
    pub faults: Mutex<Vec<Fault>>,
    pub recorded: Mutex<Vec<Recorded>>,
    pub served: AtomicUsize,
    pub in_flight: AtomicUsize,
    pub peak: AtomicUsize,
    pub connections: AtomicUsize,
}

impl Shared {
    pub fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().expect("no server task panicked")
    }

    pub fn recorded(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.recorded.lock().expect("no server task panicked")
    }

    pub fn faults(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.faults.lock().expect("no server task panicked")
    }

    pub fn count_connection(&self) {
        self.connections.fetch_add(1, SeqCst);
    }

    fn fault_for(&self, request: &Recorded) -> Option<Fault> {
        let mut faults = self.faults();
        faults.iter_mut().find_map(|f| f.takes(&request.method, request.path()).then(|| f.clone()))
    }

    /// The latency of the `nth` request: spread over the jitter by a fixed sequence.
    fn latency_of(&self, nth: usize) -> Duration {
        let spread = u32::try_from(nth.wrapping_mul(37) % 100).unwrap_or_default();
        self.latency + self.jitter * spread / 100
    }
}

/// Counts a request as in flight until it is answered or its connection is gone.
struct InFlight(Arc<Shared>);

impl InFlight {
    fn enter(shared: &Arc<Shared>) -> Self {
        let now = shared.in_flight.fetch_add(1, SeqCst) + 1;
        shared.peak.fetch_max(now, SeqCst);
        Self(shared.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, SeqCst);
    }
}

pub async fn handle(
    State(connection): State<Connection>,
    request: Request<Body>,
) -> Response<Body> {
    let Connection { shared, take_over } = connection;
    let _in_flight = InFlight::enter(&shared);
    let request = record(request).await;
    shared.recorded().push(request.clone());
    let nth = shared.served.fetch_add(1, SeqCst) + 1;
    let fault = shared.fault_for(&request);
    sleep(shared.latency_of(nth) + fault.as_ref().map_or(Duration::ZERO, |f| f.delay)).await;

    let head = request.method == "HEAD";
    let mut answer = match &fault {
        None => shared.answer(&request, request.path()),
        Some(fault) => fault.replacement(&request.path_and_query).unwrap_or_else(|| {
            shared.answer(&request, fault.instead.as_deref().unwrap_or(request.path()))
        }),
    };
    for (name, value) in &shared.headers {
        answer.headers.append(name, value.clone());
    }
    let mut script = None;
    if let Some(fault) = &fault {
        fault.change_answer(&mut answer);
        script = fault.script(&answer, head);
    }
    if shared.lose_every.is_some_and(|every| nth.is_multiple_of(every)) {
        script = Some(Vec::<Step>::new());
    }
    let Some(script) = script else {
        return answer.into_response(head);
    };
    // On HTTP/2 a connection can be cut and a stream left hanging; the rest is written as HTTP/1.1.
    match script.as_slice() {
        [Step::Hang] if request.version == Version::HTTP_2 => std::future::pending().await,
        [_, ..] if request.version == Version::HTTP_2 => {
            let hint = "this fault needs HTTP/1.1: start the registry with Config::http1_only()";
            return Answer::new(500, "text/plain", hint).into_response(head);
        }
        _ => {}
    }
    let _ = take_over.send(script).await;
    std::future::pending().await
}

async fn record(request: Request<Body>) -> Recorded {
    let (parts, body) = request.into_parts();
    let lossy = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let text = |name| parts.headers.get(name).map(lossy);
    let accept = parts.headers.get_all(header::ACCEPT);
    let authority = parts.uri.authority().map(ToString::to_string);
    let body = to_bytes(body, BODY_LIMIT).await.unwrap_or_default();
    Recorded {
        method: parts.method.to_string(),
        path_and_query: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        host: text(header::HOST).or(authority).unwrap_or_default(),
        authorization: text(header::AUTHORIZATION),
        accept: accept.iter().map(lossy).collect(),
        form: String::from_utf8_lossy(&body).into_owned(),
        version: parts.version,
        at: Instant::now(),
        headers: parts.headers,
    }
}

impl Shared {
    /// The answer without any fault; `path` may differ from the request's own.
    fn answer(&self, request: &Recorded, path: &str) -> Answer {
        if let Some(answer) = self.script.as_ref().and_then(|script| script(request)) {
            return answer;
        }
        let post = request.method == "POST";
        let exists = |name: &str| self.content().repository(name).is_some();
        if path == "/token" {
            let query = request.path_and_query.split_once('?').map_or("", |(_, query)| query);
            let header = request.authorization.as_deref();
            return self.auth.token(post, query, header, &request.form, exists);
        }
        if request.method != "GET" && request.method != "HEAD" {
            return Answer::error(405, "UNSUPPORTED", "this registry is for reading");
        }
        let asked = path.strip_prefix("/v2/").and_then(Asked::parse);
        if asked.is_none() && path != "/v2/" && path != "/v2" {
            return Answer::error(404, "UNSUPPORTED", "no such endpoint");
        }
        let about = asked.as_ref().map(|a| (a.repository, exists(a.repository)));
        if let Err(refusal) = self.auth.admit(about, request.authorization.as_deref()) {
            return refusal;
        }
        match asked {
            None => Answer::json(200, &json!({})),
            Some(asked) => self.read(&self.content(), &asked, request),
        }
    }

    fn read(&self, content: &Content, asked: &Asked<'_>, request: &Recorded) -> Answer {
        let Some(place) = content.repository(asked.repository) else {
            return match asked.kind {
                Kind::Manifest => Answer::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
                Kind::Blob => Answer::error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
                Kind::Tags => {
                    Answer::error(404, "NAME_UNKNOWN", "repository name not known to registry")
                }
            };
        };
        let found = match asked.kind {
            Kind::Tags => {
                let tags: Vec<&String> = place.tags.keys().collect();
                return self.list(&tags, asked.repository, request);
            }
            Kind::Manifest => place.digest_of(asked.reference).and_then(|digest| {
                let piece = place.manifests.get(&digest)?;
                Some((digest, piece))
            }),
            Kind::Blob => place.blobs.get(asked.reference).map(|b| (asked.reference.to_owned(), b)),
        };
        match found {
            Some((digest, piece)) => Answer::new(200, &piece.media_type, piece.bytes.clone())
                .with("docker-content-digest", &digest),
            None if asked.kind == Kind::Blob => {
                Answer::error(404, "BLOB_UNKNOWN", "blob unknown to registry")
            }
            None => Answer::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        }
    }

    /// One page of tags, after `last`, with a Link to the next.
    fn list(&self, tags: &[&String], repository: &str, request: &Recorded) -> Answer {
        let last = request.field("last").unwrap_or_default();
        let wanted = request.field("n").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
        let size = wanted.min(self.page_size.unwrap_or(usize::MAX));
        let rest: Vec<&&String> = tags.iter().filter(|tag| tag.as_str() > last.as_str()).collect();
        let page = &rest[..size.min(rest.len())];
        let answer = Answer::json(200, &json!({ "name": repository, "tags": page }));
        match page.last() {
            Some(end) if page.len() < rest.len() => {
                let next =
                    format!("</v2/{repository}/tags/list?last={end}&n={size}>; rel=\"next\"");
                answer.with("link", &next)
            }
            _ => answer,
        }
    }
}

/// What a path below `/v2/` asks for.
struct Asked<'a> {
    repository: &'a str,
    kind: Kind,
    reference: &'a str,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Manifest,
    Blob,
    Tags,
}

impl<'a> Asked<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        let (before, reference) = path.rsplit_once('/')?;
        let (repository, kind) = before.rsplit_once('/')?;
        let kind = match kind {
            "manifests" => Kind::Manifest,
            "blobs" => Kind::Blob,
            "tags" if reference == "list" => Kind::Tags,
            _ => return None,
        };
        Some(Self { repository, kind, reference })
    }
}
