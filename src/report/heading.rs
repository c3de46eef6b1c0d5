//! What the first line of a result says: the level, the id and the title, and which results have
//! one at all. Shared by the formats for people, so that they never disagree.

use super::{Result, outside};
use crate::diagnosis::{Class, Listed, Outcome, Reason};
use crate::policy::Action;
use crate::policy::waiver::outcome_cause;

/// How loud a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Error,
    Warning,
    Note,
    /// Nobody knows; the flag tells whether the policy warns of that.
    CouldNotTell {
        warns: bool,
    },
}

impl Level {
    /// The word a reader sees.
    pub fn word(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "note",
            Level::CouldNotTell { .. } => "could not tell",
        }
    }

    fn of_action(action: Action) -> Self {
        match action {
            Action::Deny => Level::Error,
            Action::Warn => Level::Warning,
            Action::Audit | Action::Allow => Level::Note,
        }
    }

    fn of_doubt(action: Action) -> Self {
        match action {
            Action::Deny => Level::Error,
            Action::Warn => Level::CouldNotTell { warns: true },
            Action::Audit | Action::Allow => Level::CouldNotTell { warns: false },
        }
    }
}

/// The first line of a result.
#[derive(Debug, PartialEq, Eq)]
pub struct Heading {
    pub level: Level,
    pub id: Option<&'static str>,
    /// Fit to be shown.
    pub title: String,
}

impl Heading {
    /// The heading of a result, or `None` when there is nothing to say but that it pulls, that no
    /// node pulls it, or, with `--offline`, that it was not asked.
    pub fn of(result: &Result, offline: bool) -> Option<Self> {
        let action = result.verdict.action;
        if let Some(lead) = decisive(result) {
            return Some(Self::lead(result, lead));
        }
        let cause = outcome_cause(&result.diagnosis.outcome);
        if cause.is_some_and(|cause| result.waiver(cause).is_some()) {
            return Self::despite(result);
        }
        let diagnosis = &result.diagnosis;
        let is_quiet = offline || diagnosis.never_pulled || diagnosis.is_placeholder;
        match &diagnosis.outcome {
            Outcome::Pullable => Self::beside(result),
            Outcome::Inconclusive { reason: Reason::NotAsked }
                if is_quiet && action < Action::Deny =>
            {
                Self::beside(result)
            }
            Outcome::Finding { cause, .. } => {
                Some(Self::summary(result, Level::of_action(action), cause.id()))
            }
            Outcome::Inconclusive { reason } => {
                Some(Self::summary(result, Level::of_doubt(action), reason.id()))
            }
        }
    }

    /// `error[tag-not-found]`
    pub fn label(&self) -> String {
        match self.id {
            Some(id) => format!("{}[{id}]", self.level.word()),
            None => self.level.word().to_owned(),
        }
    }

    fn summary(result: &Result, level: Level, id: &'static str) -> Self {
        Self { level, id: Some(id), title: outside::sentence(&result.diagnosis.summary) }
    }

    /// What counts although the outcome itself does not.
    fn despite(result: &Result) -> Option<Self> {
        let action = result.verdict.action;
        let mut findings = told(result, action);
        let lead = findings.find(|it| it.cause.class() == Class::Hygiene)?;
        (action > Action::Allow).then(|| Self::lead(result, lead))
    }

    fn lead(result: &Result, lead: &Listed) -> Self {
        Self {
            level: Level::of_action(result.verdict.action),
            id: Some(lead.cause.id()),
            title: named(result, &lead.text),
        }
    }

    /// What stands beside an outcome that is no trouble itself.
    fn beside(result: &Result) -> Option<Self> {
        let action = result.verdict.action;
        let level = Level::of_action(action);
        if let Some(lead) = told(result, action).next() {
            return Some(Self::lead(result, lead));
        }
        if action < Action::Warn && result.diagnosis.remarks.is_empty() {
            return None;
        }
        Some(Self { level, id: None, title: outside::sentence(&result.diagnosis.summary) })
    }
}

/// The rule of hygiene that a policy acts on more strictly than on the outcome.
fn decisive(result: &Result) -> Option<&Listed> {
    let verdict = &result.verdict;
    result.diagnosis.findings.iter().find(|it| {
        verdict.action >= Action::Warn
            && it.cause.class() == Class::Hygiene
            && verdict.rule == format!("causes[{}]", it.cause)
    })
}

/// Further findings, without the one the heading speaks of.
pub fn others<'a>(result: &'a Result, heading: &Heading) -> impl Iterator<Item = &'a Listed> {
    let (action, id) = (result.verdict.action, heading.id);
    told(result, action).filter(move |it| Some(it.cause.id()) != id)
}

/// The findings that people are told of.
fn told(result: &Result, action: Action) -> impl Iterator<Item = &Listed> {
    let findings = result.diagnosis.findings.iter();
    findings.filter(move |it| is_told(it, action) && result.waiver(it.cause).is_none())
}

/// A policy that allows a hygiene rule to be broken does not want to hear of it.
fn is_told(finding: &Listed, action: Action) -> bool {
    action > Action::Allow || finding.cause.class() != Class::Hygiene
}

/// The text of a finding, with the image before it unless it names it.
fn named(result: &Result, text: &str) -> String {
    let reference = result.uses.first().and_then(|it| it.reference.as_ref().ok());
    let named = text.contains(&result.image)
        || reference.is_some_and(|reference| text.contains(reference.repository()));
    if named {
        outside::sentence(text)
    } else {
        outside::sentence(&format!("{}: {text}", result.image))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Cause;
    use crate::policy::Waiver;
    use crate::report::sample;

    fn label(result: &Result) -> Option<String> {
        Heading::of(result, false).map(|heading| heading.label())
    }

    #[test]
    fn what_does_not_count_gives_no_heading() {
        let mut result = sample::report().results.remove(0);
        assert_eq!(label(&result).as_deref(), Some("error[tag-not-found]"));
        result.waived = vec![Waiver::ignored(Cause::TagNotFound, "made by the release")];
        assert_eq!(label(&result).as_deref(), Some("error[unpinned]"));
        result.verdict.action = Action::Allow;
        assert_eq!(label(&result), None);
    }

    #[test]
    fn a_waived_finding_does_not_lead_the_others() {
        let mut result = sample::report().results.remove(0);
        result.diagnosis.outcome = Outcome::Pullable;
        result.waived = vec![Waiver::in_baseline(Cause::TagNotFound)];
        result.verdict.action = Action::Warn;
        assert_eq!(label(&result).as_deref(), Some("warning[unpinned]"));
    }
}
