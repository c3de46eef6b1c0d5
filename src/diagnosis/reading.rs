//! Reads refusals: which cause each attempt's answer has, and which of several tells most. One rule a
//! function; the weaker cause stands wherever the evidence does not reach further.

use super::advice::Words;
use super::cause::{Cause, Reason};
use super::evidence::{Attempt, Auth, By, Refusal, Reply, Repository, Trouble};
use super::families;
use crate::image::reference::Target;

/// What an attempt, or all of them, come to.
#[derive(Debug, Clone)]
pub(super) enum Reading {
    Cause(Cause),
    Unknown(Trouble),
}

/// Readings of the Pod's attempts and of what others proved, the most telling first.
pub(super) fn readings(words: &Words<'_>) -> Vec<Reading> {
    let mut ranked: Vec<(u8, Reading)> = Vec::new();
    for attempt in &words.answer.attempts {
        let Some(reading) = read(attempt, words) else { continue };
        let proves_absence =
            matches!(reading, Reading::Cause(Cause::TagNotFound | Cause::DigestNotFound));
        if words.counts(attempt) || proves_absence {
            ranked.push((rank(&reading), reading));
        }
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, reading)| reading).collect()
}

/// What got furthest tells most; what could not be told beats every refusal but a proven absence.
fn rank(reading: &Reading) -> u8 {
    match reading {
        Reading::Cause(Cause::TagNotFound | Cause::DigestNotFound) => 0,
        Reading::Unknown(_) => 1,
        Reading::Cause(Cause::RepositoryNotFound) => 2,
        Reading::Cause(Cause::BlockedByRegistry) => 3,
        Reading::Cause(Cause::AccessDenied) => 4,
        Reading::Cause(Cause::CredentialsRejected) => 5,
        Reading::Cause(Cause::Unauthorized) => 6,
        Reading::Cause(Cause::CredentialsMissing) => 7,
        Reading::Cause(_) => 8,
    }
}

fn read(attempt: &Attempt, words: &Words<'_>) -> Option<Reading> {
    match &attempt.reply {
        Reply::Found(_) => None,
        Reply::Trouble(trouble) => Some(Reading::Unknown(trouble.clone())),
        Reply::Refused(refusal) => Some(read_refusal(attempt, refusal, words)),
    }
}

fn read_refusal(attempt: &Attempt, refusal: &Refusal, words: &Words<'_>) -> Reading {
    if families::is_blocked(refusal, words.question.reference.endpoint_repository()) {
        return Reading::Cause(Cause::BlockedByRegistry);
    }
    match (refusal.by, refusal.status) {
        (By::TokenService, status) if is_no_token_service(refusal, words) => {
            Reading::Unknown(Trouble {
                reason: Reason::Seen(Cause::BadAnswer),
                host: refusal.host.clone(),
                status: Some(status),
                text: format!("the token service: {status}, which is no answer of one"),
            })
        }
        (By::TokenService, _) => Reading::Cause(token_refused(refusal, words)),
        (By::Registry, 404 | 410) => Reading::Cause(not_found(attempt, refusal, words)),
        (By::Registry, 401 | 403) => Reading::Cause(denied(refusal, words)),
        (By::Registry, status) => Reading::Unknown(Trouble {
            reason: Reason::Seen(Cause::BadAnswer),
            host: refusal.host.clone(),
            status: Some(status),
            text: if refusal.text.is_empty() {
                "a refusal that no registry gives here".to_owned()
            } else {
                refusal.text.clone()
            },
        }),
    }
}

fn not_found(attempt: &Attempt, refusal: &Refusal, words: &Words<'_>) -> Cause {
    let missing = if words.question.reference.digest().is_some() {
        Cause::DigestNotFound
    } else {
        Cause::TagNotFound
    };
    let logged_in = matches!(refusal.auth, Auth::LoginToken | Auth::BasicSent);
    let name_unknown = refusal.codes.iter().any(|code| code == "NAME_UNKNOWN");
    match &attempt.repository {
        // The tag is listed and not given: a rule of the registry hides it, or it is damaged.
        Repository::Readable { tags } if lists(tags, words) => Cause::AbsentOrPrivate,
        Repository::Readable { .. } => missing,
        Repository::NameUnknown { login_demanded } if logged_in || !login_demanded => {
            Cause::RepositoryNotFound
        }
        Repository::NameUnknown { .. } => Cause::AbsentOrPrivate,
        Repository::Unknown if name_unknown && logged_in => Cause::RepositoryNotFound,
        Repository::Unknown
            if logged_in
                && families::codes_tell(words.registry())
                && refusal.codes.iter().any(|code| code == "MANIFEST_UNKNOWN") =>
        {
            missing
        }
        Repository::Unknown if families::says_not_found_only_of_tags(words.registry()) => missing,
        Repository::Unknown => Cause::AbsentOrPrivate,
    }
}

/// Nobody is refused a token by 404 or 405: whatever answers so is in the wrong place. Services that
/// hide what is private have their own ways.
fn is_no_token_service(refusal: &Refusal, words: &Words<'_>) -> bool {
    refusal.auth == Auth::AnonymousTokenRefused
        && !matches!(refusal.status, 400 | 401 | 403)
        && !families::token_service_hides(words.registry())
}

/// The token service refused to issue a token.
fn token_refused(refusal: &Refusal, words: &Words<'_>) -> Cause {
    let hides = families::token_service_hides(words.registry());
    match (refusal.auth, refusal.status) {
        _ if families::says_login_expired(refusal) => Cause::CredentialsRejected,
        (Auth::LoginRefused, _) | (Auth::LoginTokenRefused, 401) => Cause::CredentialsRejected,
        (Auth::RepositoryRefused, _) if is_known_to_exist(words) => Cause::AccessDenied,
        (Auth::RepositoryRefused, _) => Cause::AbsentOrPrivate,
        (Auth::LoginTokenRefused, 403) if hides => Cause::AbsentOrPrivate,
        (Auth::LoginTokenRefused, _) => Cause::Unauthorized,
        (_, 401) if !hides => Cause::CredentialsMissing,
        // Nobody is refused as such with 403, but what is absent or private may be.
        (_, 401 | 403) => Cause::AbsentOrPrivate,
        (_, _) if hides => Cause::AbsentOrPrivate,
        (_, _) => Cause::Unauthorized,
    }
}

/// The registry itself answered 401 or 403.
fn denied(refusal: &Refusal, words: &Words<'_>) -> Cause {
    match (refusal.auth, refusal.status) {
        (Auth::BasicDemanded, _) => Cause::CredentialsMissing,
        (Auth::BasicSent, 401) => Cause::CredentialsRejected,
        (Auth::BasicSent, _) if families::says_login_expired(refusal) => Cause::CredentialsRejected,
        (Auth::BasicSent | Auth::LoginToken, _) if is_known_to_exist(words) => Cause::AccessDenied,
        (_, _) => Cause::AbsentOrPrivate,
    }
}

fn lists(tags: &[String], words: &Words<'_>) -> bool {
    match words.question.reference.target() {
        Target::Tag(asked) => tags.iter().any(|tag| tag == asked),
        Target::Digest(_) => false,
    }
}

/// Another login was let in, or listed the repository.
fn is_known_to_exist(words: &Words<'_>) -> bool {
    let knows = |attempt: &Attempt| {
        matches!(attempt.reply, Reply::Found(_))
            || matches!(attempt.repository, Repository::Readable { .. })
    };
    words.answer.attempts.iter().any(knows)
}
