//! Where the controller says what it did: its log, its metrics and Events. An Event that can not be
//! written stops nothing.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use super::metrics::Metrics;

const WRITE: Duration = Duration::from_secs(3);
/// Longest note the API server takes.
const MAX_NOTE: usize = 1000;

/// The object that something is said about.
#[derive(Debug, Clone)]
pub struct About {
    pub api_version: String,
    pub kind: String,
    pub namespace: Option<String>,
    pub name: String,
    pub uid: Option<String>,
}

impl About {
    pub fn new(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
            uid: None,
        }
    }
}

/// Says things.
#[derive(Clone)]
pub struct Tell {
    pub metrics: Arc<Metrics>,
    recorder: Recorder,
}

impl Tell {
    pub fn new(client: &Client, identity: &str, metrics: Arc<Metrics>) -> Self {
        let reporter = Reporter {
            controller: "pullproof.dev/pullproof-controller".to_owned(),
            instance: Some(crate::text::clean(identity, 120)),
        };
        Self { metrics, recorder: Recorder::new(client.clone(), reporter) }
    }

    /// Something that was done.
    pub async fn note(&self, about: &About, reason: &str, text: &str) {
        tracing::info!(kind = about.kind, name = about.name, reason, "{text}");
        self.event(about, EventType::Normal, reason, text).await;
    }

    /// Something that a person should look at.
    pub async fn warn(&self, about: &About, reason: &str, text: &str) {
        tracing::warn!(kind = about.kind, name = about.name, reason, "{text}");
        self.event(about, EventType::Warning, reason, text).await;
    }

    async fn event(&self, about: &About, type_: EventType, reason: &str, text: &str) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(crate::text::clean(text, MAX_NOTE)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let about = ObjectReference {
            api_version: Some(about.api_version.clone()),
            kind: Some(about.kind.clone()),
            namespace: about.namespace.clone(),
            name: Some(about.name.clone()),
            uid: about.uid.clone(),
            ..ObjectReference::default()
        };
        let written = tokio::time::timeout(WRITE, self.recorder.publish(&event, &about)).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::debug!(reason, "an Event could not be written");
        }
    }
}
