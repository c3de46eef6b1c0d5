//! Finds the containers of a Pod that wait for an image, and what its events say of them. Up to
//! Kubernetes 1.31 the waiting message of ImagePullBackOff holds no cause, so the event `Failed`
//! may be the only place that has one. Events belong to a container by `fieldPath`, by the prefix
//! `spec.containers{name}: `, or, for image volumes, by the image they name alone. Objects are read
//! as `kubectl get -o json` prints them; fields of a wrong type count as absent.

use std::collections::BTreeMap;

use serde_json::Value;

use super::not_ours;
use super::text::container;
use super::{Reading, Text, read};
use crate::diagnosis::Cause;

/// The event of a pull secret that is named and not there; it belongs to the whole Pod.
const NO_SECRET: &str = "FailedToRetrieveImagePullSecret";

/// A container that waits since an image is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    pub namespace: String,
    pub pod: String,
    /// `None` when it is the Pod's sandbox that waits.
    pub container: Option<String>,
    /// As the Pod writes it: the container's, or that of an image volume.
    pub image: Option<String>,
    /// The waiting reason, or that of the event.
    pub reason: String,
    /// The text that was read.
    pub message: String,
    pub reading: Reading,
}

/// An event about a Pod.
#[derive(Debug, Clone, Default)]
pub struct Event {
    namespace: String,
    pod: String,
    container: Option<String>,
    reason: String,
    message: String,
    /// RFC 3339 in UTC: later texts are greater.
    last_seen: String,
}

impl Event {
    /// An event of v1 or events.k8s.io about a Pod.
    pub fn of(object: &Value) -> Option<Event> {
        let kind = text(object, "/kind");
        let about = object.get("involvedObject").or_else(|| object.get("regarding"))?;
        if !matches!(kind, "Event" | "") || text(about, "/kind") != "Pod" {
            return None;
        }
        let message = first(object, &["/message", "/note"]);
        let path = text(about, "/fieldPath");
        let named = container(path).or_else(|| container(message)).map(|(name, _)| name.to_owned());
        let times = [
            "/series/lastObservedTime",
            "/lastTimestamp",
            "/eventTime",
            "/metadata/creationTimestamp",
        ];
        Some(Event {
            namespace: text(about, "/namespace").to_owned(),
            pod: text(about, "/name").to_owned(),
            container: named,
            reason: text(object, "/reason").to_owned(),
            message: message.to_owned(),
            last_seen: first(object, &times).to_owned(),
        })
    }

    fn read(&self) -> Reading {
        read(&Text {
            message: &self.message,
            waiting_reason: None,
            event_reason: some(&self.reason),
        })
    }

    /// Whether it speaks of this container, or of an image that only a volume or this one has.
    fn concerns(&self, container: &str, image: Option<&str>, volumes: &[&str]) -> bool {
        if not_ours::is_of_others(&self.reason) || self.reason == NO_SECRET {
            return false;
        }
        if let Some(named) = &self.container {
            return named == container;
        }
        let named = self.read().image;
        named.as_deref().is_some_and(|it| image == Some(it) || volumes.contains(&it))
    }
}

/// The containers of one Pod that wait for an image.
pub fn stuck(pod: &Value, events: &[Event]) -> Vec<Stuck> {
    let (namespace, name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
    let mut events: Vec<&Event> =
        events.iter().filter(|it| it.pod == name && it.namespace == namespace).collect();
    events.sort_by(|a, b| b.last_seen.cmp(&a.last_seen));
    let images = images(pod);
    let volumes = volumes(pod);
    let mut found = Vec::new();
    for status in statuses(pod) {
        let container = text(status, "/name");
        let reason = text(status, "/state/waiting/reason");
        let mut message = text(status, "/state/waiting/message");
        let mut reading = read(&Text { message, waiting_reason: some(reason), event_reason: None });
        if reading.causes.is_empty() {
            continue;
        }
        let own = images.get(container).copied().or(some(text(status, "/image")));
        if !reading.tells() {
            let about = events.iter().filter(|event| event.concerns(container, own, &volumes));
            let told = about.map(|event| (event, event.read())).find(|(_, it)| it.tells());
            if let Some((event, told)) = told {
                message = &event.message;
                reading = told;
            }
        }
        if events.iter().any(|it| it.reason == NO_SECRET) {
            reading.explain_by_missing_secret();
        }
        let of_volume = reading.image.as_deref().filter(|it| volumes.contains(it));
        let image = of_volume.or(own).or(reading.image.as_deref()).map(str::to_owned);
        found.push(Stuck {
            namespace: namespace.to_owned(),
            pod: name.to_owned(),
            container: Some(container.to_owned()),
            image,
            reason: reason.to_owned(),
            message: message.to_owned(),
            reading,
        });
    }
    if found.is_empty() {
        found.extend(sandbox(namespace, name, pod, &events));
    }
    found
}

/// A Pod that has not begun, since the node cannot pull its sandbox image.
fn sandbox(namespace: &str, pod: &str, object: &Value, events: &[&Event]) -> Option<Stuck> {
    if text(object, "/status/phase") != "Pending" {
        return None;
    }
    let (event, reading) = events
        .iter()
        .map(|event| (event, event.read()))
        .find(|(_, reading)| reading.cause() == Some(Cause::SandboxImageFailed))?;
    Some(Stuck {
        namespace: namespace.to_owned(),
        pod: pod.to_owned(),
        container: None,
        image: reading.image.clone(),
        reason: event.reason.clone(),
        message: event.message.clone(),
        reading,
    })
}

fn statuses(pod: &Value) -> impl Iterator<Item = &Value> {
    ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"]
        .into_iter()
        .flat_map(|list| items(pod, "/status", list))
}

/// The images of all containers by name, as the Pod writes them.
fn images(pod: &Value) -> BTreeMap<&str, &str> {
    ["initContainers", "containers", "ephemeralContainers"]
        .into_iter()
        .flat_map(|list| items(pod, "/spec", list))
        .filter_map(|it| Some((text(it, "/name"), some(text(it, "/image"))?)))
        .collect()
}

/// The images that are mounted as volumes.
fn volumes(pod: &Value) -> Vec<&str> {
    items(pod, "/spec", "volumes").filter_map(|it| some(text(it, "/image/reference"))).collect()
}

fn items<'a>(object: &'a Value, at: &str, list: &str) -> impl Iterator<Item = &'a Value> {
    let list = object.pointer(at).and_then(|it| it.get(list)).and_then(Value::as_array);
    list.into_iter().flatten()
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn first<'a>(object: &'a Value, pointers: &[&str]) -> &'a str {
    pointers.iter().map(|it| text(object, it)).find(|it| !it.is_empty()).unwrap_or_default()
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
