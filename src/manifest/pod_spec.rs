//! A Pod spec to image uses: every container list, image volumes, and what of the spec decides how
//! they are pulled. Follows `core/v1` types; what is not of the right type is passed over, the API
//! server refuses it.

use std::sync::Arc;

use super::PLACEHOLDER;
use super::placeholder::{self, Text};
use super::walk::{About, Object, Step, Walker};
use super::yaml::Node;
use crate::image::usage::{NodeConstraints, NodeRequirement, Ownership, Toleration, Workload};
use crate::image::{ImageUse, PullPolicy, Reference, Role, Site};

const REQUIRED: &str =
    "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";

/// The container lists of a Pod spec.
pub(super) const LISTS: [(&str, Role); 3] = [
    ("initContainers", Role::Init),
    ("containers", Role::Container),
    ("ephemeralContainers", Role::Ephemeral),
];

/// How strictly a Pod spec is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// A built-in kind: an image that is none is worth a note.
    Known,
    /// A kind of the catalogue: its controller may fill in what is missing.
    Listed,
    /// Something that looks like a Pod spec: only what is clearly an image counts.
    Guessed,
}

/// Adds the uses of a Pod spec that stands at the walker's path.
pub(super) fn walk<'d>(walker: &mut Walker<'_, 'd>, object: &Object, spec: Node<'d>, trust: Trust) {
    if !spec.is_mapping() {
        return;
    }
    let mut pod = Pod { walker, object, trust, workload: Arc::new(workload(object, spec)) };
    for (field, role) in LISTS {
        if let Some(list) = spec.get(field) {
            pod.containers(field, role, list);
        }
    }
    if let Some(volumes) = spec.get("volumes") {
        pod.volumes(volumes);
    }
}

/// Whether a list item has both a name and an image, as containers do.
pub(super) fn is_container(item: Node<'_>) -> bool {
    item.get_str("name").is_some_and(|name| !name.is_empty())
        && item.get_str("image").is_some_and(|image| !image.is_empty())
}

struct Pod<'w, 'x, 'd> {
    walker: &'w mut Walker<'x, 'd>,
    object: &'w Object,
    trust: Trust,
    workload: Arc<Workload>,
}

impl<'d> Pod<'_, '_, 'd> {
    fn containers(&mut self, field: &'static str, role: Role, list: Node<'d>) {
        for (index, item) in list.items().enumerate() {
            if self.trust == Trust::Guessed && !is_container(item) {
                continue;
            }
            let Some(image) = item.get("image") else { continue };
            if is_injected(item) {
                continue;
            }
            let restarts = item.get_str("restartPolicy") == Some("Always");
            let role = if role == Role::Init && restarts { Role::Sidecar } else { role };
            let path = [Step::Key(field), Step::Index(index), Step::Key("image")];
            self.image(&path, role, image, policy(item, "imagePullPolicy"));
        }
    }

    fn volumes(&mut self, list: Node<'d>) {
        for (index, item) in list.items().enumerate() {
            let Some(volume) = item.get("image") else { continue };
            let Some(image) = volume.get("reference") else { continue };
            let path = [
                Step::Key("volumes"),
                Step::Index(index),
                Step::Key("image"),
                Step::Key("reference"),
            ];
            self.image(&path, Role::Volume, image, policy(volume, "pullPolicy"));
        }
    }

    fn image(&mut self, path: &[Step<'d>], role: Role, node: Node<'d>, policy: Option<PullPolicy>) {
        let Some(text) = node.text() else {
            return self.not_a_string(path, node, (role, policy));
        };
        if node.is_number_or_boolean() {
            return self.not_a_string(path, node, (role, policy));
        }
        let text = if node.is_null() { "" } else { text };
        match placeholder::classify(text) {
            Text::Build | Text::Encrypted => return,
            Text::Placeholder => return self.placeholder(path, node, text, (role, policy)),
            Text::Reference => {}
        }
        if self.trust != Trust::Known && (text.is_empty() || placeholder::is_pattern(text)) {
            return;
        }
        if text.is_empty() && self.workload.ownership == Ownership::Workload {
            let what = self.walker.path(path);
            return self.note("empty-image", format!("{what} is empty"), node);
        }
        let workload = Arc::clone(&self.workload);
        self.walker.add(text, node, path, About { role, policy, workload, guess: false });
    }

    fn not_a_string(
        &mut self,
        path: &[Step<'d>],
        node: Node<'d>,
        as_what: (Role, Option<PullPolicy>),
    ) {
        // An unquoted `{{ .Values.image }}` is a map in a map to a YAML parser.
        let written = self.walker.source.text.get(node.span()).unwrap_or_default();
        if written.starts_with("{{") {
            return self.placeholder(path, node, written, as_what);
        }
        let what = self.walker.path(path);
        let text = match node.text() {
            Some(text) => {
                let kind = if node.as_bool().is_some() { "boolean" } else { "number" };
                let shown = crate::text::clean(text, 40);
                format!("{what} is the {kind} {shown}, not an image name; quote it if it is one")
            }
            None if node.is_sequence() => format!("{what} is a list, not an image name"),
            None => format!("{what} is a map, not an image name"),
        };
        self.note("image-not-a-string", text, node);
    }

    fn placeholder(
        &mut self,
        path: &[Step<'d>],
        node: Node<'d>,
        text: &str,
        (role, pull_policy): (Role, Option<PullPolicy>),
    ) {
        if self.trust != Trust::Known {
            return;
        }
        let place = Some(self.walker.place(node));
        let site = Site { place, path: self.walker.path(path) };
        let said = placeholder::text(&site.path, text);
        self.note(PLACEHOLDER, said, node);
        self.walker.found.placeholders.push(ImageUse {
            text: text.to_owned(),
            reference: Reference::parse(text),
            site,
            role,
            pull_policy,
            workload: Arc::clone(&self.workload),
            guess: false,
        });
    }

    fn note(&mut self, id: &'static str, text: String, node: Node<'d>) {
        if self.trust == Trust::Known {
            self.walker.note(id, text, node.line(), Some(&self.object.name));
        }
    }
}

/// Istio writes the image of a container of that name when it injects its proxy.
fn is_injected(item: Node<'_>) -> bool {
    item.get_str("name") == Some("istio-proxy") && item.get_str("image") == Some("auto")
}

/// The pull policy in a field.
pub(super) fn policy(node: Node<'_>, field: &str) -> Option<PullPolicy> {
    PullPolicy::parse(node.get_str(field)?)
}

/// What a map says about the Pods it makes, where it has the fields of a Pod spec.
pub(super) fn workload(object: &Object, spec: Node<'_>) -> Workload {
    let account = |field| spec.get_str(field).filter(|name| !name.is_empty()).map(str::to_owned);
    Workload {
        object: object.name.clone(),
        ownership: object.ownership,
        service_account: account("serviceAccountName").or_else(|| account("serviceAccount")),
        pull_secrets: pull_secrets(spec),
        constraints: constraints(object, spec),
    }
}

/// Names in `imagePullSecrets`, in order, `""` for an entry without a name. Some kinds, such as
/// SparkApplication, write the names alone.
pub(super) fn pull_secrets(node: Node<'_>) -> Vec<String> {
    let Some(list) = node.get("imagePullSecrets") else { return Vec::new() };
    list.items()
        .filter(|entry| !entry.is_sequence())
        .map(|entry| {
            entry.as_str().or_else(|| entry.get_str("name")).unwrap_or_default().to_owned()
        })
        .collect()
}

fn constraints(object: &Object, spec: Node<'_>) -> NodeConstraints {
    let terms = spec.at_path(REQUIRED);
    let tolerations = spec.get("tolerations").into_iter().flat_map(Node::items).map(toleration);
    NodeConstraints {
        node_name: spec.get_str("nodeName").filter(|name| !name.is_empty()).map(str::to_owned),
        node_selector: spec.get("nodeSelector").map(strings).unwrap_or_default(),
        affinity_terms: terms.into_iter().flat_map(Node::items).filter_map(term).collect(),
        tolerations: tolerations.chain(Toleration::of_controller(&object.name.kind)).collect(),
        os_name: spec.at_path("os.name").and_then(Node::as_str).map(str::to_owned),
    }
}

fn toleration(node: Node<'_>) -> Toleration {
    let string = |field| node.get_str(field).unwrap_or_default().to_owned();
    Toleration {
        key: string("key"),
        operator: string("operator"),
        value: string("value"),
        effect: string("effect"),
    }
}

/// A term without any requirement matches no node, so it is no alternative.
fn term(node: Node<'_>) -> Option<Vec<NodeRequirement>> {
    let of = |list: &str, is_field| {
        let entries = node.get(list).into_iter().flat_map(Node::items);
        entries.map(move |entry| requirement(entry, is_field))
    };
    let requirements: Vec<_> =
        of("matchExpressions", false).chain(of("matchFields", true)).collect();
    (!requirements.is_empty()).then_some(requirements)
}

fn requirement(node: Node<'_>, is_field: bool) -> NodeRequirement {
    let string = |field| node.get_str(field).unwrap_or_default().to_owned();
    let values = node.get("values").into_iter().flat_map(Node::items);
    NodeRequirement {
        key: string("key"),
        operator: string("operator"),
        values: values.filter_map(Node::as_str).map(str::to_owned).collect(),
        is_field,
    }
}

/// A map of strings, as labels are.
pub(super) fn strings(node: Node<'_>) -> std::collections::BTreeMap<String, String> {
    node.entries()
        .filter_map(|(key, value)| Some((key.text()?.to_owned(), value.text()?)))
        .map(|(key, value)| (key, value.to_owned()))
        .collect()
}
