//! `pullproof.baseline.v1`: findings of an earlier run that are known and allowed, so that only new
//! ones count. An entry names the image in its normal form, the cause, the object and the field, and
//! no file and no line: moving a manifest makes nothing new. Text in, text out.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::diagnosis::{Cause, Class, Diagnosis, Outcome};
use crate::image::ImageUse;
use crate::policy::Action;
use crate::report::{Report, Result as Answered};

const SCHEMA: &str = "pullproof.baseline.v1";

/// The findings that are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baseline {
    pub entries: BTreeSet<Entry>,
}

/// One finding that is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    pub spot: Spot,
    pub cause: Cause,
}

/// Where a finding is: an image in a field of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    /// The normal form, or the text as written where it is no reference; empty for a broken text.
    pub image: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
    /// The field; for a broken text its file.
    pub path: String,
}

impl Spot {
    /// The spot of a use.
    pub fn of(found: &ImageUse) -> Self {
        let object = &found.workload.object;
        let image = match &found.reference {
            Ok(reference) => reference.pull_ref(),
            Err(_) => found.text.clone(),
        };
        Self {
            image,
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            path: found.site.path.clone(),
        }
    }

    /// The spot of a text that does not parse.
    pub fn of_broken(file: &str) -> Self {
        let nothing = String::new();
        Self {
            image: nothing.clone(),
            kind: nothing.clone(),
            namespace: nothing.clone(),
            name: nothing,
            path: file.to_owned(),
        }
    }
}

/// Why a text is no baseline.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not a baseline: {0}")]
    Json(#[from] serde_json::Error),
    #[error("not a {SCHEMA}, but \"{0}\"")]
    Schema(String),
    #[error("\"{0}\" is no cause")]
    Cause(String),
}

#[derive(Serialize, Deserialize)]
struct Document {
    schema: String,
    #[serde(default)]
    entries: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    image: String,
    cause: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    path: String,
}

impl Baseline {
    /// Reads what [`text`](Self::text) wrote.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let document: Document = serde_json::from_str(text)?;
        if document.schema != SCHEMA {
            return Err(Error::Schema(crate::text::clean(&document.schema, 80)));
        }
        let mut entries = BTreeSet::new();
        for Row { image, cause, kind, namespace, name, path } in document.entries {
            let Ok(cause) = cause.parse() else {
                return Err(Error::Cause(crate::text::clean(&cause, 80)));
            };
            entries.insert(Entry { spot: Spot { image, kind, namespace, name, path }, cause });
        }
        Ok(Self { entries })
    }

    /// The findings of a report that a later run may know: those that are warned of or denied, what
    /// is unwise beside them, and those that an older baseline held. What is ignored is not among them.
    pub fn of(report: &Report) -> Self {
        let mut entries = BTreeSet::new();
        for result in &report.results {
            let causes = worth_knowing(result);
            for spot in spots(result) {
                entries
                    .extend(causes.iter().map(|cause| Entry { spot: spot.clone(), cause: *cause }));
            }
        }
        Self { entries }
    }

    /// The baseline as JSON: sorted, with a line break at the end.
    pub fn text(&self) -> String {
        let row = |entry: &Entry| {
            let Spot { image, kind, namespace, name, path } = entry.spot.clone();
            Row { image, cause: entry.cause.id().to_owned(), kind, namespace, name, path }
        };
        let entries = self.entries.iter().map(row).collect();
        crate::report::json_text(&Document { schema: SCHEMA.to_owned(), entries })
    }
}

fn spots(result: &Answered) -> Vec<Spot> {
    match &result.broken {
        Some(broken) => vec![Spot::of_broken(&broken.place.source.name)],
        None => result.uses.iter().map(Spot::of).collect(),
    }
}

fn worth_knowing(result: &Answered) -> Vec<Cause> {
    let is_waived = |cause: Cause| result.waived.iter().any(|waiver| waiver.cause == cause);
    let counts = result.verdict.action >= Action::Warn;
    let found = causes(&result.diagnosis).filter(|cause| counts && !is_waived(*cause));
    let known = result.waived.iter().filter(|waiver| waiver.is_of_baseline());
    found.chain(known.map(|waiver| waiver.cause)).collect()
}

/// What a baseline may allow of a diagnosis: a finding, and what is unwise beside any outcome.
pub fn causes(diagnosis: &Diagnosis) -> impl Iterator<Item = Cause> {
    let own = match diagnosis.outcome {
        Outcome::Finding { cause, .. } => Some(cause),
        Outcome::Inconclusive { .. } | Outcome::Pullable => None,
    };
    let beside = diagnosis.findings.iter().map(|listed| listed.cause);
    own.into_iter().chain(beside.filter(|cause| cause.class() == Class::Hygiene))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn what_is_written_is_read_back_and_is_sorted() {
        let baseline = Baseline::of(&sample::report());
        let text = baseline.text();
        insta::assert_snapshot!("baseline", text);
        assert_eq!(Baseline::parse(&text).unwrap(), baseline);
    }

    #[test]
    fn other_documents_are_refused() {
        let refused = |text: &str| Baseline::parse(text).unwrap_err().to_string();
        assert!(refused("[]").starts_with("not a baseline: "));
        let text = r#"{"schema":"pullproof.report.v1","entries":[]}"#;
        assert_eq!(refused(text), "not a pullproof.baseline.v1, but \"pullproof.report.v1\"");
        let text = r#"{"schema":"pullproof.baseline.v1","entries":[{"image":"a","cause":"b"}]}"#;
        assert_eq!(refused(text), "\"b\" is no cause");
        assert_eq!(
            Baseline::parse(r#"{"schema":"pullproof.baseline.v1"}"#).unwrap().entries.len(),
            0
        );
    }
}
