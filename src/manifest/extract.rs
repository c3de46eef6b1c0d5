//! One text to an [`Extraction`]: every document is parsed and walked, a broken one is told apart
//! from a template and from a file that is no manifest at all. No I/O.

use std::borrow::Cow;
use std::sync::Arc;

use super::path;
use super::rules::{ExtractRule, Rule};
use super::walk::Walker;
use super::yaml::{Document, ParseError, Reader, repair};
use super::{Broken, Extraction, Note, ignore};
use crate::image::usage::{ObjectName, Place, Source};

/// Most times a text is read again for scalars that only kubectl accepts, and most bytes in all.
const REPAIRS: usize = 200;
const REPAIR_LIMIT: usize = 64 << 20;

/// How texts are read: the user's rules, and whether guesses are wanted.
#[derive(Debug, Clone, Default)]
pub struct Extractor {
    rules: Vec<Rule>,
    deep: bool,
}

/// What a chart says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chart {
    pub name: String,
    /// The tag that most charts take for an image without one.
    pub app_version: Option<String>,
}

impl Extractor {
    /// Follows these rules besides the catalogue; fails when a path can not be understood.
    pub fn with_rules(rules: Vec<ExtractRule>) -> Result<Self, path::Error> {
        let rules = rules.into_iter().map(Rule::new).collect::<Result<_, _>>()?;
        Ok(Self { rules, ..Self::default() })
    }

    /// Whether to guess at images in environment values, arguments and texts.
    #[must_use]
    pub fn deep(self, deep: bool) -> Self {
        Self { deep, ..self }
    }

    pub(super) fn is_deep(&self) -> bool {
        self.deep
    }

    pub(super) fn rules_for<'r>(&'r self, object: &ObjectName) -> impl Iterator<Item = &'r Rule> {
        self.rules.iter().filter(move |rule| rule.is_for(object))
    }

    /// Finds what one text holds, the chart known to whose values it may belong. Uses come in order
    /// of place.
    pub fn extract(&self, source: &Arc<Source>, chart: Option<&Chart>) -> Extraction {
        let (mut found, mut errors) = self.read(source, chart, &source.text);
        let mut text = Cow::Borrowed(source.text.as_str());
        for _ in 0..(REPAIR_LIMIT / text.len().max(1)).min(REPAIRS) {
            let Some(repaired) = repair::repair(&text, &errors) else { break };
            text = Cow::Owned(repaired);
            (found, errors) = self.read(source, chart, &text);
        }
        report(source, errors, &mut found);
        ignore::comments(source, &mut found);
        found.uses.sort_by_key(|found| found.site.place.as_ref().map(|place| place.span.start));
        found
    }

    /// Reads a text that is that of the source but for characters written over.
    fn read(
        &self,
        source: &Arc<Source>,
        chart: Option<&Chart>,
        text: &str,
    ) -> (Extraction, Vec<ParseError>) {
        let (mut found, mut errors) = (Extraction::default(), Vec::new());
        let annotated = text.contains(ignore::ANNOTATION);
        for document in Reader::new(text) {
            match document {
                Ok(document) => {
                    let before = (found.uses.len(), found.notes.len());
                    if Walker::new(source, &mut found, self, None).document(&document, chart) {
                        found.files = 1;
                        found.notes.extend(hygiene(source, &document));
                        if annotated {
                            ignore::annotations(source, &document, before, &mut found);
                        }
                    }
                }
                Err(error) => errors.push(error),
            }
        }
        (found, errors)
    }
}

impl Chart {
    /// Reads `Chart.yaml`.
    pub fn parse(text: &str) -> Option<Self> {
        let document = Reader::new(text).next()?.ok()?;
        let string = |key| document.root().get_str(key).filter(|text| !text.is_empty());
        Some(Self {
            name: string("name").unwrap_or_default().to_owned(),
            app_version: string("appVersion").map(str::to_owned),
        })
    }
}

/// Finds what one text holds, by the catalogue alone.
pub fn extract_source(source: &Arc<Source>) -> Extraction {
    Extractor::default().extract(source, None)
}

/// Keys written twice, anchors defined again.
fn hygiene(source: &Source, document: &Document<'_>) -> Vec<Note> {
    let duplicates = document.duplicates.iter().map(|it| {
        let text = format!("key \"{}\" is written twice, the last one counts", it.key);
        note(source, "duplicate-key", text, it.line)
    });
    let anchors = document.redefined.iter().map(|it| {
        let text = format!("anchor \"{}\" is defined again, aliases below mean this one", it.key);
        note(source, "anchor-redefined", text, it.line)
    });
    duplicates.chain(anchors).collect()
}

fn report(source: &Arc<Source>, mut errors: Vec<ParseError>, found: &mut Extraction) {
    let before = errors.len();
    let first = errors.first().map_or(1, |error| error.line);
    errors.retain(|error| !looks_like_template(document_text(&source.text, error.document)));
    if errors.len() < before {
        let text = "does not parse before it is rendered: a Helm template, skipped".to_owned();
        found.notes.push(note(source, "helm-template", text, first));
    }
    let Some(error) = errors.first() else { return };
    if !looks_like_manifest(&source.text) {
        let text = format!("not read as a manifest: {}", error.reason);
        found.notes.push(note(source, "unparsable-file", text, error.line));
        return;
    }
    found.broken.extend(errors.into_iter().map(|error| Broken {
        place: Place {
            source: Arc::clone(source),
            span: error.span,
            line: error.line,
            column: error.column,
        },
        reason: error.reason,
    }));
}

fn note(source: &Source, id: &'static str, text: String, line: usize) -> Note {
    Note { id, text, place: Some((source.name.clone(), line)), object: None }
}

/// Whether a text, which may be cut or broken, means to hold Kubernetes objects.
pub(super) fn looks_like_manifest(text: &str) -> bool {
    text.contains("\"apiVersion\"")
        || text.lines().any(|line| {
            let line = line.trim_start_matches(['\u{feff}', ' ', '\t', '-']);
            line.starts_with("apiVersion:") || line.starts_with("kind:")
        })
}

/// Braces where only a template has them. Alert rules and dashboards have `{{ $labels.x }}` inside
/// strings, and a mistake elsewhere in such a file has to stay a mistake.
fn looks_like_template(text: &str) -> bool {
    text.contains("{{")
        && (["{{-", "-}}", ": {{", "- {{", ".Values", ".Release", ".Chart"]
            .iter()
            .any(|mark| text.contains(mark))
            || text.lines().any(|line| line.trim_start().starts_with("{{")))
}

/// The text from the line with byte `at` to the next document.
fn document_text(text: &str, at: usize) -> &str {
    let start = text.get(..at).and_then(|before| before.rfind('\n')).unwrap_or_default();
    let rest = text.get(start..).unwrap_or_default().trim_start_matches("\n---");
    let end = rest.find("\n---").unwrap_or(rest.len());
    &rest[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_recognised_when_they_do_not_parse() {
        assert!(looks_like_manifest("x\n  kind: Pod\n"));
        assert!(looks_like_manifest("- apiVersion: v1\n"));
        assert!(looks_like_manifest("{\"apiVersion\": "));
        assert!(!looks_like_manifest("a: [\nmankind: x"));
    }

    #[test]
    fn alert_rules_are_no_templates() {
        assert!(!looks_like_template("summary: \"{{ $labels.pod }} is down\""));
        assert!(looks_like_template("{{- if .Values.x }}"));
        assert!(looks_like_template("image: {{ include \"x\" . }}"));
        assert!(!looks_like_template("a: b"));
    }
}
