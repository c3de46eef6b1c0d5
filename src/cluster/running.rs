//! What runs in a cluster, as far as it is written down by people or by controllers we do not know:
//! workloads, and Pods that none of these workloads made. And how many Pods run each image now.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::Cluster;
use super::get::Trouble;
use super::list::{Collection, WORKLOADS};

/// What was found.
#[derive(Debug, Default)]
pub struct Running {
    /// Pruned to what decides how images are pulled.
    pub objects: Vec<Value>,
    /// Running Pods by namespace and image as written.
    pub pods: HashMap<(String, String), usize>,
    /// Collections that could not be listed, and why.
    pub refused: Vec<(&'static str, Trouble)>,
}

impl Cluster {
    /// Lists workloads and Pods, of one namespace or of all.
    pub async fn running(&self, namespace: Option<&str>) -> Running {
        let mut found = Running::default();
        for collection in WORKLOADS {
            let done = self.each(collection, namespace, |object| found.take(&object)).await;
            if let Err(trouble) = done {
                found.refused.push((collection.resource, trouble));
            }
        }
        found
    }

    /// The labels of the namespaces, by name.
    pub async fn namespace_labels(
        &self,
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, Trouble> {
        let mut all = BTreeMap::new();
        let take = |object: Value| {
            let labels = object.pointer("/metadata/labels").cloned().unwrap_or_default();
            let labels = serde_json::from_value(labels).unwrap_or_default();
            all.insert(text(&object, "/metadata/name").to_owned(), labels);
        };
        self.each(super::list::NAMESPACES, None, take).await?;
        Ok(all)
    }
}

impl Running {
    /// The first refusal, where nothing could be listed.
    pub fn refused_all(&self) -> Option<&(&'static str, Trouble)> {
        let refused = self.refused.iter().find(|(_, trouble)| *trouble != Trouble::Absent);
        refused.filter(|_| self.refused.len() == WORKLOADS.len())
    }

    fn take(&mut self, object: &Value) {
        self.count(object);
        if counts(object) {
            self.objects.push(pruned(object));
        }
    }

    /// A container counts whose state is running, with the image that the Pod names.
    fn count(&mut self, pod: &Value) {
        if text(pod, "/kind") != "Pod" {
            return;
        }
        let namespace = text(pod, "/metadata/namespace");
        let list = |pointer: &str| pod.pointer(pointer).and_then(Value::as_array);
        let statuses = ["/status/containerStatuses", "/status/initContainerStatuses"];
        let running: Vec<&str> = statuses
            .into_iter()
            .filter_map(list)
            .flatten()
            .filter(|status| status.pointer("/state/running").is_some())
            .map(|status| text(status, "/name"))
            .collect();
        let mut images: Vec<&str> = ["/spec/containers", "/spec/initContainers"]
            .into_iter()
            .filter_map(list)
            .flatten()
            .filter(|container| running.contains(&text(container, "/name")))
            .map(|container| text(container, "/image"))
            .collect();
        images.sort_unstable();
        images.dedup();
        for image in images {
            *self.pods.entry((namespace.to_owned(), image.to_owned())).or_default() += 1;
        }
    }
}

/// Whether an object is asked about: not one that a listed object made, not one that is over.
fn counts(object: &Value) -> bool {
    let is_over = match text(object, "/kind") {
        "Pod" => {
            matches!(text(object, "/status/phase"), "Succeeded" | "Failed")
                // A static Pod is no business of the API server.
                || object.pointer("/metadata/annotations/kubernetes.io~1config.mirror").is_some()
        }
        "Job" => conditions(object).any(|condition| {
            matches!(text(condition, "/type"), "Complete" | "Failed")
                && text(condition, "/status") == "True"
        }),
        // Those of the past, which a Rollout keeps.
        "ReplicaSet" => {
            object.pointer("/spec/replicas") == Some(&json!(0)) && owner(object).is_some()
        }
        _ => false,
    };
    let is_listed = |(version, kind): (&str, &str)| {
        let group =
            |version: &str| version.split_once('/').map_or("", |(group, _)| group).to_owned();
        let is_it = |it: &Collection| it.kind == kind && group(it.api_version) == group(version);
        WORKLOADS.iter().any(is_it)
    };
    !is_over
        && object.pointer("/metadata/deletionTimestamp").is_none()
        && !owner(object).is_some_and(is_listed)
}

/// The version and kind of the controller.
fn owner(object: &Value) -> Option<(&str, &str)> {
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    let owner = owners.iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true)))?;
    Some((text(owner, "/apiVersion"), text(owner, "/kind")))
}

fn conditions(object: &Value) -> impl Iterator<Item = &Value> {
    object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten()
}

/// Without status, managed fields and annotations, which are most of an object.
fn pruned(object: &Value) -> Value {
    let mut metadata = Map::new();
    for key in ["name", "namespace", "ownerReferences"] {
        if let Some(value) = object.pointer(&format!("/metadata/{key}")) {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    json!({
        "apiVersion": object.get("apiVersion"),
        "kind": object.get("kind"),
        "metadata": metadata,
        "spec": object.get("spec"),
    })
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, owner: Option<(&str, &str)>, more: Value) -> Value {
        let owners = owner.map(|(version, kind)| {
            json!([{"apiVersion": version, "kind": kind, "name": "o", "controller": true}])
        });
        let mut object =
            json!({"kind": kind, "metadata": {"name": "a", "ownerReferences": owners}});
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object
    }

    #[test]
    fn what_a_listed_object_made_and_what_is_over_does_not_count() {
        let done =
            |kind: &str| json!({"status": {"conditions": [{"type": kind, "status": "True"}]}});
        for (object, expected) in [
            (object("Deployment", None, json!({})), true),
            (object("ReplicaSet", Some(("apps/v1", "Deployment")), json!({})), false),
            (object("ReplicaSet", Some(("argoproj.io/v1alpha1", "Rollout")), json!({})), true),
            (
                object(
                    "ReplicaSet",
                    Some(("argoproj.io/v1alpha1", "Rollout")),
                    json!({"spec": {"replicas": 0}}),
                ),
                false,
            ),
            (object("ReplicaSet", None, json!({"spec": {"replicas": 0}})), true),
            (object("Job", Some(("batch/v1", "CronJob")), json!({})), false),
            (object("Job", None, done("Suspended")), true),
            (object("Job", None, done("Complete")), false),
            (object("Job", None, done("Failed")), false),
            (object("Pod", None, json!({})), true),
            (object("Pod", Some(("apps/v1", "ReplicaSet")), json!({})), false),
            (object("Pod", Some(("kafka.strimzi.io/v1", "StrimziPodSet")), json!({})), true),
            (object("Pod", Some(("x.test/v1", "Deployment")), json!({})), true),
            (object("Pod", None, json!({"status": {"phase": "Succeeded"}})), false),
            (
                object(
                    "Pod",
                    Some(("v1", "Node")),
                    json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}}),
                ),
                false,
            ),
            (object("Pod", None, json!({"metadata": {"deletionTimestamp": "now"}})), false),
        ] {
            assert_eq!(counts(&object), expected, "{object}");
        }
    }

    #[test]
    fn pods_are_counted_by_the_images_that_run() {
        let pod = json!({
            "kind": "Pod", "metadata": {"name": "a", "namespace": "shop"},
            "spec": {"containers": [{"name": "a", "image": "web:1"}, {"name": "b", "image": "gone:1"}, {"name": "c", "image": "web:1"}]},
            "status": {"containerStatuses": [
                {"name": "a", "state": {"running": {}}}, {"name": "c", "state": {"running": {}}},
                {"name": "b", "state": {"waiting": {"reason": "ImagePullBackOff"}}},
            ]},
        });
        let mut found = Running::default();
        found.take(&pod);
        found.take(&pod);
        assert_eq!(found.pods, HashMap::from([(("shop".into(), "web:1".into()), 2)]));
    }
}
