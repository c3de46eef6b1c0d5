//! The labels of a namespace, for `namespaceSelector`: watched where that is allowed, else read by
//! name and kept for a few seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::core::PartialObjectMeta;
use moka::future::Cache;
use serde_json::Value;

use super::Cluster;
use super::follow::{Failure, News, follow};
use super::get::{self, Kind, Name, Trouble};

/// Labels by key.
pub type Labels = BTreeMap<String, String>;

const FRESH: Duration = Duration::from_secs(5);
const MAX_KEPT: u64 = 10_000;

/// The namespaces of a cluster.
#[derive(Debug, Clone)]
pub struct Namespaces {
    shared: Arc<Shared>,
}

struct Shared {
    client: kube::Client,
    /// All there are, once they were listed.
    watched: ArcSwapOption<BTreeMap<String, Arc<Labels>>>,
    read: Cache<Name, Arc<Labels>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("watched", &self.watched).finish_non_exhaustive()
    }
}

impl Namespaces {
    /// The namespaces, and the work that keeps them up to date. Without that work each is read by its
    /// name.
    pub fn new(cluster: &Cluster) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let shared = Arc::new(Shared {
            client: cluster.client.clone(),
            watched: ArcSwapOption::empty(),
            read: Cache::builder().max_capacity(MAX_KEPT).time_to_live(FRESH).build(),
        });
        (Self { shared: Arc::clone(&shared) }, watch(shared))
    }

    /// The labels of a namespace.
    pub async fn labels(&self, name: &str, deadline: Instant) -> Result<Arc<Labels>, Trouble> {
        // One that is not there may have been made a moment ago.
        if let Some(labels) = self.shared.watched.load().as_ref().and_then(|all| all.get(name)) {
            return Ok(Arc::clone(labels));
        }
        let key = Name::new(name, name).ok_or(Trouble::Absent)?;
        let read = async {
            let until = Instant::now() + get::LONGEST;
            let object = get::get(&self.shared.client, Kind::Namespace, &key, until).await?;
            Ok(Arc::new(labels_of(&object)))
        };
        let kept = self.shared.read.try_get_with_by_ref(&key, read);
        get::before(deadline, kept).await?.map_err(|trouble: Arc<Trouble>| (*trouble).clone())
    }
}

async fn watch(shared: Arc<Shared>) {
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(shared.client.clone());
    let labels =
        |object: PartialObjectMeta<Namespace>| Arc::new(object.metadata.labels.unwrap_or_default());
    follow(api, labels, |news| match news {
        News::Now(all) => shared.watched.store(Some(Arc::new(all.clone()))),
        // A right that was taken away must not leave old labels behind.
        News::Failed(Failure::Forbidden) => shared.watched.store(None),
        News::Unchanged | News::Failed(_) => {}
    })
    .await;
}

fn labels_of(object: &Value) -> Labels {
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}
