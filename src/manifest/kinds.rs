//! The catalogue of kinds whose image fields are known: one row a kind, or a few kinds of one shape.
//!
//! A kind counts by API group, whatever its version. What a row does not name, and kinds that are
//! not here, are walked generically by [`walk`](super::walk); kinds whose images are patterns are
//! not walked at all. Paths are those of [`path`](super::path).

mod delivery;
mod operators;
mod platforms;
mod serving;
mod workflows;
mod workloads;

pub(super) use delivery::KUSTOMIZATION;

/// Where some kinds of one group name their images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// API group; empty for the core group.
    pub group: &'static str,
    pub kinds: &'static [&'static str],
    pub fields: &'static [Field],
    /// The public API that the paths are taken from.
    pub from: &'static str,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// A Pod spec, or the part of one that has the same lists.
    PodSpec(&'static str),
    /// A text with an image. `pod` is where `imagePullSecrets` and what else decides the pull stand.
    Image { path: &'static str, pod: &'static str },
    /// A map with `image`, as a container has, a name or not.
    Container { path: &'static str, role: ContainerRole, pod: &'static str },
    /// A map whose keys hold the parts of an image.
    Parts { path: &'static str, keys: Keys, pod: &'static str },
    /// A map `{kind: DockerImage, name}`, as OpenShift refers to images.
    From(&'static str),
    /// A map `{name, newName, newTag, digest}`, as kustomize writes it.
    Kustomize(&'static str),
    /// A text `[name=]image`, as `kustomize edit set image` takes it.
    SetImage(&'static str),
    /// Values of a Helm chart.
    Values(&'static str),
    /// A text that holds the values of a Helm chart.
    ValuesText(&'static str),
    /// A text that holds objects or patches.
    Manifests(&'static str),
}

/// What a [`Field::Container`] does for its Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerRole {
    Container,
    Init,
    Sidecar,
}

/// The keys that hold the parts of an image; empty where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keys {
    pub registry: &'static str,
    pub repository: &'static str,
    pub tag: &'static str,
    pub digest: &'static str,
}

const fn pod(path: &'static str) -> Field {
    Field::PodSpec(path)
}

const fn image(path: &'static str, pod: &'static str) -> Field {
    Field::Image { path, pod }
}

const fn container(path: &'static str, pod: &'static str) -> Field {
    Field::Container { path, role: ContainerRole::Container, pod }
}

const fn sidecar(path: &'static str, pod: &'static str) -> Field {
    Field::Container { path, role: ContainerRole::Sidecar, pod }
}

const fn init(path: &'static str, pod: &'static str) -> Field {
    Field::Container { path, role: ContainerRole::Init, pod }
}

const fn row(
    group: &'static str,
    kinds: &'static [&'static str],
    fields: &'static [Field],
    from: &'static str,
) -> Row {
    Row { group, kinds, fields, from }
}

const TEMPLATE: &[Field] = &[pod("spec.template.spec")];

/// Built-in kinds of Kubernetes (with the groups they had once) and OpenShift's DeploymentConfig.
/// Their images are read strictly, and nothing else in them is walked.
pub const BUILT_IN: &[Row] = &[
    row("", &["Pod"], &[pod("spec")], CORE),
    row("apps", &["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"], TEMPLATE, "k8s apps/v1"),
    row("batch", &["Job"], TEMPLATE, "k8s batch/v1"),
    row("batch", &["CronJob"], &[pod("spec.jobTemplate.spec.template.spec")], "k8s batch/v1"),
    row("", &["ReplicationController"], TEMPLATE, CORE),
    row("", &["PodTemplate"], &[pod("template.spec")], CORE),
    row(
        "extensions",
        &["Deployment", "DaemonSet", "ReplicaSet", "Job"],
        TEMPLATE,
        "k8s extensions/v1beta1",
    ),
    row("apps.openshift.io", &["DeploymentConfig"], TEMPLATE, "openshift/api apps/v1"),
    row("", &["DeploymentConfig"], TEMPLATE, "openshift/api apps/v1"),
];

const CORE: &str = "k8s core/v1";

/// Kinds that others define.
pub const CUSTOM: [&[Row]; 6] = [
    delivery::ROWS,
    operators::ROWS,
    platforms::ROWS,
    serving::ROWS,
    workflows::ROWS,
    workloads::ROWS,
];

/// Groups whose objects match images, describe them or report on them: what looks like an image
/// there is never pulled.
const NO_IMAGES: &[&str] = &[
    "admissionregistration.k8s.io",
    "aquasecurity.github.io",
    "audit.k8s.io",
    "cli.kyverno.io",
    "constraints.gatekeeper.sh",
    "expansion.gatekeeper.sh",
    "image.toolkit.fluxcd.io",
    "imagepolicy.k8s.io",
    "json.kyverno.io",
    "kyverno.io",
    "mutations.gatekeeper.sh",
    "policies.kubewarden.io",
    "policies.kyverno.io",
    "policy.sigstore.dev",
    "pullproof.dev",
    "reports.kyverno.io",
    "templates.gatekeeper.sh",
    "wgpolicyk8s.io",
];

/// Kinds of other groups that hold schemas or plain data.
const NO_OBJECTS: &[(&str, &str)] = &[
    ("", "ConfigMap"),
    ("", "Node"),
    ("", "Event"),
    ("apiextensions.crossplane.io", "CompositeResourceDefinition"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("argoproj.io", "ImageUpdater"),
    ("kind.x-k8s.io", "Cluster"),
];

/// The rows for a built-in kind; none when it is not one.
pub fn built_in(api_version: &str, kind: &str) -> Option<&'static Row> {
    let group = group(api_version);
    BUILT_IN.iter().find(|row| row.group == group && row.kinds.contains(&kind))
}

/// The row for a kind that others define; none when the catalogue does not know it.
pub fn custom(api_version: &str, kind: &str) -> Option<&'static Row> {
    let group = group(api_version);
    let mut rows = CUSTOM.iter().copied().flatten();
    rows.find(|row| row.group == group && row.kinds.contains(&kind))
}

/// Whether nothing in an object of this kind is an image.
pub fn holds_no_images(api_version: &str, kind: &str) -> bool {
    let group = group(api_version);
    NO_IMAGES.contains(&group)
        || NO_OBJECTS.iter().any(|(other, name)| *other == group && *name == kind)
}

/// The group of an `apiVersion`: empty for `v1`.
pub fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

impl Field {
    /// Where it stands.
    pub fn path(self) -> &'static str {
        match self {
            Field::PodSpec(path)
            | Field::Image { path, .. }
            | Field::Container { path, .. }
            | Field::Parts { path, .. }
            | Field::From(path)
            | Field::Kustomize(path)
            | Field::SetImage(path)
            | Field::Values(path)
            | Field::ValuesText(path)
            | Field::Manifests(path) => path,
        }
    }
}

#[cfg(test)]
#[path = "kinds/tests.rs"]
mod tests;
