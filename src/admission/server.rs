//! Bytes to reviews and back: an accept loop of our own over TLS, HTTP/1.1 and 2, so that failed
//! handshakes are seen, connections are bounded, and a certificate changes between two of them. Every
//! body is bounded, every review answered in time: a fault of ours is a warning, never a dropped
//! connection and never a redirect.

use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::deadline;
use super::handler::{Decision, Endpoint, Webhook};
use super::patience::Patience;
use super::review::{self, Answer};
use super::tls::{Tls, is_named};
use super::words;
use crate::policy::Action;
use crate::telemetry::health::{self, Draining, Told};
use crate::telemetry::metrics::{Metrics, ResultLabels};

/// The largest review that is read: what the API server can send, and some.
pub const MAX_BODY: usize = 8 << 20;
/// What is in memory of bodies at a time, in KiB.
const BODIES: usize = 96 << 10;
const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: u32 = 32 << 10;
const MAX_CONNECTIONS: usize = 2048;
const MAX_STREAMS: u32 = 1024;
const HANDSHAKE: Duration = Duration::from_secs(5);
/// From the handshake to the first byte of the first request.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// Longer than the API server keeps a connection it does not use.
const IDLE: Duration = Duration::from_secs(120);
const PING: Duration = Duration::from_secs(30);
/// What is still being answered when everything else has stopped.
const DRAIN: Duration = Duration::from_secs(10);

/// Everything the server shares.
pub struct App {
    pub webhook: Webhook,
    pub metrics: Metrics,
    pub tls: Tls,
    /// Names of client certificates that may call; empty: every one the authority vouches for.
    pub client_names: Vec<String>,
    pub draining: Draining,
    bodies: Semaphore,
}

impl App {
    /// A server's shared parts.
    pub fn new(webhook: Webhook, tls: Tls, client_names: Vec<String>) -> Self {
        Self {
            webhook,
            metrics: Metrics::default(),
            tls,
            client_names,
            draining: Draining::default(),
            bodies: Semaphore::new(BODIES),
        }
    }
}

impl Told for App {
    fn not_ready(&self) -> Option<String> {
        if self.draining.has_begun() {
            return Some("stopping".to_owned());
        }
        self.webhook.sources.not_ready().map(str::to_owned)
    }

    fn metrics(&self) -> String {
        let (accepted, invalid) = self.webhook.sources.policy_counts();
        self.metrics.set(self.tls.expiry(), accepted, invalid);
        let label = |registry: &str| self.webhook.label_of(registry).to_owned();
        self.metrics.upstream.set(&self.webhook.registry.stats(), label);
        self.metrics.text()
    }
}

/// The routes of the HTTPS port.
pub fn router(app: Arc<App>) -> Router {
    let probes = health::probes(Arc::clone(&app));
    Router::new()
        .route("/mutate", post(|state, request| admit(state, Endpoint::Mutate, request)))
        .route("/validate", post(|state, request| admit(state, Endpoint::Validate, request)))
        .with_state(app)
        .merge(probes)
}

/// Serves until `stop` ends; then readiness goes, and after `delay` the connections do.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    stop: impl Future<Output = ()>,
    delay: Duration,
) {
    let service = TowerToHyperService::new(router(Arc::clone(&app)));
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (graceful, mut tasks) = (GracefulShutdown::new(), JoinSet::new());
    let draining = Arc::clone(&app);
    let stop = async move {
        stop.await;
        draining.draining.begin();
        tracing::info!(seconds = delay.as_secs(), "stopping: not ready, still serving");
        tokio::time::sleep(delay).await;
    };
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            // Ended connections are taken off the list.
            Some(_) = tasks.join_next() => continue,
            accepted = accept(&listener, &connections) => accepted,
        };
        let (stream, permit) = accepted;
        let (app, service, watcher) = (Arc::clone(&app), service.clone(), graceful.watcher());
        tasks.spawn(async move {
            if let Err(reason) = connection(stream, &app, service, watcher).await {
                app.metrics.handshake_errors.inc();
                tracing::debug!(reason, "connection refused");
            }
            drop(permit);
        });
    }
    drop(listener);
    // Idle connections end at once, those in a review after it.
    let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
    tasks.shutdown().await;
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> (TcpStream, tokio::sync::OwnedSemaphorePermit) {
    let permit = Arc::clone(connections).acquire_owned().await.expect("it is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            // No file descriptors are left, say: others end and give theirs back.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    app: &App,
    service: TowerToHyperService<Router>,
    watcher: hyper_util::server::graceful::Watcher,
) -> Result<(), String> {
    let _ = stream.set_nodelay(true);
    let handshake = TlsAcceptor::from(app.tls.config()).accept(stream);
    let stream = match tokio::time::timeout(HANDSHAKE, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err("no handshake in time".to_owned()),
    };
    if !app.client_names.is_empty() {
        let peer = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        if !peer.is_some_and(|certificate| is_named(certificate, &app.client_names)) {
            return Err("the client's certificate has none of the allowed names".to_owned());
        }
    }
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES as usize)
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let served = builder.serve_connection(TokioIo::new(Patience::new(stream, FIRST_BYTE)), service);
    // What goes wrong after the handshake is the other side's.
    let _ = watcher.watch(served.into_owned()).await;
    Ok(())
}

async fn admit(State(app): State<Arc<App>>, endpoint: Endpoint, request: Request) -> Response {
    let _in_flight = InFlight::of(&app);
    let started = Instant::now();
    let budget = deadline::budget(request.uri().query());
    // Futures are pinned where they are made: each that is handed on by value is kept twice.
    let answering = pin!(answer(&app, endpoint, json_body(request), budget));
    let ((verdict, response), own) = own_time(answering).await;
    app.metrics.review(endpoint.id(), verdict, started.elapsed(), own);
    response
}

/// A review that is being answered; none any more when its caller has hung up.
struct InFlight<'a>(&'a App);

impl<'a> InFlight<'a> {
    fn of(app: &'a App) -> Self {
        app.metrics.in_flight.inc();
        Self(app)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.metrics.in_flight.dec();
    }
}

/// What a future gives, and how long it was at work: waiting does not count.
async fn own_time<T>(mut work: Pin<&mut impl Future<Output = T>>) -> (T, Duration) {
    let mut own = Duration::ZERO;
    let done = std::future::poll_fn(|context| {
        let began = Instant::now();
        let polled = work.as_mut().poll(context);
        own += began.elapsed();
        polled
    })
    .await;
    (done, own)
}

/// Why nothing of a request is looked at.
type Refusal = (StatusCode, &'static str);

/// The body of a request, if that says to be what API servers send, or says nothing of it.
fn json_body(request: Request) -> Result<Body, Refusal> {
    let is_json = |value: &HeaderValue| {
        let value = value.to_str().unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
    };
    match request.headers().get(header::CONTENT_TYPE).is_none_or(is_json) {
        true => Ok(request.into_body()),
        false => Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "a review is application/json\n")),
    }
}

/// The verdict for the metrics, and the response.
async fn answer(
    app: &App,
    endpoint: Endpoint,
    body: Result<Body, Refusal>,
    budget: Duration,
) -> (&'static str, Response) {
    const LATE: Refusal = (StatusCode::REQUEST_TIMEOUT, "the body did not come in time\n");
    let started = Instant::now();
    let read = match body {
        Ok(body) => tokio::time::timeout(budget, read(app, body)).await.unwrap_or(Err(LATE)),
        Err(refusal) => Err(refusal),
    };
    let body = match read {
        Ok(body) => body,
        Err(refusal) => return ("bad-request", refusal.into_response()),
    };
    let request = match review::parse(&body.bytes) {
        Ok(request) => request,
        Err(error) => {
            return (
                "bad-request",
                (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
            );
        }
    };
    let budget = budget.saturating_sub(started.elapsed());
    let deciding = pin!(app.webhook.decide(endpoint, &request, budget));
    let decision = survived(deciding, &app.metrics, &request.uid).await;
    let verdict = tell(app, endpoint, &request, &decision, started.elapsed());
    let bytes = decision.answer.to_bytes(&request.uid);
    (verdict, ([(header::CONTENT_TYPE, "application/json")], bytes).into_response())
}

/// A decision, whatever happens on the way to it: a fault of ours admits the object unchecked.
async fn survived(
    deciding: Pin<&mut impl Future<Output = Decision>>,
    metrics: &Metrics,
    uid: &str,
) -> Decision {
    AssertUnwindSafe(deciding).catch_unwind().await.unwrap_or_else(|_| {
        metrics.panics.inc();
        tracing::error!(uid, "a fault of ours: the object is admitted unchecked");
        Decision {
            answer: Answer::warn("pullproof met a fault of its own; the images were not checked"),
            exempt: Some("failed"),
            ..Decision::default()
        }
    })
}

const BUSY: Refusal = (StatusCode::SERVICE_UNAVAILABLE, "too many large bodies at once\n");

/// A body in memory, and its share of what may be there.
struct Read<'a> {
    bytes: Bytes,
    _share: Option<SemaphorePermit<'a>>,
}

/// Reads a body. Its share of the memory grows as it comes: what is only announced holds up nobody.
/// Where there is no room it is refused at once: what waits half read on an HTTP/2 connection stops
/// all others on it.
async fn read(app: &App, mut body: Body) -> Result<Read<'_>, Refusal> {
    use axum::body::HttpBody;
    let too_large = (StatusCode::PAYLOAD_TOO_LARGE, "larger than 8 MiB\n");
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(too_large);
    }
    let mut share: Option<SemaphorePermit<'_>> = None;
    let (mut first, mut rest) = (Bytes::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| (StatusCode::BAD_REQUEST, "the body broke off\n"))?;
        let Ok(part) = frame.into_data() else { continue };
        let length = first.len().max(rest.len()) + part.len();
        if length > MAX_BODY {
            return Err(too_large);
        }
        let held = share.as_ref().map_or(0, SemaphorePermit::num_permits);
        let more = u32::try_from((length / 1024 + 1).saturating_sub(held)).unwrap_or(u32::MAX);
        let more = app.bodies.try_acquire_many(more).map_err(|_| BUSY)?;
        match &mut share {
            Some(share) => share.merge(more),
            None => share = Some(more),
        }
        // Most come in one part, which is not copied.
        if first.is_empty() {
            first = part;
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&part);
    }
    let bytes = if rest.is_empty() { first } else { Bytes::from(rest) };
    Ok(Read { bytes, _share: share })
}

/// Counts a decision, and writes one line for it where there is something to tell.
fn tell(
    app: &App,
    endpoint: Endpoint,
    request: &review::Request<'_>,
    decision: &Decision,
    took: Duration,
) -> &'static str {
    let verdict = match (decision.exempt, decision.action()) {
        (Some("failed"), _) => "failed",
        (Some(_), _) => "exempt",
        (None, action) => action.id(),
    };
    for result in &decision.results {
        let cause = words::cause(result);
        let registry = app.webhook.registry_label(result).to_owned();
        app.metrics.result(&ResultLabels { cause, registry, verdict: result.verdict.action.id() });
        if result.verdict.action > Action::Allow {
            tracing::info!(
                uid = &*request.uid,
                endpoint = endpoint.id(),
                namespace = &*request.namespace,
                kind = &*request.kind.kind,
                name = &*request.name,
                image = %crate::text::clean(&result.image, 400),
                cause,
                verdict = result.verdict.action.id(),
                policy = result.verdict.policy.as_deref(),
                summary = %result.diagnosis.summary,
                dry_run = request.dry_run == Some(true),
                ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                "judged"
            );
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It is moved several times on its way into a task: 22 KB of it were a tenth of a review's cost.
    #[test]
    fn what_answers_a_review_is_no_large_future() {
        fn size<F: Future>(_: impl FnOnce(State<Arc<App>>, Endpoint, Request) -> F) -> usize {
            size_of::<F>()
        }
        let size = size(admit);
        assert!(size <= 6 << 10, "{size} bytes");
    }

    #[tokio::test]
    async fn f49_a_panic_admits_its_own_review_with_a_warning_and_is_counted() {
        let metrics = Metrics::default();
        let broken = pin!(async { panic!("a fault") });
        let decision = survived(broken, &metrics, "u").await;
        assert!(decision.answer.denied.is_none() && decision.answer.warnings.len() == 1);
        assert_eq!((decision.exempt, metrics.panics.get()), (Some("failed"), 1));
        let well = pin!(async { Decision::default() });
        assert!(survived(well, &metrics, "u").await.answer.warnings.is_empty());
        assert_eq!(metrics.panics.get(), 1);
    }
}
