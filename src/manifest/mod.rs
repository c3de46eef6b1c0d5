//! Kubernetes manifests as text: read, parsed with byte spans, walked for images, pull secrets and
//! ServiceAccounts. Only [`source`] touches the file system.

pub mod kinds;
pub mod source;
pub mod walk;
pub mod yaml;

use std::collections::BTreeMap;

use crate::credential::PullSecret;
use crate::image::ImageUse;
use crate::image::usage::{ObjectName, Place};

/// Everything the inputs hold that matters to image pulls.
#[derive(Debug, Default)]
pub struct Extraction {
    /// In order of file (as walked) and place.
    pub uses: Vec<ImageUse>,
    pub secrets: Vec<FoundSecret>,
    pub service_accounts: Vec<FoundServiceAccount>,
    pub namespaces: Vec<FoundNamespace>,
    /// Inputs, or documents of one, that should hold manifests and do not parse.
    pub broken: Vec<Broken>,
    pub notes: Vec<Note>,
    /// Files in which at least one Kubernetes object was found.
    pub files: usize,
}

/// A Secret in the manifests that may hold registry credentials (either docker type, or named by an
/// `imagePullSecrets` of the same inputs).
#[derive(Debug)]
pub struct FoundSecret {
    pub place: Place,
    pub secret: PullSecret,
}

/// A ServiceAccount in the manifests.
#[derive(Debug)]
pub struct FoundServiceAccount {
    pub place: Place,
    pub namespace: String,
    pub name: String,
    /// Names in `imagePullSecrets`, in order.
    pub pull_secrets: Vec<String>,
}

/// A Namespace in the manifests, for `namespaceSelector` of a policy.
#[derive(Debug)]
pub struct FoundNamespace {
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

/// A text that should hold manifests and does not parse.
#[derive(Debug)]
pub struct Broken {
    pub place: Place,
    /// What the parser says, one lowercase phrase.
    pub reason: String,
}

/// Something worth saying that is no finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Stable kebab-case id, for example `duplicate-key`.
    pub id: &'static str,
    pub text: String,
    /// The file and the line (from 1) the note speaks of.
    pub place: Option<(String, usize)>,
    /// The object the note speaks of, where there is one.
    pub object: Option<ObjectName>,
}
