//! What kustomize reads: `images` of a kustomization, and patches. A strategic merge patch is an
//! object like any other; a JSON patch (RFC 6902) is a list of operations.

use super::fields;
use super::kinds::{self, KUSTOMIZATION};
use super::placeholder;
use super::split::{self, Part, Parts};
use super::walk::{About, Object, Step, Walker};
use super::yaml::Node;
use crate::image::usage::ObjectName;

/// Whether a document is a kustomization: by its group, or by its file where it says no kind.
pub(super) fn is_kustomization(root: Node<'_>, name: &str) -> bool {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    match (root.get_str("apiVersion"), root.get_str("kind")) {
        (Some(version), Some(_)) => kinds::group(version) == "kustomize.config.k8s.io",
        _ => {
            root.is_mapping()
                && ["kustomization.yaml", "kustomization.yml", "Kustomization"].contains(&file)
        }
    }
}

/// Adds the images of a kustomization and of the patches written in it.
pub(super) fn kustomization<'d>(walker: &mut Walker<'_, 'd>, root: Node<'d>) {
    let or = |key, other: &str| root.get_str(key).unwrap_or(other).to_owned();
    let name = root.at_path("metadata.name").and_then(Node::as_str).unwrap_or_default();
    let object = Object {
        name: ObjectName {
            api_version: or("apiVersion", "kustomize.config.k8s.io/v1beta1"),
            kind: or("kind", "Kustomization"),
            namespace: String::new(),
            name: name.to_owned(),
        },
        ..Object::default()
    };
    fields::walk(walker, root, KUSTOMIZATION, &object);
}

/// Adds what an entry of `images` sets: the new name with the new tag or digest. With a new name
/// alone the tag stays that of the objects, which is not known here.
pub(super) fn kustomize_image<'d>(walker: &mut Walker<'_, 'd>, node: Node<'d>, about: &About) {
    let part = |key| Part::at(node, key);
    let parts = Parts {
        registry: None,
        repository: part("newName").or_else(|| part("name")),
        tag: part("newTag"),
        digest: part("digest"),
        fallback: None,
    };
    if parts.tag.is_some() || parts.digest.is_some() {
        return split::add(walker, node, &parts, about);
    }
    if let Some(name) = part("newName") {
        let what = walker.path(&[Step::Key("newName")]);
        let text = format!("{what} comes without a tag: that of the objects stays");
        let object = &about.workload.object;
        walker.note("image-tag-unknown", text, name.node.line(), Some(object));
    }
}

/// Walks a list that is a document: objects, or the operations of a JSON patch.
pub(super) fn list<'d>(walker: &mut Walker<'_, 'd>, root: Node<'d>) {
    for (index, item) in root.items().enumerate() {
        walker.step(Step::Index(index), |walker| {
            match (item.get_str("op"), item.get_str("path")) {
                (Some("add" | "replace"), Some(path)) => operation(walker, item, path),
                (Some(_), Some(_)) => {}
                _ => walker.object(item, None),
            }
        });
    }
}

fn operation<'d>(walker: &mut Walker<'_, 'd>, item: Node<'d>, path: &str) {
    let Some(value) = item.get("value") else { return };
    let object = Object::default();
    let about = fields::about(value, "", &object);
    let mut parts = path.rsplit('/');
    let (last, before) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_list = |key: &str| key == "containers" || key.ends_with("Containers");
    walker.step(Step::Key("value"), |walker| match value.text() {
        Some(_) if last == "image" || (last == "reference" && before == "image") => {
            image(walker, value, &about);
        }
        Some(_) => {}
        None if is_list(last) => {
            for (index, one) in value.items().enumerate() {
                walker.step(Step::Index(index), |walker| fields::container(walker, one, &about));
            }
        }
        None if is_list(before) => fields::container(walker, value, &about),
        None if value.get_str("image").is_some_and(placeholder::has_version) => {
            fields::container(walker, value, &About { guess: true, ..about.clone() });
        }
        None => walker.guess_below(value, &object),
    });
}

/// An image that a patch writes; without tag and registry it may be a field of something else.
fn image<'d>(walker: &mut Walker<'_, 'd>, node: Node<'d>, about: &About) {
    let Some(text) = node.as_str().filter(|text| placeholder::is_possible(text)) else { return };
    walker.add(text, node, &[], about.clone());
}
