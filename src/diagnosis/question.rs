//! What is asked, and what is known beside the answer when it is read.

use crate::credential::{Candidate, Source};
use crate::image::platform::Runtime;
use crate::image::{Platform, Reference};

/// What many uses have in common: one image, the credentials it is asked with, the platforms wanted.
/// Equal questions are asked once. Holds no positions.
#[derive(Debug, Clone)]
pub struct Question {
    pub reference: Reference,
    /// The Pod's credentials in the kubelet's order; none means one anonymous attempt.
    pub candidates: Vec<Candidate>,
    /// Logins of the person who asks, tried where the Pod's were refused; they may be looked up only
    /// then.
    pub own: Vec<Candidate>,
    /// Platforms that must be offered; none means that they are not asked.
    pub platforms: Vec<Platform>,
    /// Runtimes that the nodes may use; they choose differently from some indexes.
    pub runtimes: Vec<Runtime>,
    /// The registry itself must be asked what the tag names; nothing that was seen before will do.
    pub fresh: bool,
}

/// What is known beside the answer.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Who asks, for messages: `Deployment shop/cart`, or empty when there is no Pod.
    pub asker: String,
    /// The image is mounted and not run.
    pub is_volume: bool,
    /// Nodes may have a login of their own for this registry; `None`: as is usual for its like.
    pub nodes_may_log_in: Option<bool>,
    pub pod_login: PodLogin,
    /// The person wants their own logins tried and nothing said about the Pod's.
    pub own_only: bool,
    /// Why logins of the person's own could not be had.
    pub own_failures: Vec<String>,
    /// Nobody reads what is said of an image that pulls, so its evidence is not put into words.
    pub is_brief: bool,
}

/// What is known of the credentials of a Pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodLogin {
    /// The Pod's ServiceAccount, or all secrets it names itself, were there to be read.
    pub is_known: bool,
    /// Pull secrets and ServiceAccounts that are named and were not there to be read.
    pub unread: Vec<String>,
    /// The rights in the cluster that reading them takes, where those are missing.
    pub rights_missing: Vec<String>,
    /// Pull secrets that are named and known not to exist; a kubelet goes on without them.
    pub missing: Vec<Source>,
    /// Secrets that were read and have no entry for this registry, with those they have.
    pub without_entry: Vec<(Source, Vec<String>)>,
    /// Secrets with no entry for any image of the Pod.
    pub unused: Vec<Source>,
    /// Secrets that a kubelet ignores (wrong type or key), with the reason.
    pub ignored: Vec<(Source, String)>,
    /// A secret that cannot be decoded: no image of the Pod is pulled.
    pub broken: Option<(Source, String)>,
}
