//! Parsed documents to image uses, pull secrets, ServiceAccounts and Namespaces.
//!
//! Built-in kinds are read by their Pod spec and nothing else. Kinds of the catalogue are read by
//! its fields, and then, as every other object, generically: each map with a list of containers
//! (`name` and `image`) is read as a Pod spec, each object inside the object as an object of its own.
//! What stands at one path counts once. Schemas, reports and policies hold no images.

mod guess;

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use super::embedded::Inside;
use super::pod_spec::{self, Trust};
use super::yaml::{Document, Node};
use super::{Chart, Extraction, Extractor, FoundNamespace, FoundSecret, FoundServiceAccount, Note};
use super::{deep, delivery, fields, kinds, values};
use crate::credential::PullSecret;
use crate::credential::pull_secret::TYPE_OPAQUE;
use crate::image::usage::{ImageUse, ObjectName, Ownership, Place, Site, Source, Workload};
use crate::image::{PullPolicy, Reference, Role};

/// An object around images.
#[derive(Debug, Default)]
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

/// What is said of an image besides its text and place.
#[derive(Clone)]
pub(super) struct About {
    pub role: Role,
    pub policy: Option<PullPolicy>,
    pub workload: Arc<Workload>,
    pub guess: bool,
}

pub(super) struct Walker<'x, 'd> {
    pub source: &'x Arc<Source>,
    pub found: &'x mut Extraction,
    pub extractor: &'x Extractor,
    /// The scalar whose text is walked, when it is not the source itself.
    pub inside: Option<&'x Inside<'x>>,
    pub path: Vec<Step<'d>>,
    /// Paths with an image already, where more than one look is taken at them.
    claimed: HashSet<String>,
    objects: usize,
}

impl<'x, 'd> Walker<'x, 'd> {
    pub fn new(
        source: &'x Arc<Source>,
        found: &'x mut Extraction,
        extractor: &'x Extractor,
        inside: Option<&'x Inside<'x>>,
    ) -> Self {
        let (path, claimed) = (Vec::new(), HashSet::new());
        Self { source, found, extractor, inside, path, claimed, objects: 0 }
    }

    /// Walks one document; true when it holds an object or an image.
    pub fn document(mut self, document: &'d Document<'d>, chart: Option<&Chart>) -> bool {
        let (root, before) = (document.root(), self.found.uses.len());
        if root.is_sequence() {
            delivery::list(&mut self, root);
        } else if delivery::is_kustomization(root, &self.source.name) && self.inside.is_none() {
            delivery::kustomization(&mut self, root);
        } else if root.get("apiVersion").is_some() && root.get("kind").is_some() {
            self.object(root, None);
        } else if values::is_values_file(&self.source.name) && self.inside.is_none() {
            values::file(&mut self, root, chart);
        }
        self.objects > 0 || self.found.uses.len() > before
    }

    /// Walks a node that may be an object; `implied` names it when it stands in a typed list.
    pub fn object(&mut self, node: Node<'d>, implied: Option<(&str, &str)>) {
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
            return self.items(items, implied);
        }
        let object = Object {
            name: object_name(node, api_version, kind),
            ownership: ownership(node, api_version, kind),
        };
        if node.get("sops").is_some_and(|sops| sops.get("mac").is_some()) {
            let text = "encrypted with SOPS: what it hides is not read".to_owned();
            self.note("sops-encrypted", text, node.line(), Some(&object.name));
        }
        self.known_or_guessed(node, &object);
        self.asked_for(node, &object);
    }

    fn items(&mut self, items: Node<'d>, implied: Option<(&str, &str)>) {
        for (index, item) in items.items().enumerate() {
            self.path.extend([Step::Key("items"), Step::Index(index)]);
            self.object(item, implied);
            self.path.truncate(self.path.len() - 2);
        }
    }

    fn known_or_guessed(&mut self, node: Node<'d>, object: &Object) {
        let (api_version, kind) = (object.name.api_version.as_str(), object.name.kind.as_str());
        if let Some(row) = kinds::built_in(api_version, kind) {
            for field in row.fields {
                self.each(node, field.path(), &mut |walker, spec| {
                    pod_spec::walk(walker, object, spec, Trust::Known);
                });
            }
            return;
        }
        match (kinds::group(api_version), kind) {
            ("", "Secret") => self.secret(node, object),
            ("", "ServiceAccount") => self.service_account(node, object),
            ("", "Namespace") => self.namespace(node, object),
            _ if kinds::holds_no_images(api_version, kind) => {}
            _ => {
                if let Some(row) = kinds::custom(api_version, kind) {
                    fields::walk(self, node, row.fields, object);
                }
                self.guess(node, object);
            }
        }
    }

    /// What the user's rules and `--deep` find in an object.
    fn asked_for(&mut self, node: Node<'d>, object: &Object) {
        let extractor = self.extractor;
        for rule in extractor.rules_for(&object.name) {
            rule.walk(self, node, object);
        }
        let group = kinds::group(&object.name.api_version);
        if extractor.is_deep() && deep::reads(group, &object.name.kind) {
            deep::walk(self, node, object);
        }
    }

    /// Adds an image at the current path and `more`, unless the path has one already.
    pub fn add(&mut self, text: &str, node: Node<'_>, more: &[Step<'d>], about: About) {
        let path = self.path(more);
        let place = self.place(node);
        self.add_at(text, Site { place: Some(place), path }, about);
    }

    /// As [`add`](Self::add), the place known.
    pub fn add_at(&mut self, text: &str, site: Site, about: About) {
        if !self.claimed.insert(site.path.clone()) {
            return;
        }
        let About { role, policy: pull_policy, workload, guess } = about;
        let guess = guess || self.inside.is_some_and(|inside| inside.guess);
        self.found.uses.push(ImageUse {
            text: text.to_owned(),
            reference: Reference::parse(text),
            site,
            role,
            pull_policy,
            workload,
            guess,
        });
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
        if let Some(inside) = self.inside {
            return inside.place(self.source, node.span());
        }
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
        let line = self.inside.map_or(line, |inside| inside.line());
        let place = Some((self.source.name.clone(), line));
        self.found.notes.push(Note { id, text, place, object: object.cloned() });
    }

    /// The current path and `more`, written like `spec.containers[0].image`.
    pub fn path(&self, more: &[Step<'d>]) -> String {
        let start = self.inside.map(|inside| inside.path.clone()).unwrap_or_default();
        written(start, self.path.iter().chain(more))
    }
}

/// A path as people write it, like `spec.containers[0].image`, after what it starts with.
pub(super) fn written<'s, 'd: 's>(
    start: String,
    path: impl Iterator<Item = &'s Step<'d>>,
) -> String {
    let mut out = start;
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
