//! What is to be done about a result: the strictest action of the policies that match, or the
//! built-in default where none does. A `likely` finding is never denied.

use super::matching::Subject;
use super::{Action, ByDefault, ImageCheckPolicy, Rules, Verdict};
use crate::diagnosis::{Cause, Certainty, Class, Diagnosis, Outcome, Reason};

/// Judges one use of an image.
pub fn judge(rules: Rules<'_>, subject: &Subject<'_>, diagnosis: &Diagnosis) -> Verdict {
    let matching: Vec<&ImageCheckPolicy> =
        rules.policies.iter().filter(|policy| policy.matches(subject)).collect();
    if matching.is_empty() {
        let (action, rule) = default_action(rules.by_default, diagnosis);
        return Verdict { action, policy: None, rule };
    }
    let mut verdict = Verdict {
        action: Action::Allow,
        policy: Some(matching[0].name.clone()),
        rule: "action".to_owned(),
    };
    for policy in matching {
        let (action, rule) = action(policy, rules.by_default, subject, diagnosis);
        if action > verdict.action {
            verdict = Verdict { action, policy: Some(policy.name.clone()), rule };
        }
    }
    verdict
}

/// Without a policy certain findings are denied on a command line, and all others warned of.
fn default_action(by_default: ByDefault, diagnosis: &Diagnosis) -> (Action, String) {
    let certain = match by_default {
        ByDefault::Deny => Action::Deny,
        ByDefault::Warn => Action::Warn,
    };
    let rule = |name: &str| name.to_owned();
    let outcome = match &diagnosis.outcome {
        Outcome::Finding { cause: Cause::PlatformPartial, .. } => (Action::Warn, rule("action")),
        Outcome::Finding { certainty: Certainty::Certain, .. } => (certain, rule("action")),
        Outcome::Finding { certainty: Certainty::Likely, .. } => (Action::Warn, rule("action")),
        Outcome::Inconclusive { reason: Reason::NotAsked } => (Action::Allow, rule("inconclusive")),
        Outcome::Inconclusive { .. } => (Action::Warn, rule("inconclusive")),
        Outcome::Pullable => (Action::Allow, rule("action")),
    };
    let beside = diagnosis
        .findings
        .iter()
        .map(|listed| (default_of_hygiene(listed.cause), format!("causes[{}]", listed.cause)));
    strictest(outcome, beside)
}

/// What stands beside an outcome by default.
fn default_of_hygiene(cause: Cause) -> Action {
    match cause {
        Cause::LatestTag | Cause::PullPolicyUnfit => Action::Audit,
        Cause::UnresolvedPlaceholder => Action::Warn,
        _ => Action::Allow,
    }
}

fn action(
    policy: &ImageCheckPolicy,
    by_default: ByDefault,
    subject: &Subject<'_>,
    diagnosis: &Diagnosis,
) -> (Action, String) {
    let outcome = match &diagnosis.outcome {
        Outcome::Pullable => (Action::Allow, "action".to_owned()),
        Outcome::Inconclusive { reason: Reason::NotAsked } => {
            (Action::Allow, "inconclusive".to_owned())
        }
        Outcome::Inconclusive { .. } => {
            (policy.spec.inconclusive.unwrap_or(Action::Warn), "inconclusive".to_owned())
        }
        Outcome::Finding { cause, certainty } => {
            // What a policy does not say is as without it.
            let for_all =
                policy.spec.action.unwrap_or_else(|| default_action(by_default, diagnosis).0);
            let (action, rule) = of_cause(policy, *cause).unwrap_or((for_all, "action".to_owned()));
            let most = match certainty {
                Certainty::Likely => Action::Warn,
                Certainty::Certain => Action::Deny,
            };
            (action.min(most).min(most_of_platforms(policy, *cause, diagnosis)), rule)
        }
    };
    let beside = diagnosis
        .findings
        .iter()
        .filter(|listed| !is_outcome(&diagnosis.outcome, listed.cause))
        .filter_map(|listed| {
            let acted_on = listed.cause.class() == Class::Hygiene;
            of_cause(policy, listed.cause).filter(|_| acted_on)
        });
    let (action, rule) = strictest(outcome, beside);
    let action =
        if policy.enforces_on(subject.ownership) { action } else { action.min(Action::Warn) };
    (action, rule)
}

/// The most that a policy does about missing platforms: nothing where only others require them.
fn most_of_platforms(policy: &ImageCheckPolicy, cause: Cause, diagnosis: &Diagnosis) -> Action {
    use Cause::{PlatformMissing, PlatformPartial, PlatformWrong};
    if !matches!(cause, PlatformMissing | PlatformPartial | PlatformWrong) {
        return Action::Deny;
    }
    let lacking = &diagnosis.lacking;
    let mut required = policy.spec.require_platforms.iter();
    if lacking.everywhere || required.any(|platform| lacking.platforms.contains(&platform.0)) {
        Action::Deny
    } else if lacking.concerns_pod {
        Action::Warn
    } else {
        Action::Allow
    }
}

fn is_outcome(outcome: &Outcome, cause: Cause) -> bool {
    matches!(outcome, Outcome::Finding { cause: own, .. } if *own == cause)
}

fn of_cause(policy: &ImageCheckPolicy, cause: Cause) -> Option<(Action, String)> {
    let listed = policy.spec.causes.iter().find(|listed| listed.id == cause.id())?;
    Some((listed.action, format!("causes[{}]", listed.id)))
}

fn strictest(
    first: (Action, String),
    others: impl Iterator<Item = (Action, String)>,
) -> (Action, String) {
    others.fold(first, |strict, other| if other.0 > strict.0 { other } else { strict })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::{Lacking, Listed, without_asking};
    use crate::image::Platform;
    use crate::image::usage::Ownership;
    use serde_json::{Value, json};

    fn policy(name: &str, spec: Value) -> ImageCheckPolicy {
        let object = json!({"apiVersion": "pullproof.dev/v1alpha1", "kind": "ImageCheckPolicy", "metadata": {"name": name}, "spec": spec});
        ImageCheckPolicy::from_value(&object).unwrap().unwrap()
    }

    fn rules(policies: &[ImageCheckPolicy]) -> Rules<'_> {
        Rules { policies, by_default: ByDefault::Deny }
    }

    fn subject(ownership: Ownership) -> Subject<'static> {
        Subject {
            namespace: "shop",
            namespace_labels: None,
            service_account: "default",
            ownership,
            reference: None,
        }
    }

    fn finding(cause: Cause, certainty: Certainty) -> Diagnosis {
        without_asking(Outcome::Finding { cause, certainty }, "s".into(), "l")
    }

    fn action(policies: &[ImageCheckPolicy], diagnosis: &Diagnosis) -> Action {
        judge(rules(policies), &subject(Ownership::Workload), diagnosis).action
    }

    #[test]
    fn without_a_policy_certain_findings_are_denied_and_likely_ones_warned_of() {
        assert_eq!(action(&[], &finding(Cause::TagNotFound, Certainty::Certain)), Action::Deny);
        assert_eq!(
            action(&[], &finding(Cause::CredentialsMissing, Certainty::Likely)),
            Action::Warn
        );
        assert_eq!(
            action(
                &[],
                &without_asking(
                    Outcome::Inconclusive { reason: Reason::NotAsked },
                    String::new(),
                    ""
                )
            ),
            Action::Allow
        );
        assert_eq!(
            action(
                &[],
                &without_asking(
                    Outcome::Inconclusive { reason: Reason::OutOfTime },
                    String::new(),
                    ""
                )
            ),
            Action::Warn
        );
    }

    #[test]
    fn a_likely_finding_is_never_denied_whatever_the_policy() {
        let strict = [policy(
            "strict",
            json!({"action": "Deny", "causes": [{"id": "credentials-missing", "action": "Deny"}]}),
        )];
        assert_eq!(
            action(&strict, &finding(Cause::CredentialsMissing, Certainty::Likely)),
            Action::Warn
        );
        assert_eq!(
            action(&strict, &finding(Cause::CredentialsMissing, Certainty::Certain)),
            Action::Deny
        );
    }

    #[test]
    fn the_strictest_of_several_policies_wins_and_is_named() {
        let two = [policy("a", json!({"action": "Audit"})), policy("b", json!({"action": "Deny"}))];
        let verdict = judge(
            rules(&two),
            &subject(Ownership::Workload),
            &finding(Cause::TagNotFound, Certainty::Certain),
        );
        assert_eq!((verdict.action, verdict.policy.as_deref()), (Action::Deny, Some("b")));
    }

    #[test]
    fn an_owned_pod_is_warned_of_unless_named() {
        let deny = json!({"action": "Deny"});
        let found = finding(Cause::TagNotFound, Certainty::Certain);
        assert_eq!(
            judge(rules(&[policy("p", deny)]), &subject(Ownership::OwnedPod), &found).action,
            Action::Warn
        );
        let named = policy("p", json!({"action": "Deny", "enforceOn": ["OwnedPod"]}));
        assert_eq!(
            judge(rules(&[named]), &subject(Ownership::OwnedPod), &found).action,
            Action::Deny
        );
    }

    #[test]
    fn a_missing_platform_is_denied_by_policies_that_require_it_or_where_no_node_fits() {
        let partial = |missing: &str, concerns_pod: bool, everywhere: bool| {
            let platforms = vec![Platform::parse(missing).unwrap()];
            let lacking = Lacking { platforms, concerns_pod, everywhere };
            Diagnosis { lacking, ..finding(Cause::PlatformPartial, Certainty::Certain) }
        };
        let plain = || policy("plain", json!({"action": "Deny"}));
        let requires = |action: &str| {
            policy("requires", json!({"action": action, "requirePlatforms": ["linux/arm64"]}))
        };
        let of_a_node = partial("linux/amd64", true, false);
        assert_eq!(action(&[], &of_a_node), Action::Warn);
        assert_eq!(action(&[plain()], &of_a_node), Action::Warn);
        assert_eq!(action(&[requires("Deny")], &of_a_node), Action::Warn, "another is required");
        let of_all_nodes = partial("linux/amd64", true, true);
        assert_eq!(action(&[plain()], &of_all_nodes), Action::Deny);
        let required = partial("linux/arm64", false, false);
        assert_eq!(action(&[requires("Deny")], &required), Action::Deny);
        assert_eq!(action(&[plain()], &required), Action::Allow, "nobody wants it here");
        assert_eq!(action(&[plain(), requires("Warn")], &required), Action::Warn);
        // Also where it is all that was wanted.
        let missing = Diagnosis {
            lacking: required.lacking,
            ..finding(Cause::PlatformMissing, Certainty::Certain)
        };
        assert_eq!(action(&[plain(), requires("Warn")], &missing), Action::Warn);
        assert_eq!(action(&[plain(), requires("Deny")], &missing), Action::Deny);
    }

    #[test]
    fn a_policy_without_an_action_leaves_the_default_as_it_is() {
        let only_latest =
            [policy("p", json!({"causes": [{"id": "latest-tag", "action": "Deny"}]}))];
        assert_eq!(
            action(&only_latest, &finding(Cause::TagNotFound, Certainty::Certain)),
            Action::Deny
        );
        assert_eq!(
            action(&only_latest, &finding(Cause::CredentialsMissing, Certainty::Likely)),
            Action::Warn
        );
    }

    #[test]
    fn hygiene_is_acted_on_only_when_a_policy_names_it() {
        let mut latest = without_asking(Outcome::Pullable, String::new(), "");
        latest.findings.push(Listed { cause: Cause::LatestTag, text: String::new() });
        assert_eq!(action(&[], &latest), Action::Audit);
        assert_eq!(action(&[policy("p", json!({"action": "Deny"}))], &latest), Action::Allow);
        assert_eq!(
            action(
                &[policy("p", json!({"causes": [{"id": "latest-tag", "action": "Deny"}]}))],
                &latest
            ),
            Action::Deny
        );
    }
}
