//! `--deep`: images in texts that are no image fields. Environment values, arguments, annotations
//! and keys that end in `image`, and all texts of ConfigMaps, YAML and JSON in them included.
//! All of it is guessed: what counts has a registry's name and a tag or digest, or stands behind a
//! word that ends in `image` and has one of them.

use std::sync::Arc;

use super::embedded::{self, is_data};
use super::kinds;
use super::placeholder::{has_registry, has_version, is_likely};
use super::pod_spec;
use super::walk::{About, Object, Step, Walker};
use super::yaml::Node;
use crate::image::{Role, Site};

/// Longest text that is looked through.
const LONGEST: usize = 1 << 20;

/// Whether texts of this kind may name images that are pulled.
pub(super) fn reads(group: &str, kind: &str) -> bool {
    (group.is_empty() && kind == "ConfigMap")
        || !(group.is_empty() && kind == "Secret"
            || kinds::holds_no_images(group_version(group).as_str(), kind))
}

fn group_version(group: &str) -> String {
    if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") }
}

/// Adds the guesses of an object.
pub(super) fn walk<'d>(walker: &mut Walker<'_, 'd>, root: Node<'d>, object: &Object) {
    let workload = Arc::new(pod_spec::workload(object, root.get("spec").unwrap_or(root)));
    let about = About { role: Role::Custom, policy: None, workload, guess: true };
    let mut deep = Deep { about, all: is_data(object) };
    for (key, value) in root.entries() {
        let Some(key) = key.text().filter(|key| !matches!(*key, "status" | "sops" | "kind")) else {
            continue;
        };
        if key == "metadata" {
            deep.annotations(walker, value);
        } else {
            walker.step(Step::Key(key), |walker| deep.below(walker, key, value));
        }
    }
}

struct Deep {
    about: About,
    /// Whether every text counts.
    all: bool,
}

impl Deep {
    fn annotations<'d>(&mut self, walker: &mut Walker<'_, 'd>, metadata: Node<'d>) {
        let Some(annotations) = metadata.get("annotations") else { return };
        for (key, value) in annotations.entries() {
            let Some(key) = key.text().filter(|key| says_image(key)) else { continue };
            let path = [Step::Key("metadata"), Step::Key("annotations"), Step::Key(key)];
            self.text(walker, key, value, &path);
        }
    }

    fn below<'d>(&mut self, walker: &mut Walker<'_, 'd>, key: &str, node: Node<'d>) {
        if node.text().is_some() {
            if self.all || says_image(key) {
                self.text(walker, key, node, &[]);
            }
            return;
        }
        if node.get_str("apiVersion").is_some() && node.get_str("kind").is_some() {
            return; // an object of its own
        }
        for (index, item) in node.items().enumerate() {
            walker.step(Step::Index(index), |walker| match (key, item.text()) {
                ("args" | "command", Some(_)) => self.text(walker, "", item, &[]),
                ("env", _) => self.env(walker, item),
                _ => self.below(walker, key, item),
            });
        }
        for (name, value) in node.entries() {
            let Some(name) = name.text() else { continue };
            walker.step(Step::Key(name), |walker| match name {
                // What a build pushes is not pulled.
                "metadata" | "output" => {}
                _ => self.below(walker, name, value),
            });
        }
    }

    fn env<'d>(&mut self, walker: &mut Walker<'_, 'd>, item: Node<'d>) {
        if let Some(value) = item.get("value") {
            let name = item.get_str("name").unwrap_or_default();
            self.text(walker, name, value, &[Step::Key("value")]);
        }
    }

    /// Adds what looks like an image in a text; the first at the text's path, others with a number.
    fn text<'d>(
        &mut self,
        walker: &mut Walker<'_, 'd>,
        key: &str,
        node: Node<'d>,
        more: &[Step<'d>],
    ) {
        let Some(text) = node.as_str().filter(|text| text.len() <= LONGEST) else { return };
        let mut named = says_image(key);
        let mut nth = 0;
        for (at, word) in words(text) {
            let word = word.trim_end_matches([':', '.', ',']);
            let is_image = is_likely(word)
                && (named || (has_registry(word) && has_version(word)))
                && word.bytes().any(|byte| byte.is_ascii_lowercase());
            if is_image {
                let place = embedded::part(walker, node, at..at + word.len());
                let path = walker.path(more);
                let path = if nth == 0 { path } else { format!("{path}#{nth}") };
                nth += 1;
                walker.add_at(word, Site { place: Some(place), path }, self.about.clone());
            }
            if !word.is_empty() {
                named = says_image(word) || (nth == 0 && at == 0 && named && word == text);
            }
        }
    }
}

/// Words with the byte where each starts.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let ends = |c: char| c.is_whitespace() || "\"'`,;={}()<>|\\#".contains(c);
    text.split(ends).map(move |word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

/// Whether a key, a flag or a variable says that an image follows.
fn says_image(key: &str) -> bool {
    let key = key.trim_end_matches([':', '=']).to_ascii_lowercase();
    key.ends_with("image") || key.ends_with("images") || key.ends_with("_image_tag")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_their_places() {
        let text = "a=\"b c\"";
        let found: Vec<_> = words(text).filter(|(_, word)| !word.is_empty()).collect();
        assert_eq!(found, [(0, "a"), (3, "b"), (5, "c")]);
        assert!(says_image("RELATED_IMAGE") && says_image("--init-image") && says_image("image:"));
        assert!(!says_image("imagePolicy"));
    }
}
