//! The generic walk: maps with containers, single containers, and objects inside objects.

use std::sync::Arc;

use super::{About, Object, Step, Walker};
use crate::image::Role;
use crate::manifest::fields;
use crate::manifest::pod_spec::{self, Trust};
use crate::manifest::yaml::Node;

impl<'d> Walker<'_, 'd> {
    /// Looks through an object; `status` tells what was, `metadata` what is said of it.
    pub fn guess(&mut self, node: Node<'d>, object: &Object) {
        let mut holds_containers = false;
        for (key, value) in node.entries() {
            let Some(key) = key.text() else { continue };
            if !matches!(key, "status" | "metadata") {
                holds_containers |= is_list(key) && value.items().any(pod_spec::is_container);
                self.guess_at(Step::Key(key), value, object);
            }
        }
        if holds_containers {
            pod_spec::walk(self, object, node, Trust::Guessed);
        }
    }

    /// Looks for maps that hold containers and for objects, at any depth.
    pub fn guess_below(&mut self, node: Node<'d>, object: &Object) {
        for (index, item) in node.items().enumerate() {
            self.guess_at(Step::Index(index), item, object);
        }
        // Every map of every document passes here: its keys are looked at once.
        let (mut named, mut holds_containers) = (0, false);
        for (key, value) in node.entries() {
            match key.text() {
                Some("apiVersion" | "kind") if value.as_str().is_some() => named += 1,
                Some("container") if value.is_mapping() => self.single(node, value, object),
                Some(key) if is_list(key) => {
                    holds_containers |= value.items().any(pod_spec::is_container);
                }
                _ => {}
            }
        }
        if named == 2 {
            return self.object(node, None);
        }
        for (key, value) in node.entries() {
            let Some(key) = key.text() else { continue };
            self.guess_at(Step::Key(key), value, object);
        }
        if holds_containers {
            pod_spec::walk(self, object, node, Trust::Guessed);
        }
    }

    fn guess_at(&mut self, step: Step<'d>, node: Node<'d>, object: &Object) {
        if node.text().is_none() {
            self.step(step, |walker| walker.guess_below(node, object));
        }
    }

    /// `container: {image: ..}`, as operators have it where there is only one.
    fn single(&mut self, parent: Node<'d>, value: Node<'d>, object: &Object) {
        let Some(image) = value.get("image") else { return };
        let Some(text) = fields::possible(image) else { return };
        let about = About {
            role: Role::Container,
            policy: pod_spec::policy(value, "imagePullPolicy"),
            workload: Arc::new(pod_spec::workload(object, parent)),
            guess: false,
        };
        self.add(text, image, &[Step::Key("container"), Step::Key("image")], about);
    }
}

fn is_list(key: &str) -> bool {
    pod_spec::LISTS.iter().any(|(list, _)| *list == key)
}
