//! A webhook to be called by the real API server: records the reviews and answers as it is told.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::post;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;

use super::pki::{Authority, Identity};

/// How the hook answers a review.
#[derive(Clone)]
pub enum Answer {
    Allow,
    Warn(&'static str),
    Deny(&'static str),
}

/// A review that came in.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The last part of the path: `mutate` or `validate`.
    pub path: String,
    /// The `request` of the review.
    pub request: Value,
}

/// A server on the runtime it was started on; it ends with its owner.
pub struct Hook {
    pub url: String,
    /// The `caBundle` for it.
    pub authority_pem: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Hook {
    pub async fn start(answer: Answer) -> Self {
        let authority = Authority::new();
        let acceptor = acceptor(&authority.server(&["127.0.0.1"]));
        let seen = Arc::default();
        let router =
            Router::new().route("/{path}", post(review)).with_state((Arc::clone(&seen), answer));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(serve(listener, acceptor, router));
        Self { url, authority_pem: authority.pem(), seen, task }
    }

    /// What came in so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Shared = (Arc<Mutex<Vec<Seen>>>, Answer);

async fn review(State((seen, answer)): State<Shared>, path: Path<String>, body: String) -> String {
    let mut review: Value = serde_json::from_str(&body).unwrap();
    let request = review["request"].take();
    let mut response = json!({"uid": request["uid"], "allowed": true});
    match answer {
        Answer::Allow => {}
        Answer::Warn(text) => response["warnings"] = json!([text]),
        Answer::Deny(text) => {
            response["allowed"] = json!(false);
            response["status"] = json!({"message": text, "code": 403});
        }
    }
    seen.lock().unwrap().push(Seen { path: path.0, request });
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
        .to_string()
}

async fn serve(listener: tokio::net::TcpListener, acceptor: TlsAcceptor, router: Router) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, router) = (acceptor.clone(), router.clone());
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = TowerToHyperService::new(router);
            let _ = Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn acceptor(identity: &Identity) -> TlsAcceptor {
    let chain = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
