//! Rules of the user: where kinds that the catalogue does not know name their images.

use serde::Deserialize;

use super::path::{self, Part};
use super::pod_spec::{self, LISTS, Trust};
use super::split::{self, Parts};
use super::walk::{Object, Walker};
use super::yaml::Node;
use super::{embedded, fields, kinds};
use crate::image::usage::ObjectName;

/// One `[[extract]]` of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtractRule {
    /// API group, without a version; empty for the core group.
    #[serde(default)]
    pub group: String,
    pub kind: String,
    /// Where the images are: `spec.image`, `spec.steps[].image`, `spec.**.image`. A text is an
    /// image, a map a Pod spec or a container, each by what it holds; of a list all items count.
    pub path: String,
    /// The fields of the map at `path` that hold the parts of an image.
    #[serde(default)]
    pub parts: Option<PartKeys>,
    /// What the text at `path` is, when it is not an image itself.
    #[serde(default)]
    pub embedded: Embedded,
}

/// Keys, or paths of keys such as `image.tag`, relative to a rule's `path`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PartKeys {
    pub registry: String,
    pub repository: String,
    pub tag: String,
    pub digest: String,
}

/// What a text inside an object is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Embedded {
    #[default]
    None,
    /// YAML or JSON: objects, or any map with images in it.
    Yaml,
}

/// A rule that can be followed.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    written: ExtractRule,
    path: Vec<Part>,
}

impl Rule {
    /// Fails when a path of the rule can not be followed.
    pub fn new(written: ExtractRule) -> Result<Self, path::Error> {
        let path = path::parse(&written.path)?;
        for key in written.parts.iter().flat_map(PartKeys::all).filter(|key| !key.is_empty()) {
            path::parse(key)?;
        }
        Ok(Self { written, path })
    }

    /// Whether the rule speaks of this kind of object.
    pub fn is_for(&self, object: &ObjectName) -> bool {
        self.written.kind == object.kind && self.written.group == kinds::group(&object.api_version)
    }

    /// Adds what the rule finds in an object.
    pub fn walk<'d>(&self, walker: &mut Walker<'_, 'd>, root: Node<'d>, object: &Object) {
        walker.each_part(root, &self.path, &mut |walker, node| self.at(walker, root, node, object));
    }

    fn at<'d>(&self, walker: &mut Walker<'_, 'd>, root: Node<'d>, node: Node<'d>, object: &Object) {
        if self.written.embedded == Embedded::Yaml {
            return embedded::walk(walker, node, embedded::As::Any, object);
        }
        let about = fields::about(root, &self.pod(root), object);
        if let Some(keys) = &self.written.parts {
            return split::add(walker, node, &keys.of(node), &about);
        }
        for (index, item) in node.items().enumerate() {
            walker.step(super::walk::Step::Index(index), |walker| {
                self.at(walker, root, item, object)
            });
        }
        if LISTS.iter().any(|(list, _)| node.get(list).is_some()) {
            pod_spec::walk(walker, object, node, Trust::Listed);
        } else if node.get_str("image").is_some() {
            fields::container(walker, node, &about);
        } else {
            fields::image(walker, node, &about);
        }
    }

    /// The deepest map on the way to the image that holds what decides a pull, else `spec`.
    fn pod(&self, root: Node<'_>) -> String {
        let keys = self.path.iter().map_while(|part| match part {
            Part::Key(key) => Some(key.as_str()),
            _ => None,
        });
        let mut node = root;
        let (mut path, mut best) = (String::new(), "spec".to_owned());
        for key in keys {
            let Some(next) = node.get(key) else { break };
            node = next;
            path.push_str(if path.is_empty() { "" } else { "." });
            path.push_str(key);
            if node.get("imagePullSecrets").is_some() || node.get("serviceAccountName").is_some() {
                best.clone_from(&path);
            }
        }
        best
    }
}

impl PartKeys {
    fn all(&self) -> [&str; 4] {
        [&self.registry, &self.repository, &self.tag, &self.digest]
    }

    fn of<'d, 'k>(&'k self, node: Node<'d>) -> Parts<'d, 'k> {
        let part = |key: &'k str| split::Part::at(node, key);
        Parts {
            registry: part(&self.registry).map(|part| part.text.to_owned()),
            repository: part(&self.repository),
            tag: part(&self.tag),
            digest: part(&self.digest),
            fallback: None,
        }
    }
}
