//! What a review is judged by beside its own words: policies, and the credentials, labels and nodes of
//! the cluster. Without a cluster the Pods' secrets are named as unread.

use std::sync::Arc;

use tokio::time::Instant;

use crate::cluster::{Events, Namespaces, Nodes, Policies, Secrets};
use crate::image::usage::Workload;
use crate::logins::{Login, Looked, account_of, assemble};
use crate::pipeline::Labels;
use crate::policy::ImageCheckPolicy;
use crate::policy::wants::{Landing, holds_image};

/// Where facts about the cluster come from.
#[derive(Debug, Default)]
pub struct Sources {
    pub policies: Policies,
    pub cluster: Option<InCluster>,
}

/// What is read of a cluster.
#[derive(Debug)]
pub struct InCluster {
    pub secrets: Secrets,
    pub namespaces: Namespaces,
    pub nodes: Nodes,
    pub events: Events,
}

impl Sources {
    /// Policies that never change, and no cluster.
    pub fn of_files(policies: Policies) -> Self {
        Self { policies, cluster: None }
    }

    /// How many policies are in use, and how many can not be used.
    pub fn policy_counts(&self) -> (usize, usize) {
        let seen = self.policies.seen();
        (seen.usable.len(), seen.invalid.len())
    }

    /// Why nothing can be decided yet; `None`: it can.
    pub fn not_ready(&self) -> Option<&'static str> {
        if !self.policies.is_ready() {
            return Some("the policies were not read yet");
        }
        let nodes = self.cluster.as_ref().map(|cluster| &cluster.nodes);
        nodes.filter(|nodes| !nodes.is_ready()).map(|_| "the nodes were not read yet")
    }

    /// What a workload of a namespace pulls with.
    pub async fn login(
        &self,
        namespace: &str,
        workload: &Workload,
        deadline: Instant,
    ) -> Arc<Login> {
        match &self.cluster {
            Some(cluster) => {
                let login = cluster.secrets.login(namespace, workload, deadline.into_std());
                Box::pin(login).await
            }
            None => {
                let account = account_of(workload).map(|_| Looked::Unread);
                Arc::new(assemble(namespace, workload, account, |_| Looked::Unread))
            }
        }
    }

    /// The labels of a namespace, where one of these policies asks for them; `None`: one does, and they
    /// are not known.
    pub async fn labels(
        &self,
        policies: &[ImageCheckPolicy],
        namespace: &str,
        deadline: Instant,
    ) -> Option<Labels> {
        if policies.iter().all(|policy| policy.spec.matches.namespace_selector.is_none()) {
            return Some(Labels::new());
        }
        let cluster = self.cluster.as_ref()?;
        match Box::pin(cluster.namespaces.labels(namespace, deadline.into_std())).await {
            Ok(labels) => Some(Labels::from([(namespace.to_owned(), (*labels).clone())])),
            Err(trouble) => {
                tracing::warn!(namespace, ?trouble, "the labels of a namespace are not known");
                None
            }
        }
    }

    /// Which nodes a workload may land on, where the cluster's are known and it fits any.
    pub fn landing(&self, workload: &Workload) -> Option<Arc<Landing>> {
        self.cluster.as_ref()?.nodes.landing(&workload.constraints)
    }

    /// Whether a node that the workload may land on holds the image already.
    pub fn is_held(&self, found: &crate::image::ImageUse) -> bool {
        let (Some(cluster), Ok(reference)) = (&self.cluster, &found.reference) else {
            return false;
        };
        holds_image(&cluster.nodes.now(), &found.workload.constraints, reference)
    }
}
