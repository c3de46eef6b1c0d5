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
pub(super) fn file<'d>(walker: &mut Walker<'_, 'd>, root: Node<'d>, chart: Option<&Chart>) {
    let name = chart.map(|chart| chart.name.clone()).unwrap_or_default();
    let kind = "HelmValues".to_owned();
    let name = ObjectName { kind, name, ..ObjectName::default() };
    walk(walker, root, &Object { name, ..Object::default() }, chart);
}

/// Adds the images of a map with values.
pub(super) fn walk<'d>(
    walker: &mut Walker<'_, 'd>,
    root: Node<'d>,
    object: &Object,
    chart: Option<&Chart>,
) {
    let workload = Arc::new(pod_spec::workload(object, root));
    let mut values = Values {
        defaults: Defaults::of(root),
        chart,
        about: About { role: Role::Custom, policy: None, workload, guess: false },
    };
    values.map(walker, "", root);
}

/// Adds the image of a map that a field for images holds.
pub(super) fn image_map<'d>(walker: &mut Walker<'_, 'd>, node: Node<'d>, about: &About) {
    let mut values = Values { defaults: Defaults::default(), chart: None, about: about.clone() };
    values.repository(walker, "image", node);
}

/// What a chart says once for all of its images.
#[derive(Default)]
struct Defaults<'d> {
    /// `global.imageRegistry`, which wins over `registry`.
    forced: Option<&'d str>,
    /// `defaultImageRegistry` and `defaultImageRepository`, joined.
    name: Option<String>,
    /// Istio's `hub`.
    hub: Option<&'d str>,
    tag: Option<&'d str>,
}

impl<'d> Defaults<'d> {
    fn of(root: Node<'d>) -> Self {
        let global = root.get("global").or_else(|| {
            root.entries().find_map(|(_, value)| value.get("global").filter(|it| it.is_mapping()))
        });
        let text = |node: Option<Node<'d>>, path| {
            node.and_then(|it| it.at_path(path)?.as_str()).filter(|it| !it.is_empty())
        };
        let of = |key| text(Some(root), key);
        let name = [of("defaultImageRegistry"), of("defaultImageRepository")];
        let name: Vec<_> = name.into_iter().flatten().collect();
        Self {
            forced: text(global, "imageRegistry").or_else(|| text(global, "image.registry")),
            name: (!name.is_empty()).then(|| name.join("/")),
            hub: text(global, "hub"),
            tag: text(global, "tag").or_else(|| of("defaultImageTag")),
        }
    }
}

/// What holds for all maps of some values.
struct Values<'d, 'c> {
    defaults: Defaults<'d>,
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
        let version = if named { Part::at(node, "version") } else { None };
        let mut parts = Parts {
            registry: first(node, &REGISTRIES).map(|part| part.text.to_owned()),
            repository: Part::at(node, "repository"),
            tag: first(node, &TAGS).or(version),
            digest: first(node, &DIGESTS),
            fallback: None,
        };
        let name = if named { Part::at(node, "name") } else { None };
        if name.is_some() && node.get("repository").is_some() {
            self.in_default_repository(&mut parts);
            if node.get("tagPrefix").is_some() {
                return true; // the tag is made of the versions a chart knows
            }
        }
        parts.repository = name.or(parts.repository);
        let Some(repository) = parts.repository else { return false };
        let has = |keys: &[&str]| keys.iter().any(|key| node.get(key).is_some());
        let is_about_images = named
            || has(&DIGESTS)
            || has(&SIGNS)
            || (has(&TAGS) && (has(&REGISTRIES) || repository.key == "repository"));
        if !is_about_images || !is_possible(repository.text) {
            return false;
        }
        if let Some(forced) = self.defaults.forced {
            parts.registry = Some(forced.to_owned());
        }
        self.joined(walker, node, &parts);
        true
    }

    /// `name` stands below `repository`, which is often the same for all.
    fn in_default_repository(&self, parts: &mut Parts<'d, '_>) {
        let above = [parts.registry.as_deref(), parts.repository.map(|part| part.text)];
        let above: Vec<_> = above.into_iter().flatten().collect();
        let above = (!above.is_empty()).then(|| above.join("/"));
        parts.registry = above.or_else(|| self.defaults.name.clone());
        parts.fallback = self.defaults.tag.map(str::to_owned);
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
            registry: registry.map(|part| part.text.to_owned()),
            repository,
            tag: beside(&["Tag", "_tag"]),
            digest: beside(&["Digest", "_digest"]),
            fallback: None,
        };
        if key == "image" {
            let version = if parts.registry.is_some() { Part::at(node, "version") } else { None };
            parts.tag = parts.tag.or_else(|| first(node, &TAGS)).or(version);
            parts.digest = parts.digest.or_else(|| first(node, &DIGESTS));
        }
        let hub = Part::at(node, "hub").map(|part| part.text).or(self.defaults.hub);
        if let Some(hub) = hub.filter(|_| key == "image" && !text.contains(['/', ':'])) {
            parts.registry = Some(hub.to_owned());
            parts.fallback = self.defaults.tag.map(str::to_owned);
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
        let registry = self.defaults.forced.or_else(|| of("Registry").map(|part| part.text));
        let parts = Parts {
            registry: registry.map(str::to_owned),
            repository: Part::at(node, key).filter(|part| is_possible(part.text)),
            tag: of("Tag"),
            digest: of("Digest"),
            fallback: None,
        };
        self.joined(walker, node, &parts);
    }

    fn joined(&mut self, walker: &mut Walker<'_, 'd>, node: Node<'d>, parts: &Parts<'d, 'd>) {
        let Some(repository) = parts.repository else { return };
        let mut about = self.about.clone();
        about.policy = pod_spec::policy(node, "pullPolicy")
            .or_else(|| pod_spec::policy(node, "imagePullPolicy"));
        if parts.tag.is_some() || parts.digest.is_some() || has_version(repository.text) {
            return split::add(walker, node, parts, &about);
        }
        let version = self.chart.and_then(|chart| chart.app_version.clone());
        let fallback = parts.fallback.clone().or(version);
        if fallback.is_none() {
            let what = walker.path(&[Step::Key(repository.key)]);
            let text = format!("{what} has no tag here: the chart or its appVersion decides");
            let object = &about.workload.object;
            return walker.note("image-tag-unknown", text, repository.node.line(), Some(object));
        }
        // A tag that stands elsewhere is this chart's own habit.
        about.guess = true;
        split::add(walker, node, &Parts { fallback, ..parts.clone() }, &about);
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
    let prefix = key.strip_suffix("Repository")?;
    let is_image = prefix.to_ascii_lowercase().ends_with("image");
    (is_image && !prefix.starts_with("default")).then_some(prefix)
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
