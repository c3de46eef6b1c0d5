//! The changes a Pod is admitted with, as a JSON patch: images pinned to the digest that was seen, pull
//! secrets added. Each image is tested before it is replaced, since lists are addressed by index and
//! another webhook may have reordered them; a second pass over a changed Pod changes nothing.
//! Plain functions; RFC 6902 and 6901.

use std::collections::BTreeMap;

use serde::Serialize;

/// Keeps the images as they were written, by container.
pub const ORIGINAL_IMAGES: &str = "pullproof.dev/original-images";

/// An image to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// As `ImageUse` has it: `spec.containers[0].image`.
    pub path: String,
    /// The container or volume.
    pub name: String,
    pub from: String,
    pub to: String,
}

/// The changes to one Pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    pub pins: Vec<Pin>,
    /// Names of secrets to add.
    pub pull_secrets: Vec<String>,
}

/// What of the Pod decides how it is changed.
#[derive(Debug, Clone, Copy)]
pub struct Before<'a> {
    pub has_annotations: bool,
    /// The annotation as an earlier pass left it.
    pub original_images: Option<&'a str>,
    pub has_pull_secrets: bool,
}

#[derive(Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Operation {
    Test { path: String, value: serde_json::Value },
    Replace { path: String, value: serde_json::Value },
    Add { path: String, value: serde_json::Value },
}

impl Changes {
    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.pins.is_empty() && self.pull_secrets.is_empty()
    }

    /// The patch, serialised; `None` when there is nothing to change.
    pub fn to_patch(&self, before: Before<'_>) -> Option<Vec<u8>> {
        if self.is_empty() {
            return None;
        }
        let mut patch = Vec::new();
        for Pin { path, from, to, .. } in &self.pins {
            let path = pointer(path);
            patch.push(Operation::Test { path: path.clone(), value: from.as_str().into() });
            patch.push(Operation::Replace { path, value: to.as_str().into() });
        }
        if !self.pins.is_empty() {
            let value = self.originals(before.original_images).into();
            patch.push(if before.has_annotations {
                let key = ORIGINAL_IMAGES.replace('~', "~0").replace('/', "~1");
                Operation::Add { path: format!("/metadata/annotations/{key}"), value }
            } else {
                let value = serde_json::json!({ ORIGINAL_IMAGES: value });
                Operation::Add { path: "/metadata/annotations".to_owned(), value }
            });
        }
        let named = |name: &String| serde_json::json!({ "name": name });
        if before.has_pull_secrets {
            let path = "/spec/imagePullSecrets/-";
            patch.extend(
                self.pull_secrets
                    .iter()
                    .map(|name| Operation::Add { path: path.to_owned(), value: named(name) }),
            );
        } else if !self.pull_secrets.is_empty() {
            let value = self.pull_secrets.iter().map(named).collect();
            patch.push(Operation::Add { path: "/spec/imagePullSecrets".to_owned(), value });
        }
        Some(serde_json::to_vec(&patch).expect("strings and maps of strings always serialise"))
    }

    /// The annotation: what an earlier pass wrote stays, for that is what people wrote.
    fn originals(&self, earlier: Option<&str>) -> String {
        let mut images: BTreeMap<&str, &str> = BTreeMap::new();
        let earlier: BTreeMap<String, String> =
            earlier.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        images.extend(self.pins.iter().map(|pin| (&*pin.name, &*pin.from)));
        images.extend(earlier.iter().map(|(name, image)| (&**name, &**image)));
        serde_json::to_string(&images).expect("a map of strings always serialises")
    }
}

/// `spec.containers[0].image` as `/spec/containers/0/image`. The paths of Pod specs hold plain field
/// names alone, so nothing is escaped.
fn pointer(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 2);
    out.push('/');
    out.extend(
        path.chars().filter(|c| *c != ']').map(|c| if matches!(c, '.' | '[') { '/' } else { c }),
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn patched(mut pod: Value, changes: &Changes, before: Before<'_>) -> Value {
        let patch = changes.to_patch(before).unwrap();
        let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
        json_patch::patch(&mut pod, &patch).unwrap();
        pod
    }

    fn pin() -> Changes {
        Changes {
            pins: vec![Pin {
                path: "spec.initContainers[1].image".into(),
                name: "b".into(),
                from: "nginx:1".into(),
                to: "nginx:1@sha256:x".into(),
            }],
            pull_secrets: Vec::new(),
        }
    }

    const BARE: Before<'_> =
        Before { has_annotations: false, original_images: None, has_pull_secrets: false };

    #[test]
    fn a_pin_replaces_one_image_and_keeps_the_original() {
        let pod = json!({"metadata": {"name": "p"}, "spec": {"initContainers": [{"image": "a"}, {"image": "nginx:1"}]}});
        assert_eq!(
            patched(pod, &pin(), BARE),
            json!({"metadata": {"name": "p", "annotations": {ORIGINAL_IMAGES: r#"{"b":"nginx:1"}"#}},
                "spec": {"initContainers": [{"image": "a"}, {"image": "nginx:1@sha256:x"}]}})
        );
    }

    #[test]
    fn other_annotations_stay_and_the_first_original_wins() {
        let earlier = r#"{"a":"busybox:1","b":"older:1"}"#;
        let pod = json!({"metadata": {"annotations": {"k": "v", ORIGINAL_IMAGES: earlier}},
            "spec": {"initContainers": [{}, {"image": "nginx:1"}]}});
        let before = Before { has_annotations: true, original_images: Some(earlier), ..BARE };
        let pod = patched(pod, &pin(), before);
        assert_eq!(pod["metadata"]["annotations"], json!({"k": "v", ORIGINAL_IMAGES: earlier}));
    }

    #[test]
    fn a_moved_container_makes_the_whole_patch_fail() {
        let mut pod = json!({"metadata": {}, "spec": {"initContainers": [{"image": "nginx:1"}, {"image": "a"}]}});
        let patch: json_patch::Patch =
            serde_json::from_slice(&pin().to_patch(BARE).unwrap()).unwrap();
        assert!(json_patch::patch(&mut pod, &patch).is_err());
    }

    #[test]
    fn secrets_are_added_to_a_list_or_make_one() {
        let changes = Changes { pull_secrets: vec!["x".into(), "y".into()], pins: Vec::new() };
        let pod = patched(json!({"spec": {}}), &changes, BARE);
        assert_eq!(pod["spec"]["imagePullSecrets"], json!([{"name": "x"}, {"name": "y"}]));
        let before = Before { has_pull_secrets: true, ..BARE };
        let pod = patched(json!({"spec": {"imagePullSecrets": [{"name": "a"}]}}), &changes, before);
        assert_eq!(
            pod["spec"]["imagePullSecrets"],
            json!([{"name": "a"}, {"name": "x"}, {"name": "y"}])
        );
        assert_eq!(Changes::default().to_patch(BARE), None);
    }
}
