//! What a person reads: the paragraph of a denial, and the lines of warnings. Bounded as the API
//! server bounds them, without control characters, and telling nobody what stands behind an address
//! that is no registry.

use super::object::Admitted;
use crate::diagnosis::{Class, Outcome, Reason};
use crate::policy::Action;
use crate::report::Result as Answered;
use crate::text::clean;

/// What stands for every reason that would tell what is behind an address.
const NO_ANSWER: &str = "no-answer";
/// Characters of a warning that the API server never cuts.
const WARNING: usize = 256;
/// Warnings of one answer: together they stay below the API server's 4,096 characters.
const MOST_WARNINGS: usize = 15;
/// Characters of one paragraph, and paragraphs of one denial.
const PARAGRAPH: usize = 1200;
const MOST_PARAGRAPHS: usize = 6;

/// How much an answer tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// Cause, evidence and advice.
    #[default]
    Full,
    /// The same words for everything: for clusters where strangers' Pods may reach the webhook.
    Coarse,
}

/// The denial of an object, where any of its results is denied.
pub fn denial(results: &[Answered], object: &Admitted<'_>, detail: Detail) -> Option<String> {
    let denied: Vec<&Answered> = of_action(results, Action::Deny).collect();
    let mut paragraphs: Vec<String> = denied
        .iter()
        .take(MOST_PARAGRAPHS)
        .map(|result| match detail {
            Detail::Full => paragraph(result, object),
            Detail::Coarse => coarse(result, object),
        })
        .collect();
    if denied.len() > MOST_PARAGRAPHS {
        paragraphs.push(format!("and {} more images", denied.len() - MOST_PARAGRAPHS));
    }
    (!paragraphs.is_empty()).then(|| paragraphs.join("\n"))
}

/// The warnings of an answer.
pub fn warnings(results: &[Answered], object: &Admitted<'_>, detail: Detail) -> Vec<String> {
    let lines = of_action(results, Action::Warn).map(|result| match detail {
        Detail::Full => warning(result, object),
        Detail::Coarse => coarse(result, object),
    });
    bounded(lines.collect())
}

/// As many warnings as the API server passes on, each as long as it leaves whole.
pub fn bounded(mut lines: Vec<String>) -> Vec<String> {
    lines.dedup();
    let more = lines.len().saturating_sub(MOST_WARNINGS);
    if more > 0 {
        lines.truncate(MOST_WARNINGS - 1);
        lines.push(format!("and {} more warnings", more + 1));
    }
    lines.into_iter().map(|line| clean(&line, WARNING - 1)).collect()
}

fn of_action(results: &[Answered], action: Action) -> impl Iterator<Item = &Answered> {
    results.iter().filter(move |result| result.verdict.action == action)
}

/// `container "web"`, and how many more hold the same image.
fn place(result: &Answered, object: &Admitted<'_>) -> String {
    let Some(first) = result.uses.first() else { return "image".to_owned() };
    let kind = if first.role == crate::image::Role::Volume { "volume" } else { "container" };
    let name = clean(object.name_at(&first.site.path), 80);
    match result.uses.len() {
        1 => format!("{kind} \"{name}\""),
        more => format!("{kind} \"{name}\" and {} more", more - 1),
    }
}

fn paragraph(result: &Answered, object: &Admitted<'_>) -> String {
    let diagnosis = &result.diagnosis;
    let mut text = format!("{}: {}", place(result, object), said(result));
    if is_a_registrys(&diagnosis.outcome) {
        for seen in diagnosis.evidence.iter().take(2) {
            text.push_str(&format!(". Asked: {}", clean(&seen.text, 300)));
        }
    }
    if let Some(advice) = diagnosis.advice.first().filter(|_| is_a_registrys(&diagnosis.outcome)) {
        text.push_str(&format!(". {}", capital(&clean(advice, 300))));
    }
    let text = text.trim_end_matches('.').to_owned();
    format!("{}. [{}]", clean(&text, PARAGRAPH), source(result))
}

/// One line for one result.
pub fn warning(result: &Answered, object: &Admitted<'_>) -> String {
    let id = id(result);
    let room = WARNING.saturating_sub(id.len() + 5);
    format!("{} [{id}]", clean(&format!("{}: {}", place(result, object), said(result)), room))
}

fn coarse(result: &Answered, object: &Admitted<'_>) -> String {
    let ending = if result.verdict.action == Action::Deny { " and is refused" } else { "" };
    format!("{}: its image can not be confirmed{ending}", place(result, object))
}

/// What is the matter, in words; alike for all that is no registry's answer.
fn said(result: &Answered) -> String {
    let image = clean(&result.image, 400);
    match &result.diagnosis.outcome {
        Outcome::Inconclusive { .. } if !is_a_registrys(&result.diagnosis.outcome) => {
            format!("could not tell whether {image} will pull: its registry gave no usable answer")
        }
        Outcome::Inconclusive { .. } => {
            format!("could not tell whether {image} will pull: {}", summary(result))
        }
        Outcome::Finding { .. } => format!("image {image} will not pull: {}", summary(result)),
        Outcome::Pullable => summary_of_rule(result),
    }
}

fn summary(result: &Answered) -> String {
    clean(result.diagnosis.summary.trim_end_matches('.'), 500)
}

/// A hygiene rule that the verdict came from.
fn summary_of_rule(result: &Answered) -> String {
    let of_rule = result
        .diagnosis
        .findings
        .iter()
        .find(|listed| result.verdict.rule == format!("causes[{}]", listed.cause));
    let listed = of_rule.or(result.diagnosis.findings.first());
    listed.map(|listed| clean(&listed.text, 500)).unwrap_or_default()
}

/// The cause or reason by its id.
fn id(result: &Answered) -> &'static str {
    let of_rule = || {
        let rule = &result.verdict.rule;
        let named = rule.strip_prefix("causes[").and_then(|rest| rest.strip_suffix(']'));
        result.diagnosis.findings.iter().map(|it| it.cause.id()).find(|id| Some(*id) == named)
    };
    if let Some(id) = of_rule() {
        return id;
    }
    match &result.diagnosis.outcome {
        Outcome::Finding { cause, .. } => cause.id(),
        Outcome::Inconclusive { .. } if !is_a_registrys(&result.diagnosis.outcome) => NO_ANSWER,
        Outcome::Inconclusive { reason } => reason.id(),
        Outcome::Pullable => "pullable",
    }
}

/// Who says so, and where it is explained.
fn source(result: &Answered) -> String {
    let id = id(result);
    let page = if id == NO_ANSWER { "docs/webhook.md" } else { "docs/causes.md" };
    match &result.verdict.policy {
        Some(policy) => format!("policy {}, {id}, {page}#{id}", clean(policy, 253)),
        None => format!("{id}, {page}#{id}"),
    }
}

/// Whether an outcome tells what a registry said, or what we did: refused connections, resets, odd
/// certificates and web pages would tell strangers which addresses answer.
fn is_a_registrys(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Pullable | Outcome::Finding { .. } => true,
        Outcome::Inconclusive { reason } => match reason {
            Reason::Seen(cause) => {
                *cause == crate::diagnosis::Cause::RateLimited
                    || cause.class() != Class::Environment
            }
            Reason::NoPermission
            | Reason::OutOfTime
            | Reason::BreakerOpen
            | Reason::Throttled
            | Reason::TooManyImages
            | Reason::NotAsked
            | Reason::RealmNotTrusted
            | Reason::RuntimeUnknown => true,
            Reason::AddressRefused | Reason::TooManyRedirects | Reason::TooLarge => false,
        },
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
