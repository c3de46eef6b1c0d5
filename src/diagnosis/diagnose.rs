//! From an answer to a diagnosis: what was found or the most telling refusal, how certain it is, and
//! what is known of the Pod's logins beside it. Which cause a refusal has is read in `reading`.

use super::advice::{self, Words};
use super::cause::{Cause, Certainty, Reason};
use super::evidence::{Answer, Attempt, Contents, Found, Trouble, Whose};
use super::question::{Context, Question};
use super::reading::{Reading, readings};
use super::{Diagnosis, Lacking, Listed, Outcome, Seen, families, platforms, seen};
use crate::image::media_type::{Kind, kind};

/// Reads the answer to a question.
pub fn diagnose(question: &Question, answer: &Answer, context: &Context) -> Diagnosis {
    let words = Words { question, answer, context };
    let mut diagnosis = match answer.found() {
        Some((attempt, found)) if attempt.whose == Whose::Pod => present(&words, attempt, found),
        Some((attempt, found)) => only_own(&words, attempt, found),
        None => refused(&words),
    };
    if let Some(unknown) = without_right(&diagnosis, &words) {
        diagnosis = unknown;
    }
    if !(context.is_brief && diagnosis.outcome == Outcome::Pullable) {
        diagnosis.evidence = seen::evidence(answer);
    }
    diagnosis.age = answer.found().and_then(|(attempt, _)| attempt.origin.age_worth_telling());
    add_login_findings(&mut diagnosis, &words);
    diagnosis.remarks.extend(advice::remarks(&diagnosis.outcome, &words));
    diagnosis
}

/// Where only a login could help and a right to read the Pod's is missing, nothing is known.
fn without_right(diagnosis: &Diagnosis, words: &Words<'_>) -> Option<Diagnosis> {
    let login = &words.context.pod_login;
    let Outcome::Finding { cause, .. } = diagnosis.outcome else { return None };
    if !cause.is_about_login() || login.rights_missing.is_empty() {
        return None;
    }
    let unread = login.unread.join(", ");
    let summary = format!("{}, and {unread} may not be read here", diagnosis.summary);
    let mut unknown = inconclusive(Reason::NoPermission, summary);
    unknown.digest = diagnosis.digest.clone();
    unknown.advice = login.rights_missing.clone();
    unknown.advice.dedup();
    Some(unknown)
}

/// A diagnosis that no registry was needed for.
pub fn without_asking(outcome: Outcome, summary: String, label: &str) -> Diagnosis {
    let findings = match &outcome {
        Outcome::Finding { cause, .. } => vec![Listed { cause: *cause, text: summary.clone() }],
        _ => Vec::new(),
    };
    let advice = match &outcome {
        Outcome::Finding { cause, .. } => {
            cause.cure().iter().map(|cure| (*cure).to_owned()).collect()
        }
        _ => Vec::new(),
    };
    let pulls = match outcome {
        Outcome::Finding { certainty: Certainty::Certain, .. } => Some(false),
        _ => None,
    };
    Diagnosis {
        outcome,
        summary,
        label: label.to_owned(),
        digest: None,
        offered: Vec::new(),
        pulls,
        runs: pulls,
        findings,
        evidence: Vec::<Seen>::new(),
        advice,
        remarks: Vec::new(),
        age: None,
        never_pulled: false,
        is_placeholder: false,
        lacking: Lacking::default(),
    }
}

/// The Pod's own try found the manifest.
fn present(words: &Words<'_>, attempt: &Attempt, found: &Found) -> Diagnosis {
    let mut diagnosis = match kind(&found.media_type) {
        Kind::Schema1 => finding(Cause::UnsupportedManifest, words),
        Kind::Unknown | Kind::NoRegistry => finding(Cause::UnsupportedManifest, words),
        Kind::Manifest | Kind::Index => read_contents(words),
    };
    diagnosis.digest = Some(found.digest.clone());
    if found.pulls_left == Some(0) && diagnosis.pulls == Some(true) {
        diagnosis.remarks.push(advice::none_left(attempt, found));
    }
    if let Some(login) = attempt.login.as_ref().filter(|_| attempt.whose == Whose::Own) {
        diagnosis.remarks.push(format!("pulled with your own login ({})", login.source));
    }
    diagnosis
}

fn read_contents(words: &Words<'_>) -> Diagnosis {
    match &words.answer.contents {
        None => pullable(words),
        Some(Err(trouble)) => inconclusive(trouble.reason, trouble_text(words, trouble)),
        Some(Ok(Contents::Unsupported { pulls: true, .. })) if words.context.is_volume => {
            pullable(words)
        }
        Some(Ok(Contents::Unsupported { pulls, .. })) => {
            let mut diagnosis = finding(Cause::UnsupportedManifest, words);
            diagnosis.pulls = Some(*pulls);
            diagnosis.runs = Some(false);
            diagnosis
        }
        Some(Ok(Contents::Corrupt { .. })) => finding(Cause::CorruptImage, words),
        Some(Ok(Contents::Image(content))) => platforms::read(words, content),
    }
}

/// Only a login of the person who asks found it: whose fault that is depends on what is known of
/// the Pod's.
fn only_own(words: &Words<'_>, own: &Attempt, found: &Found) -> Diagnosis {
    if words.own_counts() {
        let mut diagnosis = present(words, own, found);
        let has_pod = !words.context.asker.is_empty();
        if has_pod && diagnosis.outcome == Outcome::Pullable {
            diagnosis.pulls = None;
            diagnosis.summary = format!("{} pulls with your own login", words.image());
        }
        return diagnosis;
    }
    let reading = readings(words).into_iter().next();
    if let (true, Some(Reading::Cause(cause))) = (words.context.pod_login.is_known, reading) {
        let cause = match cause {
            // The image is there, so what the registry hid is now known.
            Cause::AbsentOrPrivate if !sends_a_login(words) => Cause::CredentialsMissing,
            Cause::AbsentOrPrivate => Cause::AccessDenied,
            cause => cause,
        };
        let mut diagnosis = finding(login_cause(cause, words), words);
        diagnosis.digest = Some(found.digest.clone());
        return diagnosis;
    }
    let mut diagnosis = present(words, own, found);
    if diagnosis.outcome == Outcome::Pullable {
        diagnosis.pulls = None;
        diagnosis.summary = format!("{} pulls with your own login only", words.image());
        let why = format!(
            "{} was not let in; whether its own login is good could not be seen here",
            words.context.asker
        );
        diagnosis.remarks.push(why);
    }
    diagnosis
}

/// Whether the Pod's try was more than an anonymous one.
fn sends_a_login(words: &Words<'_>) -> bool {
    let candidates = &words.question.candidates;
    candidates.iter().any(|candidate| !candidate.credential.sends_nothing())
}

/// Nobody found it.
fn refused(words: &Words<'_>) -> Diagnosis {
    match readings(words).into_iter().next() {
        Some(Reading::Cause(cause)) => finding(login_cause(cause, words), words),
        Some(Reading::Unknown(trouble)) => {
            inconclusive(trouble.reason, trouble_text(words, &trouble))
        }
        None => inconclusive(Reason::NotAsked, format!("{}: nothing was asked", words.image())),
    }
}

/// Where a login is missing, what is known of the Pod's secrets may say why.
fn login_cause(cause: Cause, words: &Words<'_>) -> Cause {
    let login = &words.context.pod_login;
    let all_read = login.unread.is_empty();
    match cause {
        Cause::CredentialsMissing if all_read && !login.missing.is_empty() => Cause::SecretMissing,
        Cause::CredentialsMissing if all_read && !login.ignored.is_empty() => Cause::SecretInvalid,
        Cause::CredentialsMissing if all_read && !login.without_entry.is_empty() => {
            Cause::SecretRegistryMismatch
        }
        cause => cause,
    }
}

/// `likely` where a node may know better; see the causes page.
fn certainty(cause: Cause, words: &Words<'_>) -> Certainty {
    let context = words.context;
    // Where everything is public no login that could not be read would find more.
    let login_helps = cause != Cause::AbsentOrPrivate
        || !families::holds_nothing_private(words.registry(), words.repository());
    let login_unknown = words.nodes_may_log_in()
        || (login_helps && !context.pod_login.unread.is_empty())
        || (context.own_only && !context.asker.is_empty())
        || (login_helps && advice::own_login_decides(words));
    let about_place = cause == Cause::BlockedByRegistry && words.is_blocked_by_place();
    if words.answer.missed_mirror().is_some()
        || about_place
        || (cause.is_about_login() && login_unknown)
    {
        Certainty::Likely
    } else {
        Certainty::Certain
    }
}

/// A finding in full: words, label, advice, what it means for a pull.
pub(super) fn finding(cause: Cause, words: &Words<'_>) -> Diagnosis {
    let certainty = certainty(cause, words);
    let summary = words.summary(cause);
    let pulls = match (cause, certainty) {
        (Cause::PlatformWrong, _) => Some(true),
        (Cause::PlatformPartial, _) | (_, Certainty::Likely) => None,
        (_, Certainty::Certain) => Some(false),
    };
    let runs = pulls.map(|_| false);
    Diagnosis {
        findings: vec![Listed { cause, text: summary.clone() }],
        label: words.label(cause),
        advice: advice::advice(cause, words),
        outcome: Outcome::Finding { cause, certainty },
        summary,
        digest: None,
        offered: Vec::new(),
        pulls,
        runs,
        evidence: Vec::new(),
        remarks: Vec::new(),
        age: None,
        never_pulled: false,
        is_placeholder: false,
        lacking: Lacking::default(),
    }
}

pub(super) fn pullable(words: &Words<'_>) -> Diagnosis {
    Diagnosis {
        outcome: Outcome::Pullable,
        summary: format!("{} is there", words.image()),
        label: String::new(),
        digest: None,
        offered: Vec::new(),
        pulls: Some(true),
        runs: None,
        findings: Vec::new(),
        evidence: Vec::new(),
        advice: Vec::new(),
        remarks: Vec::new(),
        age: None,
        never_pulled: false,
        is_placeholder: false,
        lacking: Lacking::default(),
    }
}

pub(super) fn inconclusive(reason: Reason, summary: String) -> Diagnosis {
    let advice = match reason {
        Reason::Seen(cause) => cause.cure().iter().map(|cure| (*cure).to_owned()).collect(),
        own => vec![own.means().to_owned()],
    };
    Diagnosis {
        outcome: Outcome::Inconclusive { reason },
        summary,
        label: reason.id().replace('-', " "),
        digest: None,
        offered: Vec::new(),
        pulls: None,
        runs: None,
        findings: Vec::new(),
        evidence: Vec::new(),
        advice,
        remarks: Vec::new(),
        age: None,
        never_pulled: false,
        is_placeholder: false,
        lacking: Lacking::default(),
    }
}

/// The host is named where it is not the image's own.
fn trouble_text(words: &Words<'_>, trouble: &Trouble) -> String {
    let host = crate::text::clean(&trouble.host, 255);
    if host == words.registry() {
        format!("{}: {}", words.image(), trouble.text)
    } else {
        format!("{}: {host}: {}", words.image(), trouble.text)
    }
}

/// What is known of the Pod's secrets is told beside every outcome.
fn add_login_findings(diagnosis: &mut Diagnosis, words: &Words<'_>) {
    let login = &words.context.pod_login;
    let mut add = |cause: Cause, text: String| {
        if diagnosis.findings.iter().all(|listed| listed.cause != cause) {
            diagnosis.findings.push(Listed { cause, text });
        }
    };
    for source in &login.missing {
        add(Cause::SecretMissing, format!("{source} does not exist"));
    }
    for (source, reason) in &login.ignored {
        add(Cause::SecretInvalid, format!("{source} is ignored by the kubelet: {reason}"));
    }
    if diagnosis.outcome == Outcome::Pullable {
        for source in &login.unused {
            add(Cause::CredentialUnused, format!("{source} has no login that an image here needs"));
        }
    }
    if words.question.candidates.is_empty()
        && login.unread.is_empty()
        && diagnosis.outcome != Outcome::Pullable
    {
        for (source, entries) in &login.without_entry {
            add(Cause::SecretRegistryMismatch, advice::mismatch(source, entries, words.registry()));
        }
    }
}
