//! One place where an image is named: the text as written, where it stands, in which role, and the
//! workload around it. Holds nothing learnt from a registry.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::{PullPolicy, Reference, reference};

/// One place where an image is named.
#[derive(Debug, Clone)]
pub struct ImageUse {
    /// The text as written, without quotes.
    pub text: String,
    /// The parsed reference, or why it is none.
    pub reference: Result<Reference, reference::Error>,
    pub site: Site,
    pub role: Role,
    /// `imagePullPolicy` as written; `None` when the manifest leaves it to the API server.
    pub pull_policy: Option<PullPolicy>,
    pub workload: Arc<Workload>,
    /// Found by a guess (a string that looks like an image), never an error alone.
    pub guess: bool,
}

/// Where an image is named.
#[derive(Debug, Clone)]
pub struct Site {
    /// Place in a text; `None` when the use came from no text (a command line flag, an API object).
    pub place: Option<Place>,
    /// The field, written like `spec.template.spec.containers[0].image`; empty when there is none.
    pub path: String,
}

/// A span of bytes in a text, with the line and column of its first character.
#[derive(Debug, Clone)]
pub struct Place {
    pub source: Arc<Source>,
    /// Bytes of the value inside `source.text`, without quotes.
    pub span: Range<usize>,
    /// Counts from 1.
    pub line: usize,
    /// Counts characters from 1.
    pub column: usize,
}

/// A text that was read: a file, standard input or a part of either.
#[derive(Debug)]
pub struct Source {
    /// As a person would name it: the path as given and walked, or `<stdin>`.
    pub name: String,
    pub text: String,
}

/// What the image does for its Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Container,
    Init,
    /// An init container with `restartPolicy: Always`.
    Sidecar,
    Ephemeral,
    /// `volumes[].image.reference`.
    Volume,
    /// An image field of a kind that is no Pod template.
    Custom,
}

impl Role {
    /// The name used in JSON and messages.
    pub fn id(self) -> &'static str {
        match self {
            Role::Container => "container",
            Role::Init => "init",
            Role::Sidecar => "sidecar",
            Role::Ephemeral => "ephemeral",
            Role::Volume => "volume",
            Role::Custom => "custom",
        }
    }
}

/// Names an object as Kubernetes does. Empty strings where the text has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    pub api_version: String,
    pub kind: String,
    /// `metadata.namespace` as written; empty when absent.
    pub namespace: String,
    pub name: String,
}

/// The object around an image and what of it decides how the image is pulled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workload {
    pub object: ObjectName,
    pub ownership: Ownership,
    /// `serviceAccountName` of the Pod spec as written.
    pub service_account: Option<String>,
    /// Names in `imagePullSecrets`, in order, `""` for an entry without a name.
    /// Empty when the field is absent or empty: only then ServiceAccount secrets are copied.
    pub pull_secrets: Vec<String>,
    pub constraints: NodeConstraints,
}

/// Whether the object is a workload, a Pod of its own, or a Pod that a controller made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Ownership {
    #[default]
    Workload,
    BarePod,
    OwnedPod,
}

/// What the Pod spec says about the nodes it may run on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct NodeConstraints {
    /// `spec.nodeName`: the node is chosen already.
    pub node_name: Option<String>,
    pub node_selector: BTreeMap<String, String>,
    /// `requiredDuringSchedulingIgnoredDuringExecution`: terms are alternatives, the
    /// `matchExpressions` and `matchFields` inside one term must all hold.
    pub affinity_terms: Vec<Vec<NodeRequirement>>,
    pub tolerations: Vec<Toleration>,
    /// `spec.os.name`.
    pub os_name: Option<String>,
}

impl NodeConstraints {
    /// Bytes of all its texts.
    pub fn text_length(&self) -> usize {
        let selector = self.node_selector.iter().map(|(key, value)| key.len() + value.len());
        let terms = self.affinity_terms.iter().flatten().map(|it| {
            it.key.len() + it.operator.len() + it.values.iter().map(String::len).sum::<usize>()
        });
        let tolerations = self
            .tolerations
            .iter()
            .map(|it| it.key.len() + it.operator.len() + it.value.len() + it.effect.len());
        let names = self.node_name.iter().chain(&self.os_name).map(String::len);
        selector.chain(terms).chain(tolerations).chain(names).sum()
    }
}

/// One `matchExpressions` or `matchFields` entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct NodeRequirement {
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt`, `Lt`, as written.
    pub operator: String,
    pub values: Vec<String>,
    /// Of `matchFields`: the key is a field of the Node and no label.
    pub is_field: bool,
}

/// One of `spec.tolerations`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Toleration {
    /// Empty: every key.
    pub key: String,
    /// `Equal` or `Exists`; empty means `Equal`.
    pub operator: String,
    pub value: String,
    /// Empty: every effect.
    pub effect: String,
}

impl Toleration {
    /// What the controller of a kind adds: a DaemonSet's Pods run on cordoned nodes, too.
    pub fn of_controller(kind: &str) -> Option<Self> {
        (kind == "DaemonSet").then(|| Self {
            key: "node.kubernetes.io/unschedulable".to_owned(),
            operator: "Exists".to_owned(),
            effect: "NoSchedule".to_owned(),
            ..Self::default()
        })
    }
}
