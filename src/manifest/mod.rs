//! Kubernetes manifests as text: read, parsed with byte spans, walked for images, pull secrets and
//! ServiceAccounts. Only [`source`] touches the file system.

mod deep;
mod delivery;
mod embedded;
pub mod extract;
mod fields;
pub mod ignore;
pub mod kinds;
pub mod path;
pub(crate) mod placeholder;
mod pod_spec;
pub mod rules;
pub mod source;
mod split;
mod values;
mod walk;
pub mod yaml;

use std::collections::{BTreeMap, HashSet};

pub use extract::{Chart, Extractor, extract_source};
pub use ignore::Ignore;
pub use rules::{Embedded, ExtractRule, PartKeys};
pub use source::{SourceOptions, extract};

use crate::credential::pull_secret::{TYPE_DOCKER_CONFIG_JSON, TYPE_DOCKERCFG};
use crate::credential::{self, PullSecret};
use crate::image::ImageUse;
use crate::image::usage::{ObjectName, Place};

/// Everything the inputs hold that matters to image pulls.
#[derive(Debug, Default)]
pub struct Extraction {
    /// In order of file (as walked) and place.
    pub uses: Vec<ImageUse>,
    /// Fields of built-in kinds that something else has to fill in, such as `${IMAGE}`: no images, and
    /// told by a note, too.
    pub placeholders: Vec<ImageUse>,
    pub secrets: Vec<FoundSecret>,
    pub service_accounts: Vec<FoundServiceAccount>,
    pub namespaces: Vec<FoundNamespace>,
    /// Inputs, or documents of one, that should hold manifests and do not parse.
    pub broken: Vec<Broken>,
    pub notes: Vec<Note>,
    /// Findings that comments and annotations ask not to count.
    pub ignores: Vec<Ignore>,
    /// Files in which at least one Kubernetes object was found.
    pub files: usize,
}

impl Extraction {
    /// Adds what a later source holds.
    pub fn append(&mut self, other: Extraction) {
        let Extraction {
            uses,
            placeholders,
            secrets,
            service_accounts,
            namespaces,
            broken,
            notes,
            ignores,
            files,
        } = other;
        self.uses.extend(uses);
        self.placeholders.extend(placeholders);
        self.secrets.extend(secrets);
        self.service_accounts.extend(service_accounts);
        self.namespaces.extend(namespaces);
        self.broken.extend(broken);
        self.notes.extend(notes);
        self.ignores.extend(ignores);
        self.files += files;
    }

    /// Keeps the Secrets that may matter to a pull: of a docker type, or named by some
    /// `imagePullSecrets`. Only known once all sources are there. Notes those that cannot be read.
    pub fn drop_other_secrets(&mut self) {
        let of_pods = self.uses.iter().flat_map(|found| &found.workload.pull_secrets);
        let of_accounts = self.service_accounts.iter().flat_map(|account| &account.pull_secrets);
        let named: HashSet<&str> = of_pods.chain(of_accounts).map(String::as_str).collect();
        self.secrets.retain(|secret| {
            DOCKER_TYPES.contains(&secret.secret_type.as_str())
                || named.contains(secret.name.as_str())
        });
        for found in &self.secrets {
            let Err(error) = &found.secret else { continue };
            self.notes.push(Note {
                id: "unreadable-secret",
                text: error.to_string(),
                place: Some((found.place.source.name.clone(), found.place.line)),
                object: None,
            });
        }
    }
}

const DOCKER_TYPES: [&str; 2] = [TYPE_DOCKER_CONFIG_JSON, TYPE_DOCKERCFG];

/// A Secret in the manifests that may hold registry credentials (either docker type, or named by an
/// `imagePullSecrets` of the same inputs).
#[derive(Debug)]
pub struct FoundSecret {
    pub place: Place,
    /// As written; empty when absent.
    pub namespace: String,
    pub name: String,
    /// `type` as written; `Opaque` when absent.
    pub secret_type: String,
    /// The data decoded, or why it can not be.
    pub secret: Result<PullSecret, credential::Error>,
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

/// The id of the notes on [`Extraction::placeholders`].
pub const PLACEHOLDER: &str = "unresolved-placeholder";

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
