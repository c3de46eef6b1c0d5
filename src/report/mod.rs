//! A report is one ordered list of results and notes. Each format is one file; each renders the
//! whole list, escapes what came from outside, and keeps the order. No I/O: text in, text out.

pub mod auth_check;
pub mod auth_plan;
mod concise;
pub mod diagnosis;
mod excerpt;
pub mod explain;
mod focus;
mod full;
mod heading;
pub mod images;
mod json;
mod json_lines;
mod markdown;
pub(crate) mod outside;
mod place;
pub mod quota;
mod summary;

#[cfg(test)]
pub(crate) mod sample;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use crate::diagnosis::{Cause, Diagnosis};
use crate::image::{ImageUse, Platform};
use crate::manifest::{Broken, Note};
use crate::policy::{Action, Verdict, Waiver};

/// Everything a run found, sorted by place.
#[derive(Debug)]
pub struct Report {
    pub results: Vec<Result>,
    pub notes: Vec<Note>,
    pub summary: Summary,
}

/// One question and its answer: an image, the credentials it is asked with, and all the places
/// that ask it; or a text that does not parse.
#[derive(Debug)]
pub struct Result {
    /// The image as first written; empty for a broken text.
    pub image: String,
    /// Sorted by file, line and column; empty for a broken text.
    pub uses: Vec<ImageUse>,
    /// The place of a text that does not parse.
    pub broken: Option<Broken>,
    pub diagnosis: Diagnosis,
    pub verdict: Verdict,
    /// Causes that do not count here, by an ignore or the baseline; sorted.
    pub waived: Vec<Waiver>,
    /// Platforms wanted, and where each wish came from, for example `--platform`.
    pub wanted: BTreeMap<Platform, String>,
}

impl Result {
    /// Why a cause does not count here; `None` where it does.
    pub fn waiver(&self, cause: Cause) -> Option<&Waiver> {
        self.waived.iter().find(|waiver| waiver.cause == cause)
    }

    /// Whether there is an image: a text that does not parse and a placeholder are none.
    pub fn names_an_image(&self) -> bool {
        self.broken.is_none() && !self.diagnosis.is_placeholder
    }

    /// Whether an ignore or the baseline turned this result's verdict to allow.
    pub fn is_waived(&self) -> bool {
        self.verdict.action == Action::Allow && !self.waived.is_empty()
    }
}

/// What the last line says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Distinct results that name an image.
    pub images: usize,
    pub files: usize,
    /// All that pull, also those that only a login of the person's own let in.
    pub pullable: usize,
    /// Of these, those that only a login of the person's own let in.
    pub own_only: usize,
    pub findings: usize,
    pub inconclusive: usize,
    /// Images that no node pulls (`imagePullPolicy: Never`, local names): nothing had to be told.
    pub never_pulled: usize,
    pub deny: usize,
    pub warn: usize,
    /// Images that an earlier run saw, from the disk cache.
    pub cached: usize,
    /// The age of the oldest of these.
    pub oldest: Option<Duration>,
    /// HTTP requests sent, token requests included.
    pub requests: u64,
    pub elapsed: Duration,
    /// Whether any result had platforms asked.
    pub platforms_asked: bool,
    pub offline: bool,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: the place, the line, what was asked and what to do.
    #[default]
    Full,
    /// One line a place.
    Concise,
    /// `pullproof.report.v1`.
    Json,
    /// `pullproof.lines.v1`: one JSON object a line.
    JsonLines,
    /// A comment for a pull request.
    Markdown,
}

impl Format {
    /// Every format, in the order of the help.
    pub const ALL: [Format; 5] =
        [Format::Full, Format::Concise, Format::Json, Format::JsonLines, Format::Markdown];

    /// The name used on the command line.
    pub fn id(self) -> &'static str {
        match self {
            Format::Full => "full",
            Format::Concise => "concise",
            Format::Json => "json",
            Format::JsonLines => "json-lines",
            Format::Markdown => "markdown",
        }
    }
}

impl FromStr for Format {
    type Err = ();

    fn from_str(id: &str) -> std::result::Result<Self, ()> {
        Self::ALL.into_iter().find(|format| format.id() == id).ok_or(())
    }
}

/// What the reader's screen can show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    pub colour: bool,
    /// Columns of the terminal; `None` when there is none.
    pub width: Option<usize>,
}

impl Options {
    /// Width where no terminal tells one.
    pub const WIDTH: usize = 120;
    /// Source lines are not cut shorter than this.
    const NARROWEST: usize = 40;
}

/// Pretty-printed JSON with a line break at the end, its strings fit to be shown.
pub fn json_text(value: &impl serde::Serialize) -> String {
    json::document(value)
}

/// The whole report in one format, with a line break at the end.
pub fn render(report: &Report, format: Format, options: &Options) -> String {
    match format {
        Format::Full => full::render(report, options),
        Format::Concise => concise::render(report),
        Format::Json => json::render(report),
        Format::JsonLines => json_lines::render(report),
        Format::Markdown => markdown::render(report),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::{Outcome, Reason};
    use crate::text;

    fn sample(format: Format) -> String {
        render(&sample::report(), format, &Options::default())
    }

    #[test]
    fn full_shows_every_kind_of_result() {
        insta::assert_snapshot!("full", sample(Format::Full));
    }

    #[test]
    fn concise_shows_every_kind_of_result() {
        insta::assert_snapshot!("concise", sample(Format::Concise));
    }

    #[test]
    fn json_shows_every_kind_of_result() {
        insta::assert_snapshot!("json", sample(Format::Json));
    }

    #[test]
    fn json_lines_shows_every_kind_of_result() {
        insta::assert_snapshot!("json-lines", sample(Format::JsonLines));
    }

    #[test]
    fn markdown_shows_every_kind_of_result() {
        insta::assert_snapshot!("markdown", sample(Format::Markdown));
    }

    #[test]
    fn every_format_is_documented_by_example() {
        let page = include_str!("../../docs/formats.md");
        for format in Format::ALL {
            let heading = format!("\n## `-o {}`\n", format.id());
            assert!(page.contains(&heading), "{format:?}");
        }
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let options = Options { colour: true, width: None };
        let coloured = render(&sample::report(), Format::Full, &options);
        let stripped = anstream::adapter::strip_str(&coloured).to_string();
        assert_eq!(stripped, sample(Format::Full));
        assert_ne!(coloured, stripped);
    }

    #[test]
    fn a_narrow_terminal_cuts_source_lines_and_nothing_else() {
        let options = Options { colour: false, width: Some(60) };
        let narrow = render(&sample::report(), Format::Full, &options);
        let line = narrow.lines().find(|it| it.starts_with("1 |") && it.contains(":nope")).unwrap();
        assert!(line.chars().count() <= 60, "{line}");
        assert!(narrow.contains("MANIFEST_UNKNOWN; the repository is readable"));
    }

    #[test]
    fn a_digest_is_marked_within_a_narrow_terminal() {
        let mut report = sample::report();
        report.results.truncate(1);
        let image = format!("nginx@{}", sample::DIGEST);
        let source = sample::source("a.yaml", &format!("spec: {{image: {image}}}\n"));
        let place = sample::place(&source, &image);
        let web = sample::workload("Deployment", "web");
        report.results[0].uses = vec![sample::image_use(&image, Some(place), web)];
        report.results[0].diagnosis.outcome = Outcome::Finding {
            cause: Cause::DigestNotFound,
            certainty: crate::diagnosis::Certainty::Certain,
        };
        for width in [50, 60, 80] {
            let text =
                render(&report, Format::Full, &Options { colour: false, width: Some(width) });
            let drawn = text.lines().skip(2).take(3);
            let widest = drawn.map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{text}");
            assert!(text.contains("^^^^^^^^^^ ") || text.contains("^ no such tag"), "{text}");
        }
    }

    #[test]
    fn an_alias_is_no_further_place() {
        let mut report = sample::report();
        report.results.truncate(1);
        let twice = report.results[0].uses[0].clone();
        report.results[0].uses.push(twice);
        let text = render(&report, Format::Full, &Options::default());
        assert!(!text.contains("more place") && !text.contains("= also"), "{text}");
        let lines = render(&report, Format::Concise, &Options::default());
        assert_eq!(lines.lines().count(), 1 + report.notes.len() + 1, "{lines}");
    }

    #[test]
    fn offline_images_that_were_not_asked_about_are_not_listed_one_by_one() {
        let mut report = sample::report();
        let not_asked = Outcome::Inconclusive { reason: Reason::NotAsked };
        report.results.retain(|it| it.image == "nginx:1.27.4");
        report.results[0].diagnosis.outcome = not_asked;
        report.summary.offline = true;
        let text = render(&report, Format::Concise, &Options::default());
        assert!(!text.contains("not-asked"), "{text}");
        report.summary.offline = false;
        let text = render(&report, Format::Concise, &Options::default());
        assert!(text.contains("could not tell[not-asked]"), "{text}");
    }

    #[test]
    fn b42_b45_no_format_lets_outside_text_drive_a_terminal_or_a_ci_system() {
        for format in Format::ALL {
            let text = sample(format);
            assert!(!text.contains(|c| c != '\n' && text::is_unsafe(c)), "{format:?}");
            assert!(!text.contains("##[") && !text.contains("##vso["), "{format:?}");
            for line in text.lines() {
                assert!(!line.trim_start().starts_with("::"), "{format:?}: {line}");
                let is_whole = format == Format::JsonLines;
                assert!(is_whole || line.chars().count() < 2000, "{format:?}: {line}");
            }
        }
    }

    #[test]
    fn b42_a_message_of_a_megabyte_is_cut_for_people() {
        let mut report = sample::report();
        report.results.truncate(1);
        let diagnosis = &mut report.results[0].diagnosis;
        let text = "x".repeat(1 << 20);
        diagnosis.evidence[0].text = text.clone();
        diagnosis.advice = vec![text.clone(); 2];
        (diagnosis.summary, diagnosis.label) = (text.clone(), text);
        for format in [Format::Full, Format::Concise, Format::Markdown] {
            assert!(render(&report, format, &Options::default()).len() < 10_000, "{format:?}");
        }
    }

    #[test]
    fn every_format_has_a_name_that_is_read_back() {
        for format in Format::ALL {
            assert_eq!(format.id().parse(), Ok(format));
        }
    }
}
