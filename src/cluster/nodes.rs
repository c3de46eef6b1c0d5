//! The Nodes of the cluster, pruned to what decides which platforms a Pod may land on, and where Pods
//! of some constraints may land, worked out once as long as no Node changes in a way that counts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use k8s_openapi::api::core::v1::Node;
use kube::Api;

use super::Cluster;
use super::follow::{Failure, News, follow};
use crate::image::usage::NodeConstraints;
use crate::policy::wants::{Landing, NodeView, Taint, landing};

/// Most image names kept of one Node; a kubelet lists 50 images by default.
const MAX_IMAGES: usize = 400;
const MAX_IMAGE_TEXT: usize = 4096;
const FORBIDDEN: &str = "Nodes may not be read, so platforms are asked only where a Pod names them: give list and watch on nodes";
/// Constraints that are remembered, and the most text in one of them.
const MAX_LANDINGS: usize = 1000;
const MAX_CONSTRAINTS: usize = 4096;
/// How long the last list says where Pods may land while the Nodes can not be read.
const BLIND: Duration = Duration::from_secs(5 * 60);

/// The Nodes as they are now.
#[derive(Debug, Clone, Default)]
pub struct Nodes {
    shared: Arc<ArcSwap<Seen>>,
}

/// What is known of the Nodes.
#[derive(Debug, Clone, Default)]
struct Seen {
    nodes: Arc<Vec<Arc<NodeView>>>,
    landings: Arc<Landings>,
    listed: bool,
    /// Since when nothing but failures has come; a Node that lives says something every few minutes.
    failing: Option<Instant>,
}

/// Where Pods of some constraints may land on these Nodes.
#[derive(Debug, Default)]
struct Landings(Mutex<HashMap<NodeConstraints, Option<Arc<Landing>>>>);

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
                    News::Failed(_) => {
                        let seen = shared.load().failed(Instant::now());
                        return shared.store(Arc::new(seen));
                    }
                    News::Unchanged if shared.load().failing.is_none() => return,
                    News::Unchanged => shared.load().nodes.to_vec(),
                };
                let seen = shared.load().then(nodes);
                shared.store(Arc::new(seen));
            })
            .await;
        };
        (nodes, work)
    }

    /// Nodes that do not change.
    pub fn fixed(all: Vec<NodeView>) -> Self {
        let nodes = Self::default();
        let seen = Seen::default().then(all.into_iter().map(Arc::new).collect());
        nodes.shared.store(Arc::new(seen));
        nodes
    }

    /// What a Pod of these constraints meets where it may land; `None`: it fits no Node, or the Nodes
    /// could not be read for so long that others may be there now.
    pub fn landing(&self, constraints: &NodeConstraints) -> Option<Arc<Landing>> {
        let seen = self.shared.load();
        if seen.is_blind(Instant::now()) { None } else { seen.landing(constraints) }
    }

    /// The Nodes in order of name as they were last read; none before the first list.
    pub fn now(&self) -> Arc<Vec<Arc<NodeView>>> {
        Arc::clone(&self.shared.load().nodes)
    }

    /// Whether the Nodes were listed once, or are known to be forbidden.
    pub fn is_ready(&self) -> bool {
        self.shared.load().listed
    }
}

impl Seen {
    /// What is known once the Nodes are these. Most news of a Node are the images it holds.
    fn then(&self, nodes: Vec<Arc<NodeView>>) -> Self {
        let alike = |(a, b): (&Arc<NodeView>, &Arc<NodeView>)| Arc::ptr_eq(a, b) || a.lands_like(b);
        let same = self.nodes.len() == nodes.len() && self.nodes.iter().zip(&nodes).all(alike);
        let landings = if same { Arc::clone(&self.landings) } else { Arc::default() };
        Self { nodes: Arc::new(nodes), landings, listed: true, failing: None }
    }

    /// What is known once the Nodes could not be read.
    fn failed(&self, now: Instant) -> Self {
        Self { failing: self.failing.or(Some(now)), ..self.clone() }
    }

    /// Whether the Nodes may be others by now.
    fn is_blind(&self, now: Instant) -> bool {
        self.failing.is_some_and(|since| now >= since + BLIND)
    }

    fn landing(&self, constraints: &NodeConstraints) -> Option<Arc<Landing>> {
        let known = || self.landings.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(landing) = known().get(constraints) {
            return landing.clone();
        }
        let found = landing(&self.nodes, constraints).map(Arc::new);
        if constraints.text_length() <= MAX_CONSTRAINTS {
            let mut known = known();
            if known.len() >= MAX_LANDINGS {
                known.clear();
            }
            known.insert(constraints.clone(), found.clone());
        }
        found
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

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, architecture: &str) -> NodeView {
        let text = str::to_owned;
        NodeView {
            name: text(name),
            os: text("linux"),
            architecture: text(architecture),
            ..NodeView::default()
        }
    }

    fn shared(nodes: &[NodeView]) -> Vec<Arc<NodeView>> {
        nodes.iter().cloned().map(Arc::new).collect()
    }

    #[test]
    fn a_landing_is_kept_until_a_node_changes_in_more_than_its_images() {
        let any = NodeConstraints::default();
        let mut nodes = vec![node("a", "amd64"), node("b", "arm64")];
        let seen = Seen::default().then(shared(&nodes));
        let first = seen.landing(&any).unwrap();
        assert_eq!(first.platforms.len(), 2);
        nodes[1].images.insert("team/app:1".to_owned());
        let seen = seen.then(shared(&nodes));
        assert!(Arc::ptr_eq(&first, &seen.landing(&any).unwrap()));
        nodes[1].unschedulable = true;
        let seen = seen.then(shared(&nodes));
        assert_eq!(seen.landing(&any).unwrap().platforms.len(), 1);
        let seen = seen.then(shared(&nodes[..1]));
        assert!(!Arc::ptr_eq(&first, &seen.landing(&any).unwrap()));
    }

    #[test]
    fn nodes_that_could_not_be_read_for_minutes_are_not_gone_by() {
        let seen = Seen::default().then(shared(&[node("a", "amd64")]));
        let began = Instant::now();
        let failing = seen.failed(began).failed(began + BLIND / 2);
        assert!(!failing.is_blind(began + BLIND / 2));
        assert!(failing.is_blind(began + BLIND), "counted from the first failure");
        assert!(failing.landing(&NodeConstraints::default()).is_some());
        let back = failing.then(failing.nodes.to_vec());
        assert!(!back.is_blind(began + 2 * BLIND));

        let nodes = Nodes::fixed(vec![node("a", "amd64")]);
        assert!(nodes.landing(&NodeConstraints::default()).is_some());
        let failing = Seen { failing: Some(began), ..(**nodes.shared.load()).clone() };
        let Some(long_ago) = began.checked_sub(BLIND) else { return };
        nodes.shared.store(Arc::new(Seen { failing: Some(long_ago), ..failing }));
        assert!(nodes.landing(&NodeConstraints::default()).is_none());
        assert_eq!(nodes.now().len(), 1, "the images they held are still known");
    }

    #[test]
    fn b46_constraints_of_many_pods_are_forgotten_and_huge_ones_not_kept() {
        let seen = Seen::default().then(shared(&[node("a", "amd64")]));
        let named = |os: String| NodeConstraints { os_name: Some(os), ..Default::default() };
        for nth in 0..3 * MAX_LANDINGS {
            assert!(seen.landing(&named(nth.to_string())).is_none());
        }
        let kept = || seen.landings.0.lock().unwrap().len();
        assert!(kept() <= MAX_LANDINGS, "{}", kept());
        let before = kept();
        assert!(seen.landing(&named("x".repeat(MAX_CONSTRAINTS + 1))).is_none());
        assert_eq!(kept(), before);
    }
}
