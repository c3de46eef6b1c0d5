//! The Nodes of the cluster, pruned to what decides which platforms a Pod may land on.

use std::sync::Arc;

use arc_swap::ArcSwap;
use k8s_openapi::api::core::v1::Node;
use kube::Api;

use super::Cluster;
use super::follow::{Failure, News, follow};
use crate::policy::wants::{NodeView, Taint};

/// Most image names kept of one Node; a kubelet lists 50 images by default.
const MAX_IMAGES: usize = 400;
const MAX_IMAGE_TEXT: usize = 4096;
const FORBIDDEN: &str = "Nodes may not be read, so platforms are asked only where a Pod names them: give list and watch on nodes";

/// The Nodes as they are now.
#[derive(Debug, Clone, Default)]
pub struct Nodes {
    shared: Arc<ArcSwap<Seen>>,
}

/// What is known of the Nodes.
#[derive(Debug, Clone, Default)]
struct Seen {
    nodes: Arc<Vec<Arc<NodeView>>>,
    listed: bool,
}

impl Nodes {
    /// The Nodes, and the work that keeps them up to date.
    pub fn watch(cluster: &Cluster) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let nodes = Self::default();
        let api: Api<Node> = Api::all(cluster.client.clone());
        let shared = Arc::clone(&nodes.shared);
        let work = async move {
            let view = |node: Node| Arc::new(view(node));
            follow(api, view, |news| {
                let nodes = match news {
                    News::Now(all) => all.values().cloned().collect(),
                    // Without the right there are none to wait for, and none to go by.
                    News::Failed(Failure::Forbidden) => {
                        if !shared.load().nodes.is_empty() || !shared.load().listed {
                            tracing::warn!("{FORBIDDEN}");
                        }
                        Vec::new()
                    }
                    News::Failed(_) => return,
                };
                shared.store(Arc::new(Seen { nodes: Arc::new(nodes), listed: true }));
            })
            .await;
        };
        (nodes, work)
    }

    /// The Nodes in order of name; none before the first list.
    pub fn now(&self) -> Arc<Vec<Arc<NodeView>>> {
        Arc::clone(&self.shared.load().nodes)
    }

    /// Whether the Nodes were listed once, or are known to be forbidden.
    pub fn is_ready(&self) -> bool {
        self.shared.load().listed
    }
}

/// What is kept of a Node.
pub(super) fn view(node: Node) -> NodeView {
    let (spec, status) = (node.spec.unwrap_or_default(), node.status.unwrap_or_default());
    let info = status.node_info.unwrap_or_default();
    let images = status.images.unwrap_or_default();
    let names = images.into_iter().flat_map(|image| image.names.unwrap_or_default());
    let taint = |taint: k8s_openapi::api::core::v1::Taint| Taint {
        key: taint.key,
        value: taint.value.unwrap_or_default(),
        effect: taint.effect,
    };
    NodeView {
        name: node.metadata.name.unwrap_or_default(),
        labels: node.metadata.labels.unwrap_or_default(),
        taints: spec.taints.unwrap_or_default().into_iter().map(taint).collect(),
        unschedulable: spec.unschedulable.unwrap_or_default(),
        os: info.operating_system,
        architecture: info.architecture,
        runtime: info.container_runtime_version,
        images: names.filter(|name| name.len() <= MAX_IMAGE_TEXT).take(MAX_IMAGES).collect(),
    }
}
