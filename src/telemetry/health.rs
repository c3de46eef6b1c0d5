//! The port for those who look after us: `/livez`, `/readyz`, `/metrics`. Plain HTTP, read-only, apart
//! from the port that decides, so that neither can be reached through the other.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

/// What the probes and the scraper are told.
pub trait Told: Send + Sync + 'static {
    /// Why it can not work yet; `None`: it can.
    fn not_ready(&self) -> Option<String>;
    /// The metrics as text.
    fn metrics(&self) -> String;
}

/// Whether the role is on its way out.
#[derive(Debug, Default)]
pub struct Draining(AtomicBool);

impl Draining {
    /// From now on nobody new should come.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The routes of the probes.
pub fn probes<T: Told>(told: Arc<T>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { readiness(told.not_ready()) }))
}

fn readiness(reason: Option<String>) -> Response {
    match reason {
        None => "ok\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

/// Serves the port until it fails.
pub async fn serve<T: Told>(address: SocketAddr, told: Arc<T>) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    serve_on(listener, told).await
}

/// The same on a port that is open already.
pub async fn serve_on<T: Told>(listener: TcpListener, told: Arc<T>) -> io::Result<()> {
    let metrics = Arc::clone(&told);
    let router = probes(told).route(
        "/metrics",
        get(move || async move { ([(header::CONTENT_TYPE, METRICS_TYPE)], metrics.metrics()) }),
    );
    axum::serve(listener, router).await
}
