//! Images in the values of Helm charts, whose parts stand in maps of many spellings.
//!
//! What counts: a map with `repository` (or `name`, or `image`) and a tag, a digest or a registry
//! beside it; a key `image` or `..Image` with a whole image; `imageRepository` and `imageTag` side
//! by side; `hub` and `tag` for all of a chart. `global.imageRegistry` wins over `registry`, as the
//! charts that have it do. An image is no guess when its repository and its tag or digest are both
//! written in one map. Without a tag the chart's `appVersion` is taken, where it is known: a guess.

use std::sync::Arc;

use super::extract::Chart;
use super::placeholder::{has_registry, has_version, is_possible};
use super::pod_spec;
use super::split::{self, Part, Parts};
use super::walk::{About, Object, Step, Walker};
use super::yaml::Node;
use crate::image::Role;
use crate::image::usage::ObjectName;

const TAGS: [&str; 3] = ["tag", "imageTag", "image_tag"];
const DIGESTS: [&str; 5] = ["digest", "sha", "sha256", "imageDigest", "image_digest"];
const REGISTRIES: [&str; 3] = ["registry", "imageRegistry", "image_registry"];
/// Keys that stand beside a tag in a map about an image and nowhere else.
const SIGNS: [&str; 4] = ["pullPolicy", "imagePullPolicy", "pullSecrets", "imagePullSecrets"];

/// Whether a file is named as files with values are: `values.yaml`, `values-prod.yaml`,
/// `prod.values.yml`, or anything in a folder `values`.
pub(super) fn is_values_file(name: &str) -> bool {
    let mut parts = name.rsplit(['/', '\\']);
    let file = parts.next().unwrap_or(name).to_ascii_lowercase();
    let Some((stem, end)) = file.rsplit_once('.') else { return false };
    let is_yaml = matches!(end, "yaml" | "yml");
    let mut words = stem.split(['-', '_', '.']);
    is_yaml && (words.any(|word| word == "values") || parts.next() == Some("values"))
}

/// Adds the images of a file with values.
pub(super) fn file<'d>(walker: &mut Walker<'_, 'd>, root: Node<'d>) {
    let extractor = walker.extractor;
    let chart = extractor.chart.as_ref();
    let name = chart.map(|chart| chart.name.clone()).unwrap_or_default();
    let kind = "HelmValues".to_owned();
    let object =
        Object { name: ObjectName { kind, name, ..ObjectName::default() }, ..Object::default() };
    walk(walker, root, &object, chart);
}

/// Adds the images of a map with values.
pub(super) fn walk<'d>(
    walker: &mut Walker<'_, 'd>,
    root: Node<'d>,
    object: &Object,
    chart: Option<&Chart>,
) {
    let global = root.get("global").or_else(|| {
        root.entries().find_map(|(_, value)| value.get("global").filter(|it| it.is_mapping()))
    });
    let of = |path: &str| {
        global.and_then(|it| it.at_path(path)).and_then(Node::as_str).filter(|it| !it.is_empty())
    };
    let workload = Arc::new(pod_spec::workload(object, root));
    let mut values = Values {
        registry: of("imageRegistry").or_else(|| of("image.registry")),
        hub: of("hub"),
        tag: global.and_then(|global| Part::at(global, "tag")),
        chart,
        about: About { role: Role::Custom, policy: None, workload, guess: false },
    };
    values.map(walker, "", root);
}

/// Adds the image of a map that a field for images holds.
pub(super) fn image_map<'d>(walker: &mut Walker<'_, 'd>, node: Node<'d>, about: &About) {
    let mut values =
        Values { registry: None, hub: None, tag: None, chart: None, about: about.clone() };
    values.repository(walker, "image", node);
}

/// What holds for all maps of some values.
struct Values<'d, 'c> {
    registry: Option<&'d str>,
    hub: Option<&'d str>,
    tag: Option<Part<'d, 'static>>,
    chart: Option<&'c Chart>,
    about: About,
}

impl<'d> Values<'d, '_> {
    fn map(&mut self, walker: &mut Walker<'_, 'd>, key: &str, node: Node<'d>) {
        for (index, item) in node.items().enumerate() {
            walker.step(Step::Index(index), |walker| self.map(walker, key, item));
        }
        if !node.is_mapping() {
            return;
        }
        if node.get_str("apiVersion").is_some() && node.get_str("kind").is_some() {
            return walker.object(node, None);
        }
        let is_image = self.repository(walker, key, node);
        for (name, value) in node.entries() {
            let Some(name) = name.text() else { continue };
            if value.text().is_none() {
                walker.step(Step::Key(name), |walker| self.map(walker, name, value));
            } else if !is_image && is_image_key(name) {
                self.whole(walker, node, name, value);
            } else if let Some(prefix) = flat_prefix(name) {
                self.flat(walker, node, prefix, name);
            }
        }
    }

    /// A map about one image, named by a repository; true when it is one.
    fn repository(&mut self, walker: &mut Walker<'_, 'd>, key: &str, node: Node<'d>) -> bool {
        let named = is_image_key(key);
        let tag =
            first(node, &TAGS).or_else(|| if named { Part::at(node, "version") } else { None });
        let mut parts = Parts {
            registry: first(node, &REGISTRIES).map(|part| part.text),
            repository: Part::at(node, "repository").or_else(|| self.other_name(node, named)),
            tag,
            digest: first(node, &DIGESTS),
        };
        let Some(repository) = parts.repository else { return false };
        let has = |keys: &[&str]| keys.iter().any(|key| node.get(key).is_some());
        let is_about_images = named
            || has(&DIGESTS)
            || has(&SIGNS)
            || (has(&TAGS) && has(&REGISTRIES))
            || (has(&TAGS) && repository.key == "repository");
        if !is_about_images || !is_possible(repository.text) {
            return false;
        }
        parts.registry = self.registry.or(parts.registry);
        self.joined(walker, node, &parts);
        true
    }

    /// `image: {name: x, tag: y}`, and `{image: x, tag: y, registry: z}`.
    fn other_name(&self, node: Node<'d>, named: bool) -> Option<Part<'d, 'static>> {
        if named { Part::at(node, "name") } else { None }
    }

    /// A key that holds a whole image, or a name whose tag stands beside it.
    fn whole(
        &mut self,
        walker: &mut Walker<'_, 'd>,
        node: Node<'d>,
        key: &'d str,
        value: Node<'d>,
    ) {
        let Some(text) = value.as_str().filter(|_| value.as_bool().is_none()) else { return };
        if !is_possible(text) || !text.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            return;
        }
        let repository = Some(Part { node: value, key, text });
        let beside = |ends: &[&str]| beside(node, key, ends);
        let registry = beside(&["Registry", "_registry"]).or_else(|| first(node, &REGISTRIES));
        let mut parts = Parts {
            registry: registry.map(|part| part.text),
            repository,
            tag: beside(&["Tag", "_tag"]),
            digest: beside(&["Digest", "_digest"]),
        };
        if key == "image" {
            let version = if parts.registry.is_some() { Part::at(node, "version") } else { None };
            parts.tag = parts.tag.or_else(|| first(node, &TAGS)).or(version);
            parts.digest = parts.digest.or_else(|| first(node, &DIGESTS));
        }
        let hub = Part::at(node, "hub").map(|part| part.text).or(self.hub);
        if let Some(hub) = hub.filter(|_| key == "image" && !text.contains(['/', ':'])) {
            parts.registry = Some(hub);
            parts.tag = parts.tag.or(self.tag);
        }
        let is_image = has_version(text) || parts.tag.is_some() || parts.digest.is_some();
        let has_tag_key = node.get("tag").is_some() || parts.registry.is_some();
        if is_image || has_registry(text) || (key == "image" && has_tag_key) {
            self.joined(walker, node, &parts);
        }
    }

    /// `imageRepository`, `imageTag` and the like in one map, with something before them or not.
    fn flat(&mut self, walker: &mut Walker<'_, 'd>, node: Node<'d>, prefix: &str, key: &'d str) {
        let of = |end: &str| {
            let (name, value) = node.entries().find(|(name, _)| {
                name.text().and_then(|name| name.strip_prefix(prefix)) == Some(end)
            })?;
            let text = value.as_str().filter(|text| !text.is_empty())?;
            Some(Part { node: value, key: name.text()?, text })
        };
        let parts = Parts {
            registry: self.registry.or_else(|| of("Registry").map(|part| part.text)),
            repository: Part::at(node, key).filter(|part| is_possible(part.text)),
            tag: of("Tag"),
            digest: of("Digest"),
        };
        self.joined(walker, node, &parts);
    }

    fn joined(&mut self, walker: &mut Walker<'_, 'd>, node: Node<'d>, parts: &Parts<'d, 'd>) {
        let Some(repository) = parts.repository else { return };
        let mut about = self.about.clone();
        about.policy = pod_spec::policy(node, "pullPolicy")
            .or_else(|| pod_spec::policy(node, "imagePullPolicy"));
        if parts.tag.is_some() || parts.digest.is_some() || has_version(repository.text) {
            // A tag that stands elsewhere is this chart's own habit.
            about.guess = parts.tag.is_some_and(|tag| node.at_path(tag.key).is_none());
            return split::add(walker, node, parts, &about);
        }
        let Some(version) = self.chart.and_then(|chart| chart.app_version.as_deref()) else {
            let what = walker.path(&[Step::Key(repository.key)]);
            let text = format!("{what} has no tag here: the chart or its appVersion decides");
            let object = &about.workload.object;
            return walker.note("image-tag-unknown", text, repository.node.line(), Some(object));
        };
        let Some((text, _)) = parts.join() else { return };
        let more = [Step::Key(repository.key)];
        let guess = About { guess: true, ..about };
        walker.add(&format!("{text}:{version}"), repository.node, &more, guess);
    }
}

fn first<'d>(node: Node<'d>, keys: &[&'static str]) -> Option<Part<'d, 'static>> {
    keys.iter().find_map(|key| Part::at(node, key))
}

/// The value of a key made from another one: `sidecarImage` to `sidecarImageTag` or `sidecarTag`.
fn beside<'d>(node: Node<'d>, key: &str, ends: &[&str]) -> Option<Part<'d, 'd>> {
    let stem = key.strip_suffix("Image").or_else(|| key.strip_suffix("_image")).unwrap_or(key);
    node.entries().find_map(|(name, value)| {
        let name = name.text()?;
        let rest = name.strip_prefix(key).filter(|rest| ends.contains(rest));
        let is_beside =
            rest.is_some() || name.strip_prefix(stem).is_some_and(|rest| ends.contains(&rest));
        let text = value.as_str().filter(|text| is_beside && !text.is_empty())?;
        Some(Part { node: value, key: name, text })
    })
}

/// `image`, `mcImage`, `init_image`, and the names that say the same.
fn is_image_key(key: &str) -> bool {
    matches!(key, "image" | "imageName" | "image_name" | "dockerImage")
        || key.ends_with("Image")
        || key.ends_with("_image")
        || key.ends_with("-image")
}

/// What stands before `Repository` in a key such as `imageRepository`.
fn flat_prefix(key: &str) -> Option<&str> {
    key.strip_suffix("Repository").filter(|prefix| prefix.to_ascii_lowercase().ends_with("image"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_with_values_are_known_by_name() {
        for name in [
            "values.yaml",
            "a/values-prod.yml",
            "prod.values.yaml",
            "ci/x-values.yaml",
            "values/a.yaml",
            "my_values.YAML",
        ] {
            assert!(is_values_file(name), "{name}");
        }
        for name in
            ["value.yaml", "values", "values.json", "valuesx.yaml", "values/x/a.yaml", "a.yaml"]
        {
            assert!(!is_values_file(name), "{name}");
        }
    }
}
