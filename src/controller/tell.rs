//! Where the controller says what it did: its log, its metrics, and Events, which never wait.

use std::sync::Arc;

use super::metrics::Metrics;
use crate::cluster::Events;
use crate::cluster::events::Note;
use crate::image::usage::ObjectName;

/// The object that something is said about.
#[derive(Debug, Clone)]
pub struct About {
    name: ObjectName,
    /// Empty where it is not known.
    uid: String,
}

impl About {
    pub fn new(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> Self {
        let name = ObjectName {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.unwrap_or_default().to_owned(),
            name: name.to_owned(),
        };
        Self { name, uid: String::new() }
    }

    pub fn with_uid(self, uid: Option<&str>) -> Self {
        Self { uid: uid.unwrap_or_default().to_owned(), ..self }
    }
}

/// Says things.
#[derive(Clone)]
pub struct Tell {
    pub metrics: Arc<Metrics>,
    pub events: Events,
}

impl Tell {
    /// Something that was done.
    pub fn note(&self, about: &About, reason: &'static str, text: &str) {
        tracing::info!(kind = about.name.kind, name = about.name.name, reason, "{text}");
        self.event(about, false, reason, text);
    }

    /// Something that a person should look at.
    pub fn warn(&self, about: &About, reason: &'static str, text: &str) {
        tracing::warn!(kind = about.name.kind, name = about.name.name, reason, "{text}");
        self.event(about, true, reason, text);
    }

    fn event(&self, about: &About, warns: bool, reason: &'static str, text: &str) {
        self.events.tell(Note {
            about: about.name.clone(),
            uid: about.uid.clone(),
            reason,
            action: "Reconcile",
            warns,
            text: text.to_owned(),
        });
    }
}
