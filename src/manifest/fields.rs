//! Kinds of the catalogue to image uses, field by field. A text that is no image is passed over in
//! silence: the controller of the kind may fill it in.

use std::sync::Arc;

use super::kinds::{ContainerRole, Field};
use super::pod_spec::{self, Trust};
use super::split::{self, Parts};
use super::walk::{About, Object, Step, Walker};
use super::yaml::Node;
use super::{delivery, embedded, path, placeholder, values};
use crate::image::Role;

/// Adds the uses of an object of a listed kind.
pub(super) fn walk<'d>(
    walker: &mut Walker<'_, 'd>,
    root: Node<'d>,
    fields: &[Field],
    object: &Object,
) {
    for field in fields {
        let path = field.path();
        let about = About { role: role(*field), ..about(root, pod(*field), object) };
        walker.each(root, path, &mut |walker, node| match *field {
            Field::PodSpec(_) => pod_spec::walk(walker, object, node, Trust::Listed),
            Field::Image { .. } => image(walker, node, &about),
            Field::Container { .. } => container(walker, node, &about),
            Field::Parts { keys, .. } => {
                let parts = Parts::of(node, &keys);
                // Without a tag the operator's default counts, which is not known here.
                if keys.tag.is_empty() || !parts.is_unversioned() {
                    split::add(walker, node, &parts, &about);
                }
            }
            Field::From(_) => from(walker, node, &about),
            Field::Kustomize(_) => delivery::kustomize_image(walker, node, &about),
            Field::SetImage(_) => set_image(walker, node, &about),
            Field::Values(_) => values::walk(walker, node, object, None),
            Field::ValuesText(_) => embedded::walk(walker, node, embedded::As::Values, object),
            Field::Manifests(_) => embedded::walk(walker, node, embedded::As::Manifests, object),
        });
    }
}

/// What the map at `pod` says about the Pods that an object makes.
pub(super) fn about(root: Node<'_>, pod: &str, object: &Object) -> About {
    let spec = if pod.is_empty() { None } else { path::first(root, pod) };
    let workload = Arc::new(pod_spec::workload(object, spec.unwrap_or(root)));
    About { role: Role::Custom, policy: None, workload, guess: false }
}

/// Adds a text that is an image, or a map with the parts of one.
pub(super) fn image<'d>(walker: &mut Walker<'_, 'd>, node: Node<'d>, about: &About) {
    if node.is_mapping() {
        return values::image_map(walker, node, about);
    }
    let Some(text) = possible(node) else { return };
    walker.add(text, node, &[], about.clone());
}

/// Adds the image of a map that has one, as containers do.
pub(super) fn container<'d>(walker: &mut Walker<'_, 'd>, node: Node<'d>, about: &About) {
    let Some(value) = node.get("image") else { return };
    let Some(text) = possible(value) else { return };
    let policy = pod_spec::policy(node, "imagePullPolicy");
    walker.add(text, value, &[Step::Key("image")], About { policy, ..about.clone() });
}

/// The text of a string that can be an image.
pub(super) fn possible<'d>(node: Node<'d>) -> Option<&'d str> {
    let text = node.as_str().filter(|_| !node.is_number_or_boolean())?;
    placeholder::is_possible(text).then_some(text)
}

fn from<'d>(walker: &mut Walker<'_, 'd>, node: Node<'d>, about: &About) {
    if node.get_str("kind") != Some("DockerImage") {
        return;
    }
    let Some(name) = node.get("name") else { return };
    walker.step(Step::Key("name"), |walker| image(walker, name, about));
}

/// `nginx=registry.io/nginx:1` sets another name, `nginx:1` another tag.
fn set_image<'d>(walker: &mut Walker<'_, 'd>, node: Node<'d>, about: &About) {
    let Some(text) = node.as_str() else { return };
    let image = text.rsplit('=').next().unwrap_or(text);
    if !placeholder::is_possible(image) || !placeholder::has_version(image) {
        return;
    }
    let place = embedded::part(walker, node, text.len() - image.len()..text.len());
    let site = crate::image::Site { place: Some(place), path: walker.path(&[]) };
    walker.add_at(image, site, about.clone());
}

fn role(field: Field) -> Role {
    match field {
        Field::Container { role: ContainerRole::Container, .. } => Role::Container,
        Field::Container { role: ContainerRole::Init, .. } => Role::Init,
        Field::Container { role: ContainerRole::Sidecar, .. } => Role::Sidecar,
        _ => Role::Custom,
    }
}

fn pod(field: Field) -> &'static str {
    match field {
        Field::Image { pod, .. } | Field::Container { pod, .. } | Field::Parts { pod, .. } => pod,
        _ => "",
    }
}
