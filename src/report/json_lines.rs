//! `pullproof.lines.v1`: one JSON object a line, each with a `type`: the results in the order of their
//! places, the notes, and the summary last, so that a reader knows whether it saw everything. The
//! fields are those of `pullproof.report.v1` and `pullproof.images.v1`.

use serde::Serialize;

use super::images::{ByImage, Image};
use super::json::{Answer, Note, Totals};
use super::{Report, Result, Summary, outside};
use crate::manifest::{self, Extraction};

const REPORT: &str = "pullproof.lines.v1";
const IMAGES: &str = "pullproof.images-lines.v1";

/// The report, a line each.
pub fn render(report: &Report) -> String {
    let results = report.results.iter().map(result);
    let lines = results.chain(report.notes.iter().map(note));
    lines.chain([summary(&report.summary)]).collect()
}

/// The line of one result.
pub fn result(result: &Result) -> String {
    line(REPORT, "result", &Answer::of(result))
}

/// The line of one note.
pub fn note(note: &manifest::Note) -> String {
    line(REPORT, "note", &Note::of(note))
}

/// The last line.
pub fn summary(summary: &Summary) -> String {
    line(REPORT, "summary", &Totals::of(summary))
}

/// A list of images, a line each, and the notes after them.
pub(super) fn images(images: ByImage<'_>, extraction: &Extraction) -> String {
    let images = images.into_iter().map(|image| line(IMAGES, "image", &Image::of(image)));
    let broken = extraction.broken.iter().map(Note::of_broken);
    let notes = broken.chain(extraction.notes.iter().map(Note::of));
    images.chain(notes.map(|note| line(IMAGES, "note", &note))).collect()
}

#[derive(Serialize)]
struct Line<'a, T> {
    schema: &'static str,
    r#type: &'static str,
    #[serde(flatten)]
    value: &'a T,
}

fn line(schema: &'static str, kind: &'static str, value: &impl Serialize) -> String {
    let line = Line { schema, r#type: kind, value };
    let json = serde_json::to_string(&line).expect("structs of strings and numbers");
    outside::escape_json(&json).into_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::{json, sample};

    #[test]
    fn b45_each_line_is_one_object_and_all_are_those_of_the_document() {
        let report = sample::report();
        let document: Value = serde_json::from_str(&json::render(&report)).unwrap();
        let mut lines: Vec<Value> =
            render(&report).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let kinds: Vec<String> = lines
            .iter_mut()
            .map(|line| {
                let line = line.as_object_mut().unwrap();
                assert_eq!(line.remove("schema").unwrap(), REPORT);
                line.remove("type").unwrap().as_str().unwrap().to_owned()
            })
            .collect();
        let of = |kind: &str| {
            let both = lines.iter().zip(&kinds);
            Value::from_iter(both.filter(|(_, own)| *own == kind).map(|(line, _)| line.clone()))
        };
        assert_eq!(of("result"), document["results"]);
        assert_eq!(of("note"), document["notes"]);
        assert_eq!(of("summary")[0], document["summary"]);
        assert_eq!(kinds.last().unwrap(), "summary");
    }
}
