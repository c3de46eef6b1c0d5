//! Events about objects (`events.k8s.io/v1`). Telling one never waits: it is put into a bounded
//! queue, and what does not fit is counted and dropped. The same thing about the same object is
//! written once in a while; unlike in the client's recorder the text counts, too.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::PostParams;
use tokio::sync::mpsc;

use super::Cluster;
use super::get::{before, is_label};
use crate::image::usage::ObjectName;

const QUEUE: usize = 256;
/// How long the same Event is not written again.
const AGAIN: Duration = Duration::from_secs(10 * 60);
/// Most Events that are remembered for that.
const REMEMBERED: usize = 4096;
const WRITE: Duration = Duration::from_secs(5);
/// Longest note the API server takes.
const MAX_NOTE: usize = 1000;
/// Where Events about objects without a namespace are kept.
const CLUSTER_WIDE: &str = "default";

/// What is told about an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Note {
    pub about: ObjectName,
    /// The object's uid; empty where it has none yet.
    pub uid: String,
    /// One word in CamelCase, for example `ImageWillNotPull`.
    pub reason: &'static str,
    /// What was done, for example `Denied`.
    pub action: &'static str,
    /// Whether it is a warning.
    pub warns: bool,
    pub text: String,
}

/// Tells Events.
#[derive(Debug, Clone)]
pub struct Events {
    queue: mpsc::Sender<Note>,
    dropped: Arc<AtomicU64>,
}

impl Events {
    /// The sender, and the work that writes what it is told; it ends with the last sender. `reporter`
    /// is who tells, for example `pullproof-webhook`, and `instance` the name of its Pod.
    pub fn new(
        cluster: &Cluster,
        reporter: &str,
        instance: &str,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (queue, told) = mpsc::channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            client: cluster.client.clone(),
            reporter: reporter.to_owned(),
            instance: crate::text::clean(instance, 120),
            written: HashMap::new(),
            serial: 0,
        };
        let work = write_all(writer, told, Arc::clone(&dropped));
        (Self { queue, dropped }, work)
    }

    /// Puts an Event into the queue; never waits.
    pub fn tell(&self, note: Note) {
        if self.queue.try_send(note).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many could not be written.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

async fn write_all(mut writer: Writer, mut told: mpsc::Receiver<Note>, dropped: Arc<AtomicU64>) {
    while let Some(note) = told.recv().await {
        if writer.is_known(&note) {
            continue;
        }
        if !writer.write(&note).await {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Writer {
    client: kube::Client,
    reporter: String,
    instance: String,
    written: HashMap<Note, Instant>,
    serial: u64,
}

impl Writer {
    /// Whether this was written a while ago; else it is remembered.
    fn is_known(&mut self, note: &Note) -> bool {
        let now = Instant::now();
        if self.written.len() >= REMEMBERED {
            self.written.retain(|_, until| now < *until);
        }
        if self.written.get(note).is_some_and(|until| now < *until) {
            return true;
        }
        if self.written.len() < REMEMBERED {
            self.written.insert(note.clone(), now + AGAIN);
        }
        false
    }

    async fn write(&mut self, note: &Note) -> bool {
        self.serial += 1;
        let event = self.event(note);
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let params = PostParams::default();
        let done = before(Instant::now() + WRITE, api.create(&params, &event)).await;
        if !matches!(done, Ok(Ok(_))) {
            tracing::debug!(reason = note.reason, "an Event could not be written");
        }
        matches!(done, Ok(Ok(_)))
    }

    fn event(&self, note: &Note) -> Event {
        let about = &note.about;
        let namespace = match about.namespace.as_str() {
            name if is_label(name) => name,
            _ => CLUSTER_WIDE,
        };
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let now = Timestamp::now();
        let name = format!("pullproof-{:x}-{:x}", now.as_nanosecond(), self.serial);
        Event {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(now)),
            reporting_controller: Some(format!("pullproof.dev/{}", self.reporter)),
            reporting_instance: Some(self.instance.clone()),
            action: Some(note.action.to_owned()),
            reason: Some(note.reason.to_owned()),
            type_: Some(if note.warns { "Warning" } else { "Normal" }.to_owned()),
            note: Some(crate::text::clean(&note.text, MAX_NOTE)),
            regarding: Some(ObjectReference {
                api_version: some(&about.api_version),
                kind: some(&about.kind),
                namespace: some(&about.namespace),
                name: some(&about.name),
                uid: some(&note.uid),
                ..ObjectReference::default()
            }),
            ..Event::default()
        }
    }
}
