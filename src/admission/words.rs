//! What a person reads: the paragraph of a denial, and the lines of warnings. Bounded as the API
//! server bounds them, without control characters, and telling nobody what stands behind an address
//! that is no registry.

use super::object::Admitted;
use crate::diagnosis::{Certainty, Class, Listed, Outcome, Reason};
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
    let beside =
        (detail == Detail::Full).then(|| how_many(results).into_iter().chain(rights(results)));
    bounded(beside.into_iter().flatten().chain(lines).collect())
}

/// Why a Pod was not changed as its policies ask; strangers do not learn which secrets and images
/// there are.
pub fn not_changed(warnings: Vec<String>, detail: Detail) -> Vec<String> {
    match detail {
        Detail::Coarse if !warnings.is_empty() => {
            vec!["not everything that a policy asks for was changed".to_owned()]
        }
        _ => bounded(warnings),
    }
}

/// What the webhook has to be allowed, where an answer hangs on it.
fn rights(results: &[Answered]) -> Vec<String> {
    let lacks = |result: &&Answered| {
        result.verdict.action >= Action::Warn
            && result.diagnosis.outcome == Outcome::Inconclusive { reason: Reason::NoPermission }
    };
    let mut rights: Vec<String> = results
        .iter()
        .filter(lacks)
        .flat_map(|result| result.diagnosis.advice.iter().take(2))
        .map(|advice| capital(&clean(advice, WARNING)))
        .collect();
    rights.dedup();
    rights
}

/// `2 of 3 images checked`, where some were and some were not.
fn how_many(results: &[Answered]) -> Option<String> {
    let is_open = |result: &&Answered| {
        matches!(result.diagnosis.outcome, Outcome::Inconclusive { .. })
            && result.verdict.action >= Action::Warn
    };
    let (all, open) = (results.len(), results.iter().filter(is_open).count());
    (open > 0 && open < all).then(|| format!("{} of {all} images checked", all - open))
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
    if let Some(listed) = of_hygiene(result) {
        return clean(&listed.text, 500);
    }
    let (image, diagnosis) = (clean(&result.image, 400), &result.diagnosis);
    match &diagnosis.outcome {
        Outcome::Inconclusive { .. } if !is_a_registrys(&diagnosis.outcome) => {
            format!("could not tell whether {image} will pull: its registry gave no usable answer")
        }
        Outcome::Inconclusive { .. } => {
            format!("could not tell whether {image} will pull: {}", summary(result))
        }
        Outcome::Finding { .. } if diagnosis.pulls == Some(true) => {
            format!("image {image} does not fit: {}", summary(result))
        }
        Outcome::Finding { certainty: Certainty::Likely, .. } => {
            format!("image {image} will probably not pull: {}", summary(result))
        }
        Outcome::Finding { .. } => format!("image {image} will not pull: {}", summary(result)),
        Outcome::Pullable => {
            diagnosis.findings.first().map(|it| clean(&it.text, 500)).unwrap_or_default()
        }
    }
}

fn summary(result: &Answered) -> String {
    clean(result.diagnosis.summary.trim_end_matches('.'), 500)
}

/// The hygiene rule that the verdict came from, whatever else is the matter.
pub(super) fn of_hygiene(result: &Answered) -> Option<&Listed> {
    let named = result.verdict.rule.strip_prefix("causes[")?.strip_suffix(']')?;
    let mut findings = result.diagnosis.findings.iter();
    findings.find(|it| it.cause.id() == named && it.cause.class() == Class::Hygiene)
}

/// The cause or reason that the verdict came from, by its id, for those who may know it.
pub(super) fn cause(result: &Answered) -> &'static str {
    if let Some(listed) = of_hygiene(result) {
        return listed.cause.id();
    }
    match &result.diagnosis.outcome {
        Outcome::Finding { cause, .. } => cause.id(),
        Outcome::Inconclusive { reason } => reason.id(),
        Outcome::Pullable => "pullable",
    }
}

/// The same for whoever sent the review.
fn id(result: &Answered) -> &'static str {
    let tells = of_hygiene(result).is_some() || is_a_registrys(&result.diagnosis.outcome);
    if tells { cause(result) } else { NO_ANSWER }
}

/// What the audit log of the API server keeps beside the request.
pub(super) fn for_audit(results: &[Answered]) -> Vec<(&'static str, String)> {
    let mut causes: Vec<&str> =
        results.iter().filter(|result| result.verdict.action > Action::Allow).map(cause).collect();
    causes.sort_unstable();
    causes.dedup();
    if causes.is_empty() { Vec::new() } else { vec![("causes", causes.join(","))] }
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
            | Reason::Throttled
            | Reason::TooManyImages
            | Reason::NotAsked
            | Reason::RealmNotTrusted
            | Reason::RuntimeUnknown => true,
            // What a breaker has seen last would tell it, too.
            Reason::BreakerOpen
            | Reason::AddressRefused
            | Reason::TooManyRedirects
            | Reason::TooLarge => false,
        },
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
