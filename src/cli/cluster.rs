//! What commands that ask a cluster share: which one, what it knows of workloads, and how its
//! refusals are told.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::StreamExt;

use super::Failure;
use crate::cluster::{Cluster, Options, Secrets, Trouble};
use crate::image::usage::Workload;
use crate::logins;
use crate::manifest::{Extraction, Note};
use crate::pipeline::Known;
use crate::policy::wants::landing;

/// How long one workload's login may take.
const LOGIN: Duration = Duration::from_secs(30);
/// Workloads whose logins are read at a time.
const AT_ONCE: usize = 8;
/// Most rights that are named in a note.
const RIGHTS: usize = 5;

/// Which cluster and namespace, as for kubectl.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Namespace to look at [default: that of the context]
    #[arg(short, long, value_name = "NS")]
    namespace: Option<String>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Kubeconfig [default: KUBECONFIG, or else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

impl Which {
    pub async fn connect(&self) -> Result<Cluster, Failure> {
        let options =
            Options { kubeconfig: self.kubeconfig.clone(), context: self.context.clone() };
        Cluster::connect(&options).await.map_err(Failure::misuse)
    }

    /// The namespace named, or that of the context.
    pub fn namespace(&self, cluster: &Cluster) -> String {
        match &self.namespace {
            Some(name) => name.clone(),
            None => cluster.default_namespace().to_owned(),
        }
    }
}

/// A refusal of the API server, as the failure of a command.
pub(super) fn failure(what: &str, trouble: &Trouble) -> Failure {
    Failure::misuse(anyhow::anyhow!("{what}: {trouble}"))
}

/// What the cluster knows of the workloads of an extraction; what it did not tell becomes a note.
pub(super) async fn known(cluster: &Cluster, extraction: &mut Extraction) -> Known {
    let secrets = Secrets::new(cluster);
    let mut workloads: HashMap<logins::Key, &Arc<Workload>> = HashMap::new();
    for found in &extraction.uses {
        workloads.entry(logins::key(&found.workload)).or_insert(&found.workload);
    }
    let read = workloads.into_iter().map(|(key, workload)| {
        let secrets = &secrets;
        async move {
            let login = secrets.login(&key.0, workload, Instant::now() + LOGIN).await;
            (key, login)
        }
    });
    let logins: HashMap<_, _> =
        futures_util::stream::iter(read).buffer_unordered(AT_ONCE).collect().await;
    let mut rights: Vec<String> =
        logins.values().flat_map(|login| login.known.rights_missing.clone()).collect();
    rights.sort();
    rights.dedup();
    let more = rights.len().saturating_sub(RIGHTS);
    let mut notes: Vec<Note> = rights
        .iter()
        .take(RIGHTS)
        .map(|right| note("login-not-read", &format!("a login may not be read: {right}")))
        .collect();
    if more > 0 {
        notes.push(note("login-not-read", &format!("and {more} more rights are missing")));
    }
    let nodes = cluster.nodes().await.unwrap_or_else(|trouble| {
        let text = format!(
            "the nodes are not known, so platforms are asked only where a Pod names them: {trouble}"
        );
        notes.push(note("nodes-not-read", &text));
        Vec::new()
    });
    let mut landings = HashMap::new();
    for found in &extraction.uses {
        let constraints = &found.workload.constraints;
        if !landings.contains_key(constraints)
            && let Some(landing) = landing(&nodes, constraints)
        {
            landings.insert(constraints.clone(), landing);
        }
    }
    extraction.notes.append(&mut notes);
    Known { logins, landings }
}

fn note(id: &'static str, text: &str) -> Note {
    Note { id, text: crate::text::clean(text, 500), place: None, object: None }
}
