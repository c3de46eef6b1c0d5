//! What a review is judged by beside its own words: policies, and the credentials, labels and nodes of
//! the cluster. Without a cluster policies come from files, and the Pods' secrets are named as unread.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::image::usage::Workload;
use crate::logins::Login;
use crate::pipeline::Labels;
use crate::policy::ImageCheckPolicy;
use crate::text::clean;

/// Where facts about the cluster come from.
#[derive(Debug, Default)]
pub struct Sources {
    /// In the order of their names; swapped as the cluster's change.
    pub policies: Arc<ArcSwap<Vec<ImageCheckPolicy>>>,
}

impl Sources {
    /// Policies that never change, and no cluster.
    pub fn of_files(mut policies: Vec<ImageCheckPolicy>) -> Self {
        policies.sort_by(|a, b| a.name.cmp(&b.name));
        Self { policies: Arc::new(ArcSwap::from_pointee(policies)) }
    }

    /// How many policies are in use, and how many can not be used.
    pub fn policy_counts(&self) -> (usize, usize) {
        (self.policies.load().len(), 0)
    }

    /// Why nothing can be decided yet; `None`: it can.
    pub fn not_ready(&self) -> Option<&'static str> {
        None
    }

    /// What a workload of a namespace pulls with.
    pub async fn login(&self, _namespace: &str, workload: &Workload, _: Instant) -> Arc<Login> {
        let mut login = Login::default();
        let secrets = workload.pull_secrets.iter().filter(|name| !name.is_empty());
        login.known.unread = match workload.pull_secrets.is_empty() {
            true => {
                let account = workload.service_account.as_deref().unwrap_or("default");
                vec![format!("ServiceAccount {}", clean(account, 80))]
            }
            false => secrets.map(|name| format!("secret {}", clean(name, 80))).collect(),
        };
        Arc::new(login)
    }

    /// The labels of a namespace, where they can be known.
    pub async fn labels(&self, _namespace: &str, _: Instant) -> Labels {
        Labels::new()
    }
}
