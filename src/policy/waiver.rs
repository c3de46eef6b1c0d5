//! Findings that somebody chose to live with: an ignore or a baseline takes one cause of one use out
//! of the verdict. What is left is judged as ever; the finding itself stays in the report.

use super::glob::Glob;
use super::judge::judge;
use super::matching::Subject;
use super::{Action, Rules, Verdict};
use crate::diagnosis::{Cause, Diagnosis, Outcome, Reason};
use crate::text::clean;

/// An ignore of the settings: this cause does not count for these images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoreRule {
    /// Matched against the normal name without tag and digest, the short form, and the text as written.
    pub image: Glob,
    pub cause: Cause,
    pub reason: String,
}

/// A cause that does not count for a use, and by which word.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Waiver {
    pub cause: Cause,
    /// `ignored: <reason>` or `baseline`; stands as the rule of a verdict.
    pub rule: String,
}

/// Longest reason kept, in characters.
const REASON: usize = 200;
const BASELINE: &str = "baseline";

impl Waiver {
    /// By a comment, an annotation or a rule of the settings.
    pub fn ignored(cause: Cause, reason: &str) -> Self {
        let reason = match reason.trim() {
            "" => "no reason given".to_owned(),
            reason => clean(reason, REASON),
        };
        Self { cause, rule: format!("ignored: {reason}") }
    }

    /// By an entry of the baseline.
    pub fn in_baseline(cause: Cause) -> Self {
        Self { cause, rule: BASELINE.to_owned() }
    }

    /// Whether the baseline said so.
    pub fn is_of_baseline(&self) -> bool {
        self.rule == BASELINE
    }
}

/// The cause of an outcome, where it has one.
pub fn outcome_cause(outcome: &Outcome) -> Option<Cause> {
    match outcome {
        Outcome::Finding { cause, .. } => Some(*cause),
        Outcome::Inconclusive { reason: Reason::Seen(cause) } => Some(*cause),
        Outcome::Inconclusive { .. } | Outcome::Pullable => None,
    }
}

/// Judges what is left when the waived causes are taken out.
pub fn judge_rest(
    rules: Rules<'_>,
    subject: &Subject<'_>,
    diagnosis: &Diagnosis,
    waived: &[Waiver],
) -> Verdict {
    let Some(first) = waived.first() else { return judge(rules, subject, diagnosis) };
    let is_waived = |cause: Cause| waived.iter().any(|waiver| waiver.cause == cause);
    let mut rest = diagnosis.clone();
    rest.findings.retain(|listed| !is_waived(listed.cause));
    let lead = outcome_cause(&rest.outcome).filter(|cause| is_waived(*cause));
    if lead.is_some() {
        rest.outcome = Outcome::Pullable;
    }
    let verdict = judge(rules, subject, &rest);
    if verdict.action > Action::Allow {
        return verdict;
    }
    let named = waived.iter().find(|waiver| Some(waiver.cause) == lead).unwrap_or(first);
    Verdict { rule: named.rule.clone(), ..verdict }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::{Certainty, Listed, without_asking};
    use crate::image::usage::Ownership;

    fn judged(diagnosis: &Diagnosis, waived: &[Waiver]) -> (Action, String) {
        let subject = Subject {
            namespace: "shop",
            namespace_labels: None,
            service_account: "default",
            ownership: Ownership::Workload,
            reference: None,
        };
        let verdict = judge_rest(Rules::default(), &subject, diagnosis, waived);
        (verdict.action, verdict.rule)
    }

    fn tag_not_found() -> Diagnosis {
        let outcome = Outcome::Finding { cause: Cause::TagNotFound, certainty: Certainty::Certain };
        without_asking(outcome, "no such tag".into(), "")
    }

    #[test]
    fn a_waived_outcome_is_allowed_and_says_why() {
        let waived = [Waiver::ignored(Cause::TagNotFound, " pushed\nby the release ")];
        let rule = "ignored: pushed by the release".to_owned();
        assert_eq!(judged(&tag_not_found(), &waived), (Action::Allow, rule));
        let waived = [Waiver::ignored(Cause::TagNotFound, "")];
        assert_eq!(judged(&tag_not_found(), &waived).1, "ignored: no reason given");
    }

    #[test]
    fn what_is_not_waived_counts_as_ever() {
        let mut diagnosis = tag_not_found();
        diagnosis
            .findings
            .push(Listed { cause: Cause::UnresolvedPlaceholder, text: String::new() });
        let waived = [Waiver::in_baseline(Cause::UnresolvedPlaceholder)];
        assert_eq!(judged(&diagnosis, &waived).0, Action::Deny);
        let waived = [Waiver::in_baseline(Cause::TagNotFound)];
        let rule = "causes[unresolved-placeholder]".to_owned();
        assert_eq!(judged(&diagnosis, &waived), (Action::Warn, rule));
    }

    #[test]
    fn an_environment_cause_may_be_waived_and_a_reason_of_ours_may_not() {
        let waived = [Waiver::ignored(Cause::RateLimited, "known")];
        let limited = Outcome::Inconclusive { reason: Reason::Seen(Cause::RateLimited) };
        assert_eq!(judged(&without_asking(limited, String::new(), ""), &waived).0, Action::Allow);
        let late = Outcome::Inconclusive { reason: Reason::OutOfTime };
        assert_eq!(judged(&without_asking(late, String::new(), ""), &waived).0, Action::Warn);
    }
}
