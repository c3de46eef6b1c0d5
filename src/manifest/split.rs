//! Images whose parts stand in fields of their own, joined as charts and operators join them.
//!
//! The place of such an image is the value one would edit to get another image: the digest's if
//! there is one, else the tag's, else the repository's. Its text is the joined one.

use super::kinds::Keys;
use super::placeholder::{self, Text};
use super::walk::{About, Walker};
use super::yaml::Node;
use crate::image::Site;

/// The parts of an image, each with the key it stands at; what is empty or null is not there.
#[derive(Clone, Default)]
pub(super) struct Parts<'d, 'k> {
    pub registry: Option<String>,
    pub repository: Option<Part<'d, 'k>>,
    pub tag: Option<Part<'d, 'k>>,
    pub digest: Option<Part<'d, 'k>>,
    /// The tag where none is written beside the repository.
    pub fallback: Option<String>,
}

/// A value and its key, relative to the map with the parts.
#[derive(Clone, Copy)]
pub(super) struct Part<'d, 'k> {
    pub node: Node<'d>,
    pub key: &'k str,
    pub text: &'d str,
}

impl<'d, 'k> Part<'d, 'k> {
    /// The value at a path of keys, if it is a text and not empty.
    pub fn at(node: Node<'d>, key: &'k str) -> Option<Self> {
        let value = if key.is_empty() { None } else { node.at_path(key) }?;
        let text = value.as_str().filter(|text| !text.is_empty())?;
        Some(Self { node: value, key, text })
    }
}

impl<'d, 'k> Parts<'d, 'k> {
    /// The parts under some keys.
    pub fn of(node: Node<'d>, keys: &Keys) -> Parts<'d, 'static> {
        let Keys { registry, repository, tag, digest } = *keys;
        Parts {
            registry: Part::at(node, registry).map(|part| part.text.to_owned()),
            repository: Part::at(node, repository),
            tag: Part::at(node, tag),
            digest: Part::at(node, digest),
            fallback: None,
        }
    }

    /// The image, and the part that decides; nothing when a part is filled in later.
    pub fn join(&self) -> Option<(String, Part<'d, 'k>)> {
        let repository = self.repository?;
        let mut text = String::new();
        if let Some(registry) = self.registry.as_deref().map(|it| it.trim_end_matches('/')) {
            text.push_str(registry);
            text.push('/');
        }
        text.push_str(repository.text.trim_start_matches('/'));
        let mut site = repository;
        if placeholder::has_version(repository.text) {
            return is_whole(&text).then_some((text, site));
        }
        if let Some(tag) = self.tag {
            let mark = match tag.text {
                digest if digest.starts_with("sha256:") => "@",
                tag if tag.starts_with(['@', ':']) => "",
                _ => ":",
            };
            text.push_str(mark);
            text.push_str(tag.text);
            site = tag;
        }
        if let Some(digest) = self.digest {
            let bare = digest.text.trim_start_matches('@');
            text.push_str(if bare.contains(':') { "@" } else { "@sha256:" });
            text.push_str(bare);
            site = digest;
        }
        if let Some(tag) = self.fallback.as_deref().filter(|_| self.is_unversioned()) {
            text.push(':');
            text.push_str(tag);
        }
        is_whole(&text).then_some((text, site))
    }

    /// Whether neither a tag nor a digest is written.
    pub fn is_unversioned(&self) -> bool {
        let is_bare = self.repository.is_none_or(|it| !placeholder::has_version(it.text));
        self.tag.is_none() && self.digest.is_none() && is_bare
    }
}

/// Odd characters are a finding of their own; what something fills in is none.
fn is_whole(text: &str) -> bool {
    placeholder::classify(text) == Text::Reference
        && !placeholder::is_pattern(text)
        && !text.contains("://")
}

/// Adds the image of a map with parts, when it names a repository.
pub(super) fn add<'d>(
    walker: &mut Walker<'_, 'd>,
    node: Node<'d>,
    parts: &Parts<'d, '_>,
    about: &About,
) {
    let Some((text, site)) = parts.join() else { return };
    if let Some(tag) = parts.tag.filter(|tag| is_number_with_lost_zeros(tag.node)) {
        let said = format!("the tag {} is a number to YAML: quote it", tag.text);
        walker.note("numeric-tag", said, tag.node.line(), Some(&about.workload.object));
    }
    let (prefix, key) = (walker.path(&[]), site.key);
    let path = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
    debug_assert!(node.is_mapping());
    let place = Some(walker.place(site.node));
    walker.add_at(&text, Site { place, path }, about.clone());
}

/// `1.10` is 1.1 when a template engine writes it.
fn is_number_with_lost_zeros(node: Node<'_>) -> bool {
    let value = node.to_json();
    let rendered = value.to_string();
    value.is_number() && node.text().is_some_and(|text| rendered != text)
}
