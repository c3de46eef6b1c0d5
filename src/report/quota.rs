//! What is left of a registry's pull limit: a table for people, `pullproof.quota.v1` for programs.

use std::time::Duration;

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::outside;
use crate::diagnosis::evidence::Quota;

/// The answers of one registry.
#[derive(Debug)]
pub struct Quotas {
    pub registry: String,
    /// The image whose headers were read.
    pub image: String,
    pub answers: Vec<Answer>,
}

/// What one caller was told.
#[derive(Debug)]
pub struct Answer {
    /// User and source of the login; `None` without one.
    pub credential: Option<(String, String)>,
    pub quota: Quota,
    /// Why nothing was told, or why nothing is left.
    pub error: Option<String>,
}

impl Answer {
    /// Whether fewer pulls are left than this.
    pub fn is_below(&self, few: u64) -> bool {
        self.quota.remaining.is_some_and(|remaining| remaining < few)
    }

    fn who(&self) -> String {
        match &self.credential {
            Some((user, source)) => outside::first(&format!("{user} ({source})")),
            None => "without login".to_owned(),
        }
    }
}

/// The answers as a table, then what is scarce.
pub fn text(quotas: &Quotas, few: u64) -> String {
    let mut rows = vec![["WHO", "LIMIT", "LEFT", "COUNTED FOR"].map(str::to_owned)];
    rows.extend(quotas.answers.iter().map(row));
    let width = |at: usize| rows.iter().map(|row| row[at].width()).max().unwrap_or_default();
    let widths = [width(0), width(1), width(2)];
    let mut out = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths);
        let padded =
            cells.map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.width())));
        let line = padded.collect::<Vec<_>>().join("  ") + "  " + &row[3];
        out.push_str(line.trim_end());
        out.push('\n');
    }
    let scarce: Vec<&Answer> = quotas.answers.iter().filter(|it| it.is_below(few)).collect();
    if !scarce.is_empty() {
        out.push('\n');
    }
    for answer in &scarce {
        let left = answer.quota.remaining.unwrap_or_default();
        out.push_str(&format!("warning: {left} left {}, fewer than {few}\n", by(answer)));
    }
    if scarce.iter().any(|answer| answer.credential.is_none()) {
        out.push_str("help: log in, also on the nodes: pulls without a login share the limit of their address\n");
    }
    out
}

fn by(answer: &Answer) -> String {
    match &answer.credential {
        Some(_) => format!("for {}", answer.who()),
        None => answer.who(),
    }
}

fn row(answer: &Answer) -> [String; 4] {
    let Quota { limit, remaining, window, source } = &answer.quota;
    let limit = match (limit, window) {
        (Some(limit), Some(window)) => format!("{limit} in {}", span(*window)),
        (Some(limit), None) => limit.to_string(),
        (None, _) if answer.error.is_some() => "?".to_owned(),
        (None, _) => "none told".to_owned(),
    };
    let left = match remaining {
        Some(remaining) => remaining.to_string(),
        None if answer.error.is_some() => "?".to_owned(),
        None => "-".to_owned(),
    };
    let told = answer.error.as_ref().or(source.as_ref());
    [answer.who(), limit, left, told.map(|told| outside::sentence(told)).unwrap_or_default()]
}

fn span(window: Duration) -> String {
    match window.as_secs() {
        seconds if seconds > 0 && seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        seconds if seconds > 0 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

/// `pullproof.quota.v1`.
pub fn json(quotas: &Quotas) -> String {
    super::json_text(&Document {
        schema: "pullproof.quota.v1",
        registry: &quotas.registry,
        image: &quotas.image,
        answers: quotas.answers.iter().map(Told::of).collect(),
    })
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    registry: &'a str,
    image: &'a str,
    answers: Vec<Told<'a>>,
}

#[derive(Serialize)]
struct Told<'a> {
    credential: Option<Credential<'a>>,
    limit: Option<u64>,
    remaining: Option<u64>,
    window_seconds: Option<u64>,
    source: Option<&'a str>,
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct Credential<'a> {
    user: &'a str,
    source: &'a str,
}

impl<'a> Told<'a> {
    fn of(answer: &'a Answer) -> Self {
        let Quota { limit, remaining, window, source } = &answer.quota;
        let credential = answer.credential.as_ref();
        Self {
            credential: credential.map(|(user, source)| Credential { user, source }),
            limit: *limit,
            remaining: *remaining,
            window_seconds: window.map(|window| window.as_secs()),
            source: source.as_deref(),
            error: answer.error.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::HOSTILE;
    use crate::text;

    fn sample() -> Quotas {
        let window = Some(Duration::from_secs(21_600));
        let told = |credential: Option<&str>, limit, remaining, source: Option<&str>| Answer {
            credential: credential
                .map(|user| (user.to_owned(), "docker config ci.json".to_owned())),
            quota: Quota { limit, remaining, window, source: source.map(str::to_owned) },
            error: None,
        };
        let failed = |user: &str, error: &str, remaining| Answer {
            credential: Some((user.to_owned(), HOSTILE.to_owned())),
            quota: Quota { remaining, ..Quota::default() },
            error: Some(error.to_owned()),
        };
        let answers = vec![
            told(None, Some(100), Some(7), Some("203.0.113.7")),
            told(Some("ci-bot"), Some(200), Some(20), None),
            told(Some("paid"), None, None, None),
            failed("old", "auth.docker.io: 401 the token service refuses the login", None),
            failed(HOSTILE, "registry-1.docker.io: 429 too many requests", Some(0)),
        ];
        Quotas {
            registry: "docker.io".into(),
            image: "docker.io/ratelimitpreview/test:latest".into(),
            answers,
        }
    }

    #[test]
    fn b45_both_forms_show_every_kind_of_answer_and_drive_nothing() {
        for (name, text) in
            [("quota-text", super::text(&sample(), 20)), ("quota-json", json(&sample()))]
        {
            assert!(!text.contains(|c| c != '\n' && text::is_unsafe(c)), "{text}");
            assert!(!text.contains("##["), "{text}");
            assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{text}");
            insta::assert_snapshot!(name, text);
        }
    }

    #[test]
    fn windows_are_told_in_the_unit_that_suits() {
        let told = [21_600, 90 * 60, 61, 0].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(told, ["6 h", "90 min", "61 s", "0 s"]);
    }
}
