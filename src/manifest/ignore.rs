//! Ignores in manifests: the comment `# pullproof: ignore[cause, ...] reason` on an image's line or
//! above it, and the annotation `pullproof.dev/ignore` of an object or its Pod template. Texts that
//! hold neither word cost one search; of the others only the lines with the word are read.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::walk::{Step, written};
use super::yaml::{Document, Node};
use super::{Extraction, Note};
use crate::diagnosis::Cause;
use crate::image::ImageUse;
use crate::image::usage::Source;
use crate::text::clean;

/// The annotation that names causes to ignore, separated by commas.
pub const ANNOTATION: &str = "pullproof.dev/ignore";
/// What begins a comment that speaks to us.
const MARK: &str = "pullproof:";

/// One cause that is not to count somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignore {
    pub cause: Cause,
    /// As written after the brackets; empty when there is none.
    pub reason: String,
    /// The file, and the line the ignore stands on.
    pub place: (String, usize),
    pub scope: Scope,
}

/// Which uses of the same file an ignore speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Those on this line.
    Line(usize),
    /// Those on these lines (of one document) whose field lies below this path.
    Object { lines: Option<RangeInclusive<usize>>, path: String },
}

impl Ignore {
    /// Whether the ignore speaks of this use.
    pub fn covers(&self, found: &ImageUse) -> bool {
        let Some(place) = &found.site.place else { return false };
        if place.source.name != self.place.0 {
            return false;
        }
        match &self.scope {
            Scope::Line(line) => place.line == *line,
            Scope::Object { lines, path } => {
                lines.as_ref().is_some_and(|lines| lines.contains(&place.line))
                    && is_below(&found.site.path, path)
            }
        }
    }

    /// Whether the ignore speaks of a note that has the cause's id.
    pub fn covers_note(&self, note: &Note) -> bool {
        let Some((file, line)) = &note.place else { return false };
        note.id == self.cause.id()
            && *file == self.place.0
            && match &self.scope {
                Scope::Line(own) => own == line,
                Scope::Object { lines, .. } => {
                    lines.as_ref().is_some_and(|lines| lines.contains(line))
                }
            }
    }
}

fn is_below(path: &str, parent: &str) -> bool {
    match path.strip_prefix(parent) {
        Some(rest) => parent.is_empty() || rest.starts_with(['.', '[']),
        None => false,
    }
}

/// Adds the ignores of a document's annotations. Before it there were so many uses and notes.
pub(super) fn annotations(
    source: &Arc<Source>,
    document: &Document<'_>,
    (uses, notes): (usize, usize),
    found: &mut Extraction,
) {
    let mut seen = Vec::new();
    search(document.root(), &mut Vec::new(), &mut seen);
    let spoken_of = lines(&found.uses[uses..], &found.notes[notes..], source);
    let range = spoken_of.first().copied().zip(spoken_of.last().copied());
    for (node, path) in seen {
        let line = node.line();
        let scope = Scope::Object { lines: range.map(|(from, to)| from..=to), path };
        let Some(list) = node.as_str() else {
            found.notes.push(bad(source, line, "the annotation is no text".to_owned()));
            continue;
        };
        add(source, line, list, "annotation pullproof.dev/ignore", &scope, found);
    }
}

/// Every annotation of ours, with the path of the object or template it belongs to.
fn search<'d>(node: Node<'d>, path: &mut Vec<Step<'d>>, seen: &mut Vec<(Node<'d>, String)>) {
    let annotations = node.get("metadata").and_then(|metadata| metadata.get("annotations"));
    if let Some(value) = annotations.and_then(|annotations| annotations.get(ANNOTATION)) {
        seen.push((value, written(String::new(), path.iter())));
    }
    for (index, item) in node.items().enumerate() {
        path.push(Step::Index(index));
        search(item, path, seen);
        path.pop();
    }
    for (key, value) in node.entries() {
        let Some(key) = key.text() else { continue };
        path.push(Step::Key(key));
        search(value, path, seen);
        path.pop();
    }
}

/// Adds the ignores of a text's comments; its uses and notes are all there.
pub(super) fn comments(source: &Arc<Source>, found: &mut Extraction) {
    let text = &source.text;
    if !text.contains(MARK) || is_json(source) {
        return;
    }
    let spoken_of = lines(&found.uses, &found.notes, source);
    let (mut line, mut counted) = (1, 0);
    for (at, _) in text.match_indices(MARK) {
        line += text[counted..at].matches('\n').count();
        counted = at;
        let Some((stands_alone, directive)) = comment(text, at) else { continue };
        let Some(rest) = directive.strip_prefix("ignore") else { continue };
        let target = match stands_alone {
            true => line + lines_down(&text[at..]),
            false if spoken_of.contains(&line) => line,
            false => line + 1,
        };
        let Some((list, reason)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        else {
            let text = "an ignore names its causes: `# pullproof: ignore[tag-not-found] why`, so nothing is ignored here";
            found.notes.push(bad(source, line, text.to_owned()));
            continue;
        };
        add(source, line, list, reason.trim(), &Scope::Line(target), found);
    }
}

fn add(
    source: &Source,
    line: usize,
    list: &str,
    reason: &str,
    scope: &Scope,
    found: &mut Extraction,
) {
    let names: Vec<&str> = list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        let text = "an ignore that names no cause, so nothing is ignored here";
        found.notes.push(bad(source, line, text.to_owned()));
    }
    for name in names {
        match name.parse() {
            Ok(cause) => found.ignores.push(Ignore {
                cause,
                reason: reason.to_owned(),
                place: (source.name.clone(), line),
                scope: scope.clone(),
            }),
            Err(()) => {
                let text = format!(
                    "\"{}\" is no cause that could be ignored (`pullproof explain` lists them)",
                    clean(name, 60)
                );
                found.notes.push(bad(source, line, text));
            }
        }
    }
}

/// The lines of a source that something could be ignored on.
fn lines(uses: &[ImageUse], notes: &[Note], source: &Source) -> BTreeSet<usize> {
    let of_uses = uses.iter().filter_map(|found| found.site.place.as_ref()).map(|place| place.line);
    let of_notes = notes.iter().filter_map(|note| note.place.as_ref());
    of_uses
        .chain(of_notes.filter(|(file, _)| *file == source.name).map(|(_, line)| *line))
        .collect()
}

/// The comment that begins with a mark at this byte: whether it has its line to itself, and what
/// follows the mark. `None` when the mark stands elsewhere.
fn comment(text: &str, at: usize) -> Option<(bool, &str)> {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let before = text[start..at].trim_end_matches([' ', '\t']).strip_suffix('#')?;
    let before = before.trim_end_matches('#');
    let is_comment = before.is_empty() || before.ends_with([' ', '\t']);
    let rest = &text[at + MARK.len()..];
    let rest = rest.split('\n').next().unwrap_or_default().trim();
    is_comment.then_some((before.trim().is_empty(), rest))
}

/// How many lines below a comment the next line stands that is none.
fn lines_down(text: &str) -> usize {
    let below = text.split('\n').skip(1);
    1 + below.take_while(|line| line.trim_start().starts_with('#')).count()
}

/// JSON has no comments, and what looks like one stands in a string.
fn is_json(source: &Source) -> bool {
    source.name.ends_with(".json") || source.text.trim_start().starts_with('{')
}

fn bad(source: &Source, line: usize, text: String) -> Note {
    Note { id: "bad-ignore", text, place: Some((source.name.clone(), line)), object: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::extract_source;

    fn extracted(text: &str) -> Extraction {
        extract_source(&Arc::new(Source { name: "pod.yaml".into(), text: text.into() }))
    }

    fn pod(lines: &str) -> Extraction {
        extracted(&format!("apiVersion: v1\nkind: Pod\nspec:\n  containers:\n{lines}"))
    }

    /// Cause, reason, own line and the images covered.
    fn told(found: &Extraction) -> Vec<String> {
        let images = |ignore: &Ignore| {
            let covered = found.uses.iter().filter(|it| ignore.covers(it));
            covered.map(|it| it.text.as_str()).collect::<Vec<_>>().join("+")
        };
        let line =
            |it: &Ignore| format!("{} {} [{}] {}", it.place.1, it.cause, it.reason, images(it));
        found.ignores.iter().map(line).collect()
    }

    #[test]
    fn a_comment_speaks_of_its_line_or_the_next() {
        let found = pod("  - image: a # pullproof: ignore[latest-tag] a demo\n\
                         \x20   name: x # pullproof: ignore[unpinned]\n\
                         \x20 - image: b # pullproof: other\n\
                         \x20 # pullproof: ignore[tag-not-found, latest-tag] made by\r\n\
                         \x20 # the release\n\
                         \x20 - image: c\n");
        let lines = [
            "5 latest-tag [a demo] a",
            "6 unpinned [] b",
            "8 tag-not-found [made by] c",
            "8 latest-tag [made by] c",
        ];
        assert_eq!(told(&found), lines);
        assert!(found.notes.is_empty(), "{:?}", found.notes);
    }

    #[test]
    fn an_ignore_that_names_no_known_cause_is_refused() {
        let found = pod("  - image: a # pullproof: ignore\n\
                         \x20 - image: b # pullproof: ignore[]\n\
                         \x20 - image: c # pullproof: ignore[tag] later\n\
                         \x20 - image: d # pullproof: ignore latest-tag\n");
        assert!(found.ignores.is_empty());
        let notes = found.notes.iter().map(|it| (it.id, it.place.as_ref().map_or(0, |it| it.1)));
        let lines = [5, 6, 7, 8].map(|line| ("bad-ignore", line));
        assert_eq!(notes.collect::<Vec<_>>(), lines);
        assert!(found.notes[2].text.contains("\"tag\" is no cause"), "{:?}", found.notes[2]);
    }

    #[test]
    fn what_is_no_comment_ignores_nothing() {
        let found = pod("  - image: a#pullproof: ignore[latest-tag]\n\
                         \x20 - {image: b, x: \"y# pullproof: ignore[latest-tag]\"}\n");
        assert_eq!(told(&found), Vec::<String>::new());
        let json = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"spec\":{\"containers\":[{\"image\":\"a\",\"name\":\" # pullproof: ignore[latest-tag]\"}]}}";
        assert_eq!(told(&extracted(json)), Vec::<String>::new());
    }

    #[test]
    fn an_annotation_speaks_of_the_images_below_it() {
        let template = "    metadata: {annotations: {pullproof.dev/ignore: \"unpinned\"}}\n";
        let deployment = |name: &str, own: &str, template: &str| {
            format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n{own}spec:\n  template:\n{template}    spec:\n      containers:\n      - image: {name}\n"
            )
        };
        let own = "  annotations:\n    pullproof.dev/ignore: latest-tag, tag-not-found,\n";
        let text =
            [deployment("a", own, ""), deployment("b", "", template), deployment("c", "", "")];
        let found = extracted(&text.join("---\n"));
        let reason = "[annotation pullproof.dev/ignore]";
        let lines = [
            format!("6 latest-tag {reason} a"),
            format!("6 tag-not-found {reason} a"),
            format!("19 unpinned {reason} b"),
        ];
        assert_eq!(told(&found), lines);
    }

    #[test]
    fn an_annotation_in_a_list_speaks_of_its_item() {
        let item = |name: &str, notes: &str| {
            format!(
                "{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{{{notes}}},\"spec\":{{\"containers\":[{{\"image\":\"{name}\"}}]}}}}"
            )
        };
        let annotated = item("a", "\"annotations\":{\"pullproof.dev/ignore\":\"latest-tag, x\"}");
        let items = [item("b", ""), annotated].join(",");
        let found =
            extracted(&format!("{{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{items}]}}"));
        assert_eq!(told(&found), ["1 latest-tag [annotation pullproof.dev/ignore] a"]);
        assert_eq!(found.notes[0].id, "bad-ignore");
    }
}
