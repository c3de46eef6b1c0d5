//! Whole collections, page by page, for a command that looks at what runs now.

use std::time::{Duration, Instant};

use kube::api::ListParams;
use serde_json::Value;

use super::get::{Ask, Kind, Name, Trouble, before, fetch, get, is_label};
use super::{Cluster, nodes};
use crate::policy::wants::NodeView;

const PAGE: u32 = 500;
/// Longest page that is read: 500 objects of a large size.
const MAX_PAGE: usize = 256 << 20;
/// Longest wait for a page, and how often one is asked for again.
const WAIT: Duration = Duration::from_secs(60);
const TRIES: u32 = 4;

/// A collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collection {
    /// `v1`, or `group/version`.
    pub api_version: &'static str,
    pub kind: &'static str,
    pub resource: &'static str,
}

/// The collections whose objects make Pods, and Pods.
pub const WORKLOADS: [Collection; 8] = [
    of("apps/v1", "Deployment", "deployments"),
    of("apps/v1", "StatefulSet", "statefulsets"),
    of("apps/v1", "DaemonSet", "daemonsets"),
    of("apps/v1", "ReplicaSet", "replicasets"),
    of("batch/v1", "Job", "jobs"),
    of("batch/v1", "CronJob", "cronjobs"),
    of("v1", "ReplicationController", "replicationcontrollers"),
    of("v1", "Pod", "pods"),
];
pub const NAMESPACES: Collection = of("v1", "Namespace", "namespaces");
pub const POLICIES: Collection = of(
    crate::policy::image_check_policy::API_VERSION,
    crate::policy::image_check_policy::KIND,
    "imagecheckpolicies",
);
const EVENTS: Collection = of("v1", "Event", "events");
const NODES: Collection = of("v1", "Node", "nodes");

const fn of(api_version: &'static str, kind: &'static str, resource: &'static str) -> Collection {
    Collection { api_version, kind, resource }
}

impl Collection {
    /// The path of the collection, of one namespace or of all.
    fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.api_version.contains('/') { "apis" } else { "api" };
        let within = namespace.map(|name| format!("/namespaces/{name}")).unwrap_or_default();
        format!("/{root}/{}{within}/{}", self.api_version, self.resource)
    }
}

impl Cluster {
    /// Every object of a collection, given to `each` page by page with the kind and version that
    /// lists leave out.
    pub async fn each(
        &self,
        collection: Collection,
        namespace: Option<&str>,
        each: impl FnMut(Value),
    ) -> Result<(), Trouble> {
        let params = ListParams::default().limit(PAGE);
        self.all_of(collection, namespace, params, each).await
    }

    async fn all_of(
        &self,
        collection: Collection,
        namespace: Option<&str>,
        mut params: ListParams,
        mut each: impl FnMut(Value),
    ) -> Result<(), Trouble> {
        if namespace.is_some_and(|name| !is_label(name)) {
            return Err(Trouble::Absent);
        }
        let path = collection.path(namespace);
        loop {
            let mut page = self.page(&path, &params, collection, namespace).await?;
            let items = page.get_mut("items").map(Value::take);
            if let Some(Value::Array(items)) = items {
                for mut item in items {
                    if let Value::Object(fields) = &mut item {
                        fields.insert("apiVersion".into(), collection.api_version.into());
                        fields.insert("kind".into(), collection.kind.into());
                    }
                    each(item);
                }
            }
            let next = page.pointer("/metadata/continue").and_then(Value::as_str);
            match next.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token.to_owned()),
                None => return Ok(()),
            }
        }
    }

    /// A Pod and its Events, as far as those may be listed.
    pub async fn pod(&self, namespace: &str, name: &str) -> Result<(Value, Vec<Value>), Trouble> {
        let name = Name::new(namespace, name).ok_or(Trouble::Absent)?;
        let mut pod = get(&self.client, Kind::Pod, &name, Instant::now() + WAIT).await?;
        if let Value::Object(fields) = &mut pod {
            fields.entry("kind").or_insert("Pod".into());
            fields.entry("apiVersion").or_insert("v1".into());
        }
        let about = format!("involvedObject.kind=Pod,involvedObject.name={}", name.name());
        let params = ListParams::default().limit(PAGE).fields(&about);
        let mut events = Vec::new();
        // The Pod's own status tells most.
        let _ = self.all_of(EVENTS, Some(namespace), params, |event| events.push(event)).await;
        Ok((pod, events))
    }

    /// The Nodes as they are now.
    pub async fn nodes(&self) -> Result<Vec<NodeView>, Trouble> {
        let mut views = Vec::new();
        let add = |node: Value| views.extend(serde_json::from_value(node).map(nodes::view));
        self.each(NODES, None, add).await?;
        views.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(views)
    }

    async fn page(
        &self,
        path: &str,
        params: &ListParams,
        collection: Collection,
        namespace: Option<&str>,
    ) -> Result<Value, Trouble> {
        let mut pause = Duration::from_millis(500);
        for attempt in 1.. {
            let asked = fetch(&self.client, path, Ask::Page(params), MAX_PAGE);
            let answer = before(Instant::now() + WAIT, asked).await.and_then(|answer| answer);
            let trouble = match answer {
                Ok((200, body)) => {
                    return serde_json::from_slice(&body)
                        .map_err(|_| Trouble::Unavailable("its answer is no JSON".to_owned()));
                }
                Ok((404, _)) => return Err(Trouble::Absent),
                Ok((403, _)) => {
                    let within = namespace.map_or("in all namespaces".to_owned(), |name| {
                        format!("in namespace {name}")
                    });
                    let right = format!("it takes list on {} {within}", collection.resource);
                    return Err(Trouble::Forbidden(right));
                }
                Ok((401, _)) => {
                    return Err(Trouble::Unavailable(
                        "401, it does not know this login".to_owned(),
                    ));
                }
                // The list is older than what the API server remembers.
                Ok((410, _)) => {
                    return Err(Trouble::Unavailable("410, the list took too long".to_owned()));
                }
                Ok((status, _)) => Trouble::Unavailable(format!("status {status}")),
                Err(trouble) => trouble,
            };
            if attempt == TRIES {
                return Err(trouble);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(Trouble::Unavailable("not asked".to_owned()))
    }
}
