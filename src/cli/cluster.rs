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
use crate::diagnosis::PodLogin;
use crate::image::usage::Workload;
use crate::logins::{self, Login, Logins, Looked, Usable, account_of, assemble};
use crate::manifest::{Extraction, Note};
use crate::pipeline::Known;
use crate::policy::wants::landing;

/// How long one workload's login may take.
pub(super) const LOGIN: Duration = Duration::from_secs(30);
/// Workloads whose logins are read at a time.
const AT_ONCE: usize = 8;
/// Most rights that are named in a note.
const RIGHTS: usize = 5;

/// WhichCluster cluster and namespace, as for kubectl.
#[derive(Debug, Args)]
pub(super) struct WhichCluster {
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

impl WhichCluster {
    pub async fn connect(&self) -> Result<Cluster, Failure> {
        let options =
            Options { kubeconfig: self.kubeconfig.clone(), context: self.context.clone() };
        Cluster::connect(&options).await.map_err(Failure::misuse)
    }

    /// Whether a flag says which.
    pub fn is_named(&self) -> bool {
        self.namespace.is_some() || self.context.is_some() || self.kubeconfig.is_some()
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

/// A pull secret that a person names.
#[derive(Debug, Clone)]
pub(super) struct Named {
    namespace: String,
    name: String,
}

/// `NS/NAME`
pub(super) fn named(text: &str) -> Result<Named, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            Ok(Named { namespace: namespace.to_owned(), name: name.to_owned() })
        }
        _ => Err("write it as NAMESPACE/NAME".to_owned()),
    }
}

/// Whose objects count besides the cluster's.
pub(super) struct Beside<'a> {
    /// What stands in the same files comes first.
    pub files: Option<&'a Logins>,
    /// Where an object lands that names no namespace.
    pub namespace: &'a str,
    /// Secrets that every Pod is taken to name, too.
    pub secrets: &'a [Named],
}

impl Beside<'_> {
    async fn login(&self, cluster: &Secrets, key: &logins::Key, workload: &Workload) -> Login {
        let deadline = Instant::now() + LOGIN;
        let namespace = match workload.object.namespace.as_str() {
            "" => self.namespace,
            written => written,
        };
        let in_files = self.files.map(|files| (files, key.0.as_str()));
        // A flag that names an image has no Pod, and so no account.
        let account = account_of(workload).filter(|_| !workload.object.kind.is_empty());
        let of_account = match account {
            None => None,
            Some(name) => match in_files.and_then(|(files, ns)| files.account(ns, name)) {
                Some(names) => Some(Looked::Found(Arc::new(names.to_vec()))),
                None => Some(cluster.account(namespace, name, deadline).await),
            },
        };
        let mut names = match &of_account {
            Some(Looked::Found(names)) => names.to_vec(),
            _ => workload.pull_secrets.clone(),
        };
        let mut read: HashMap<String, Looked<Arc<Usable>>> = HashMap::new();
        for name in names.iter().filter(|name| !name.is_empty()) {
            let found = match in_files.and_then(|(files, ns)| files.secret(ns, name)) {
                Some(secret) => Looked::Found(Arc::new(secret.clone())),
                None => cluster.secret(namespace, name, deadline).await,
            };
            read.insert(name.clone(), found);
        }
        for secret in self.secrets {
            // No Secret of the Pod's own can have such a name.
            let name = format!("{}/{}", secret.namespace, secret.name);
            let found = cluster.secret(&secret.namespace, &secret.name, deadline).await;
            read.insert(name.clone(), found);
            names.push(name);
        }
        let naming = Workload { pull_secrets: names.clone(), ..workload.clone() };
        let unread = match &of_account {
            Some(Looked::Unread) => Some(Looked::Unread),
            Some(Looked::Forbidden(right)) => Some(Looked::Forbidden(right.clone())),
            _ => None,
        };
        let account = match &of_account {
            _ if !names.is_empty() => None,
            Some(Looked::Found(_)) => Some(Looked::Found(&[][..])),
            Some(_) => Some(Looked::Absent),
            None => account_of(workload).map(|_| Looked::Absent),
        };
        let secret = |name: &str| match read.get(name) {
            Some(Looked::Found(secret)) => Looked::Found(secret.as_ref()),
            Some(Looked::Absent) => Looked::Absent,
            Some(Looked::Forbidden(right)) => Looked::Forbidden(right.clone()),
            Some(Looked::Unread) | None => Looked::Unread,
        };
        let mut login = assemble(namespace, &naming, account, secret);
        if unread.is_some() {
            let PodLogin { unread, rights_missing, .. } =
                assemble(namespace, workload, unread, |_| Looked::Unread).known;
            login.known.is_known = false;
            login.known.unread.extend(unread);
            login.known.rights_missing.extend(rights_missing);
        }
        login
    }
}

/// What the cluster knows of the workloads of an extraction; what it did not tell becomes a note.
pub(super) async fn known(
    cluster: &Cluster,
    beside: &Beside<'_>,
    extraction: &mut Extraction,
) -> Known {
    let secrets = Secrets::new(cluster);
    let mut workloads: HashMap<logins::Key, &Arc<Workload>> = HashMap::new();
    for found in &extraction.uses {
        workloads.entry(logins::key(&found.workload)).or_insert(&found.workload);
    }
    let read = workloads.into_iter().map(|(key, workload)| {
        let secrets = &secrets;
        async move {
            let login = beside.login(secrets, &key, workload).await;
            (key, Arc::new(login))
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
