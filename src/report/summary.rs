//! The last line of a report for people: what was looked at and what it came to. The levels are
//! counted from the headings, so that the line agrees with what stands above it.

use std::time::Duration;

use super::heading::{Heading, Level};
use super::{Report, Result, Summary};
use crate::diagnosis::{Diagnosis, Outcome};
use crate::policy::Action;

impl Summary {
    /// What the results count to; what only the run knows is left at nothing.
    pub fn of(results: &[Result]) -> Self {
        let count = |test: &dyn Fn(&Diagnosis) -> bool| {
            results.iter().filter(|result| test(&result.diagnosis)).count()
        };
        let acted = |action| results.iter().filter(|it| it.verdict.action == action).count();
        let ages = results.iter().filter_map(|result| result.diagnosis.age);
        Self {
            images: results.iter().filter(|result| result.names_an_image()).count(),
            pullable: count(&|it| it.outcome == Outcome::Pullable),
            own_only: count(&|it| it.outcome == Outcome::Pullable && it.pulls.is_none()),
            findings: count(&|it| matches!(it.outcome, Outcome::Finding { .. })),
            inconclusive: count(&|it| {
                matches!(it.outcome, Outcome::Inconclusive { .. })
                    && !it.never_pulled
                    && !it.is_placeholder
            }),
            never_pulled: count(&|it| it.never_pulled),
            deny: acted(Action::Deny),
            warn: acted(Action::Warn),
            cached: ages.clone().count(),
            oldest: ages.max(),
            platforms_asked: results.iter().any(|result| !result.wanted.is_empty()),
            ..Self::default()
        }
    }
}

/// The summary, without a line break.
pub fn line(report: &Report) -> String {
    let summary = &report.summary;
    let mut text = looked_at(summary.images, summary.files);
    text.push_str(": ");
    text.push_str(&came_to(report));
    if summary.offline {
        return text + "; nothing was asked (--offline)";
    }
    let requests = count(summary.requests, "request", "requests");
    text.push_str(&format!(" ({requests}, {})", seconds(summary.elapsed)));
    if let Some(oldest) = summary.oldest.filter(|_| summary.cached > 0) {
        let (cached, age) = (summary.cached, minutes(oldest));
        let answers = if cached == 1 { "an answer" } else { "answers up to" };
        text.push_str(&format!("; {cached} from {answers} {age} old (--refresh asks anew)"));
    }
    if !summary.platforms_asked && summary.images > 0 {
        text.push_str("; platforms not asked (--platform)");
    }
    text
}

fn looked_at(images: usize, files: usize) -> String {
    let images = match images {
        0 => "no images".to_owned(),
        some => count(some as u64, "image", "images"),
    };
    match files {
        0 => images,
        some => format!("{images} in {}", count(some as u64, "file", "files")),
    }
}

/// What it came to, such as `3 pullable, 1 error`.
pub(super) fn came_to(report: &Report) -> String {
    let summary = &report.summary;
    let levels: Vec<Level> = levels(report).collect();
    let of = |level| levels.iter().filter(|it| **it == level).count() as u64;
    let mut parts = Vec::new();
    if !summary.offline {
        parts.push(format!("{} pullable", summary.pullable.saturating_sub(summary.own_only)));
        if summary.own_only > 0 {
            parts.push(format!("{} pullable with your login only", summary.own_only));
        }
    }
    for (level, one, many) in [
        (Level::Error, "error", "errors"),
        (Level::Warning, "warning", "warnings"),
        (Level::Note, "note", "notes"),
    ] {
        if of(level) > 0 {
            parts.push(count(of(level), one, many));
        }
        let broken = broken(report, level);
        if broken > 0 {
            parts.push(count(broken, "broken file", "broken files"));
        }
    }
    if !summary.offline && summary.inconclusive > 0 {
        parts.push(format!("{} could not be judged", summary.inconclusive));
    }
    if !summary.offline && summary.never_pulled > 0 {
        parts.push(format!("{} never pulled", summary.never_pulled));
    }
    let waived = report.results.iter().filter(|it| it.is_waived());
    let (known, ignored): (Vec<_>, Vec<_>) = waived.partition(|it| {
        it.waived.iter().any(|waiver| waiver.rule == it.verdict.rule && waiver.is_of_baseline())
    });
    if !ignored.is_empty() {
        parts.push(format!("{} ignored", ignored.len()));
    }
    if !known.is_empty() {
        parts.push(format!("{} in the baseline", known.len()));
    }
    if parts.is_empty() {
        parts.push("nothing to complain of".to_owned());
    }
    parts.join(", ")
}

/// The level of everything that was said of images, and of the notes.
fn levels(report: &Report) -> impl Iterator<Item = Level> {
    let offline = report.summary.offline;
    let images = report.results.iter().filter(|it| it.broken.is_none());
    let headings = images.filter_map(move |it| Heading::of(it, offline));
    headings.map(|it| it.level).chain(report.notes.iter().map(|_| Level::Note))
}

/// How many texts do not parse and are told at this level: they are no images.
fn broken(report: &Report, level: Level) -> u64 {
    let offline = report.summary.offline;
    let broken = report.results.iter().filter(|it| it.broken.is_some());
    let headings = broken.filter_map(|it| Heading::of(it, offline));
    headings.filter(|heading| heading.level == level).count() as u64
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The age of an answer, in the largest unit that tells it.
fn minutes(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

fn seconds(elapsed: Duration) -> String {
    let tenths = (elapsed.as_millis() + 50) / 100;
    match elapsed.as_secs() {
        0..60 => format!("{}.{} s", tenths / 10, tenths % 10),
        whole => format!("{} min {} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Summary;

    fn said(summary: Summary) -> String {
        line(&Report { results: Vec::new(), notes: Vec::new(), summary })
    }

    #[test]
    fn plurals_are_right() {
        let one = Summary { images: 1, files: 1, pullable: 1, requests: 1, ..Summary::default() };
        let text =
            "1 image in 1 file: 1 pullable (1 request, 0.0 s); platforms not asked (--platform)";
        assert_eq!(said(one), text);
    }

    #[test]
    fn says_that_nothing_was_asked() {
        let summary =
            Summary { images: 3, files: 2, inconclusive: 3, offline: true, ..Summary::default() };
        let text = "3 images in 2 files: nothing to complain of; nothing was asked (--offline)";
        assert_eq!(said(summary), text);
    }

    #[test]
    fn long_runs_are_told_in_minutes() {
        let elapsed = Duration::from_secs(75);
        let text = "2 images: 2 pullable (4 requests, 1 min 15 s)";
        let summary =
            Summary { images: 2, pullable: 2, requests: 4, elapsed, ..Summary::default() };
        assert_eq!(said(Summary { platforms_asked: true, ..summary }), text);
    }
}
