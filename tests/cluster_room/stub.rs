//! An API server that answers what a test told it to: objects by path, lists in pages, watches that
//! are fed by hand, and faults by path. Counts what it is asked.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use pullproof::cluster::{Cluster, Options};
use serde_json::{Value, json};
use tokio::sync::broadcast;

/// The token in the kubeconfigs, which must not get anywhere but here.
pub const TOKEN: &str = "canary-token-of-the-kubeconfig";

/// What is done to requests below a path.
#[derive(Debug, Clone)]
pub enum Fault {
    Status(u16),
    Delay(Duration),
    /// A body that is no JSON.
    Garbage,
}

#[derive(Debug, Clone)]
enum Line {
    Event(Value),
    Cut,
}

#[derive(Default)]
struct Inner {
    objects: BTreeMap<String, Value>,
    lists: HashMap<String, Vec<Value>>,
    faults: Vec<(String, Fault)>,
    watches: HashMap<String, broadcast::Sender<Line>>,
    asked: Vec<String>,
    posted: Vec<Value>,
}

type Shared = Arc<Mutex<Inner>>;

pub struct ApiServer {
    host: String,
    inner: Shared,
    task: tokio::task::JoinHandle<()>,
    folder: tempfile::TempDir,
}

impl ApiServer {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0").await
    }

    /// A server on an address that one had before.
    pub async fn start_at(address: &str) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let inner = Shared::default();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { host, inner, task, folder: tempfile::tempdir().unwrap() }
    }

    /// Stops it, with all its connections, and tells where it was.
    pub async fn stop(self) -> String {
        self.task.abort();
        for (_, watch) in self.inner().watches.drain() {
            let _ = watch.send(Line::Cut);
        }
        self.host.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// A kubeconfig that leads here.
    pub fn kubeconfig(&self) -> PathBuf {
        let path = self.folder.path().join("config");
        std::fs::write(&path, kubeconfig(&self.host)).unwrap();
        path
    }

    pub async fn cluster(&self) -> Cluster {
        connect(&self.host).await
    }

    pub fn put(&self, path: &str, object: Value) {
        self.inner().objects.insert(path.to_owned(), object);
    }

    pub fn remove(&self, path: &str) {
        self.inner().objects.remove(path);
    }

    pub fn list(&self, path: &str, items: Vec<Value>) {
        self.inner().lists.insert(path.to_owned(), items);
    }

    /// From now on requests below this path fail so.
    pub fn fail(&self, path: &str, fault: Fault) {
        self.inner().faults.push((path.to_owned(), fault));
    }

    pub fn mend(&self) {
        self.inner().faults.clear();
    }

    /// Sends an event to who watches this path now.
    pub fn send(&self, path: &str, kind: &str, object: Value) {
        let line = Line::Event(json!({"type": kind, "object": object}));
        self.inner().watches.get(path).expect("somebody watches").send(line).unwrap();
    }

    /// The same, where nobody may be watching just now.
    pub fn offer(&self, path: &str, kind: &str, object: &Value) {
        let line = Line::Event(json!({"type": kind, "object": object}));
        self.inner().watches.get(path).map(|watch| watch.send(line));
    }

    /// Ends the watches of this path.
    pub fn cut(&self, path: &str) {
        let watch = self.inner().watches.remove(path);
        let _ = watch.expect("somebody watches").send(Line::Cut);
    }

    /// Waits until somebody watches this path.
    pub async fn watched(&self, path: &str) {
        let is_watched =
            || self.inner().watches.get(path).is_some_and(|watch| watch.receiver_count() > 0);
        eventually(is_watched, "nobody watches").await;
    }

    /// How often a path, with or without a query, was asked for.
    pub fn asked(&self, path: &str) -> usize {
        let is_it = |asked: &&String| asked.split('?').next() == Some(path);
        self.inner().asked.iter().filter(is_it).count()
    }

    /// Everything asked, in order.
    pub fn requests(&self) -> Vec<String> {
        self.inner().asked.clone()
    }

    pub fn posted(&self) -> Vec<Value> {
        self.inner().posted.clone()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The client for an address, whoever listens there.
pub async fn connect(host: &str) -> Cluster {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    std::fs::write(&path, kubeconfig(host)).unwrap();
    Cluster::connect(&Options { kubeconfig: Some(path), context: None }).await.unwrap()
}

pub fn kubeconfig(host: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "stub",
        "clusters": [{"name": "stub", "cluster": {"server": format!("http://{host}")}}],
        "users": [{"name": "stub", "user": {"token": TOKEN}}],
        "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "stub", "namespace": "shop"}}],
    })
    .to_string()
}

/// Waits for what must come to be; wide, for busy machines.
pub async fn eventually(mut test: impl FnMut() -> bool, otherwise: &str) {
    for _ in 0..600 {
        if test() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{otherwise}");
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let faults: Vec<Fault> = {
        let mut inner = shared.lock().unwrap();
        let asked = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        inner.asked.push(asked);
        let below = inner.faults.iter().filter(|(below, _)| path.starts_with(below));
        below.map(|(_, fault)| fault.clone()).collect()
    };
    for fault in faults {
        match fault {
            Fault::Delay(time) => tokio::time::sleep(time).await,
            Fault::Status(code) => return status(code),
            Fault::Garbage => return "<html>canary-of-a-body</html>".into_response(),
        }
    }
    if request
        .headers()
        .get("authorization")
        .is_none_or(|value| value != &format!("Bearer {TOKEN}"))
    {
        return status(401);
    }
    if request.method() == Method::POST {
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        let object: Value = serde_json::from_slice(&body).unwrap();
        shared.lock().unwrap().posted.push(object.clone());
        return (StatusCode::CREATED, object.to_string()).into_response();
    }
    let mut inner = shared.lock().unwrap();
    if let Some(items) = inner.lists.get(&path) {
        if query.contains("watch=") {
            let watch = inner.watches.entry(path).or_insert_with(|| broadcast::channel(1024).0);
            return stream(watch.subscribe());
        }
        return page(items, &query);
    }
    match inner.objects.get(&path) {
        Some(object) => object.to_string().into_response(),
        None => status(404),
    }
}

fn status(code: u16) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "Stub", "message": "as the test wants"});
    (StatusCode::from_u16(code).unwrap(), body.to_string()).into_response()
}

/// A page of a list; the continue token is the number of the next item.
fn page(items: &[Value], query: &str) -> Response {
    let of = |key: &str| {
        let found = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{key}=")));
        found.and_then(|value| value.parse::<usize>().ok())
    };
    let (from, limit) = (of("continue").unwrap_or(0), of("limit").unwrap_or(usize::MAX));
    let shown: Vec<&Value> = items.iter().skip(from).take(limit).collect();
    let next = from + shown.len();
    let token = if next < items.len() { next.to_string() } else { String::new() };
    json!({
        "kind": "List", "apiVersion": "v1",
        "metadata": {"resourceVersion": "1", "continue": token},
        "items": shown,
    })
    .to_string()
    .into_response()
}

fn stream(receiver: broadcast::Receiver<Line>) -> Response {
    let lines =
        futures_util::stream::unfold(receiver, async |mut receiver| match receiver.recv().await {
            Ok(Line::Event(event)) => Some((Ok::<_, Infallible>(format!("{event}\n")), receiver)),
            Ok(Line::Cut) | Err(_) => None,
        });
    Body::from_stream(lines).into_response()
}
