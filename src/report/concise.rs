//! One line a place, as compilers write it, for editors and `grep`.

use super::heading::{Heading, Level};
use super::{Report, Result, outside, place, summary};
use crate::diagnosis::Outcome;
use crate::manifest::Note;

/// The report with one line for each place of each result that is not plainly pullable.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    for result in &report.results {
        if let Some(heading) = Heading::of(result, report.summary.offline) {
            let said = format!("{}: {}{}", heading.label(), heading.title, hint(result));
            for place in place::all(result) {
                out.push_str(&format!("{place}: {said}\n"));
            }
        }
    }
    for note in &report.notes {
        out.push_str(&note_line(note));
    }
    out.push_str(&summary::line(report));
    out.push('\n');
    out
}

/// The first advice, where something is wrong.
fn hint(result: &Result) -> String {
    match (&result.diagnosis.outcome, result.diagnosis.advice.first()) {
        (Outcome::Finding { .. }, Some(advice)) => {
            format!("; {}", outside::sentence(advice.trim_end_matches('.')))
        }
        (Outcome::Finding { .. } | Outcome::Inconclusive { .. } | Outcome::Pullable, _) => {
            String::new()
        }
    }
}

/// A note on one line, with the line break.
pub(super) fn note_line(note: &Note) -> String {
    let place = place::of_note(note).map(|place| format!("{place}: ")).unwrap_or_default();
    let text = outside::sentence(&note.text);
    format!("{place}{}[{}]: {text}\n", Level::Note.word(), note.id)
}
