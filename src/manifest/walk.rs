//! Parsed documents to image uses, pull secrets, ServiceAccounts and Namespaces.
//!
//! Kinds of the catalogue are read by their Pod spec. In every other object each map with a list of
//! containers (`name` and `image`) is read as a Pod spec, except inside CustomResourceDefinitions,
//! whose schemas only look like one. Lists of objects are walked item by item.

use std::fmt::Write;
use std::sync::Arc;

use super::kinds::{self, Field};
use super::pod_spec::{self, Trust};
use super::yaml::{Document, Node};
use super::{Extraction, FoundNamespace, FoundSecret, FoundServiceAccount, Note};
use crate::credential::PullSecret;
use crate::credential::pull_secret::TYPE_OPAQUE;
use crate::image::usage::{ObjectName, Ownership, Place, Source};

/// Adds what one document holds; true when it holds a Kubernetes object.
pub fn document(source: &Arc<Source>, document: &Document<'_>, found: &mut Extraction) -> bool {
    let mut walker = Walker { source, found, path: Vec::new(), objects: 0 };
    walker.object(document.root(), None);
    walker.objects > 0
}

/// An object around images.
#[derive(Debug)]
pub(super) struct Object {
    pub name: ObjectName,
    pub ownership: Ownership,
}

/// One part of a field's path.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'d> {
    Key(&'d str),
    Index(usize),
}

pub(super) struct Walker<'x, 'd> {
    pub source: &'x Arc<Source>,
    pub found: &'x mut Extraction,
    path: Vec<Step<'d>>,
    objects: usize,
}

impl<'d> Walker<'_, 'd> {
    /// Walks a node that may be an object; `implied` names it when it stands in a typed list.
    fn object(&mut self, node: Node<'d>, implied: Option<(&str, &str)>) {
        let api_version = node.get_str("apiVersion").or(implied.map(|(version, _)| version));
        let kind = node.get_str("kind").or(implied.map(|(_, kind)| kind));
        let (Some(api_version), Some(kind)) = (api_version, kind) else { return };
        if api_version.is_empty() || kind.is_empty() {
            return;
        }
        self.objects += 1;
        if let Some(item_kind) = kind.strip_suffix("List")
            && let Some(items) = node.get("items").filter(|items| items.is_sequence())
        {
            let implied = (!item_kind.is_empty()).then_some((api_version, item_kind));
            return self.list(items, implied);
        }
        let object = Object {
            name: object_name(node, api_version, kind),
            ownership: ownership(node, api_version, kind),
        };
        self.known_or_guessed(node, &object);
    }

    fn list(&mut self, items: Node<'d>, implied: Option<(&str, &str)>) {
        for (index, item) in items.items().enumerate() {
            self.path.extend([Step::Key("items"), Step::Index(index)]);
            self.object(item, implied);
            self.path.truncate(self.path.len() - 2);
        }
    }

    fn known_or_guessed(&mut self, node: Node<'d>, object: &Object) {
        let mut rows = kinds::find(&object.name.api_version, &object.name.kind).peekable();
        if rows.peek().is_some() {
            for row in rows {
                let Field::PodSpec(path) = row.field;
                self.pod_spec(node, path, object);
            }
            return;
        }
        match (kinds::group(&object.name.api_version), object.name.kind.as_str()) {
            ("", "Secret") => self.secret(node, object),
            ("", "ServiceAccount") => self.service_account(node, object),
            ("", "Namespace") => self.namespace(node, object),
            ("", "ConfigMap") | ("apiextensions.k8s.io", "CustomResourceDefinition") => {}
            _ => self.guess(node, object),
        }
    }

    fn pod_spec(&mut self, node: Node<'d>, path: &'static str, object: &Object) {
        let Some(spec) = node.at_path(path) else { return };
        let depth = self.path.len();
        self.path.extend(path.split('.').map(Step::Key));
        pod_spec::walk(self, object, spec, Trust::Known);
        self.path.truncate(depth);
    }

    /// Looks for maps that hold containers, at any depth.
    fn guess(&mut self, node: Node<'d>, object: &Object) {
        for (index, item) in node.items().enumerate() {
            self.guess_at(Step::Index(index), item, object);
        }
        let mut holds_containers = false;
        for (key, value) in node.entries() {
            let Some(key) = key.text() else { continue };
            if pod_spec::LISTS.iter().any(|(list, _)| *list == key) {
                holds_containers |= value.items().any(pod_spec::is_container);
            }
            self.guess_at(Step::Key(key), value, object);
        }
        if holds_containers {
            pod_spec::walk(self, object, node, Trust::Guessed);
        }
    }

    fn guess_at(&mut self, step: Step<'d>, node: Node<'d>, object: &Object) {
        if node.text().is_none() {
            self.path.push(step);
            self.guess(node, object);
            self.path.pop();
        }
    }

    fn secret(&mut self, node: Node<'d>, object: &Object) {
        let ObjectName { namespace, name, .. } = &object.name;
        let secret = PullSecret::from_value(namespace.as_str(), name.as_str(), &node.to_json());
        self.found.secrets.push(FoundSecret {
            place: self.place(node.at_path("metadata.name").unwrap_or(node)),
            namespace: namespace.clone(),
            name: name.clone(),
            secret_type: node.get_str("type").unwrap_or(TYPE_OPAQUE).to_owned(),
            secret,
        });
    }

    fn service_account(&mut self, node: Node<'d>, object: &Object) {
        self.found.service_accounts.push(FoundServiceAccount {
            place: self.place(node.at_path("metadata.name").unwrap_or(node)),
            namespace: object.name.namespace.clone(),
            name: object.name.name.clone(),
            pull_secrets: pod_spec::pull_secrets(node),
        });
    }

    fn namespace(&mut self, node: Node<'d>, object: &Object) {
        let labels = node.at_path("metadata.labels").map(pod_spec::strings);
        self.found.namespaces.push(FoundNamespace {
            name: object.name.name.clone(),
            labels: labels.unwrap_or_default(),
        });
    }

    pub fn place(&self, node: Node<'_>) -> Place {
        Place {
            source: Arc::clone(self.source),
            span: node.span(),
            line: node.line(),
            column: node.column(),
        }
    }

    pub fn note(
        &mut self,
        id: &'static str,
        text: String,
        line: usize,
        object: Option<&ObjectName>,
    ) {
        let place = Some((self.source.name.clone(), line));
        self.found.notes.push(Note { id, text, place, object: object.cloned() });
    }

    /// The current path and `more`, written like `spec.containers[0].image`.
    pub fn path(&self, more: &[Step<'d>]) -> String {
        written(self.path.iter().chain(more))
    }
}

/// A path as people write it, like `spec.containers[0].image`.
pub(super) fn written<'s, 'd: 's>(path: impl Iterator<Item = &'s Step<'d>>) -> String {
    let mut out = String::new();
    for step in path {
        match step {
            // Writing to a string can not fail.
            Step::Index(index) => drop(write!(out, "[{index}]")),
            Step::Key(key) if is_simple(key) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(key);
            }
            Step::Key(key) => drop(write!(out, "[{}]", serde_json::Value::from(*key))),
        }
    }
    out
}

fn is_simple(key: &str) -> bool {
    !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn object_name(node: Node<'_>, api_version: &str, kind: &str) -> ObjectName {
    let metadata = |field| {
        node.get("metadata")
            .and_then(|metadata| metadata.get_str(field))
            .filter(|text| !text.is_empty())
    };
    ObjectName {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: metadata("namespace").unwrap_or_default().to_owned(),
        name: metadata("name").or_else(|| metadata("generateName")).unwrap_or_default().to_owned(),
    }
}

fn ownership(node: Node<'_>, api_version: &str, kind: &str) -> Ownership {
    if kind != "Pod" || !kinds::group(api_version).is_empty() {
        return Ownership::Workload;
    }
    let mut owners = node.at_path("metadata.ownerReferences").into_iter().flat_map(Node::items);
    let controlled =
        owners.any(|owner| owner.get("controller").and_then(Node::as_bool) == Some(true));
    if controlled { Ownership::OwnedPod } else { Ownership::BarePod }
}
