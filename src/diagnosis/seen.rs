//! Evidence in words: one line an attempt, who asked, what was answered, what it proves.

use std::time::Duration;

use super::Seen;
use super::evidence::{
    Answer, Answerer, Attempt, Auth, By, Contents, Login, Origin, Refusal, Reply, Repository,
    Trouble,
};
use crate::text::{SHOWN, clean};

/// All that was seen, in the order asked.
pub(super) fn evidence(answer: &Answer) -> Vec<Seen> {
    let mut seen: Vec<Seen> = answer.attempts.iter().flat_map(of_attempt).collect();
    let host = seen.last().map(|last| last.host.clone()).unwrap_or_default();
    let credential = seen.last().and_then(|last| last.credential.clone());
    match &answer.contents {
        Some(Err(trouble)) => seen.push(Seen { credential, ..of_trouble(trouble) }),
        Some(Ok(Contents::Unsupported { what, .. } | Contents::Corrupt { what })) => {
            let text =
                format!("{}: read as far as this: {}", clean(&host, 255), clean(what, SHOWN));
            seen.push(Seen { host, status: Some(200), codes: Vec::new(), credential, text });
        }
        _ => {}
    }
    seen
}

/// The mirrors' answers, then the attempt's own.
fn of_attempt(attempt: &Attempt) -> Vec<Seen> {
    let tried = attempt.mirrors.iter().map(|mirror| {
        by(of_reply(&mirror.reply), &mirror.reply, mirror.login.as_ref(), Answerer::Mirror)
    });
    let own = by(answered(attempt), &attempt.reply, attempt.login.as_ref(), attempt.by);
    tried.chain([own]).collect()
}

fn by(mut seen: Seen, reply: &Reply, login: Option<&Login>, answerer: Answerer) -> Seen {
    let sent = login.filter(|_| !was_not_asked_for(reply));
    let credential = sent.map(|login| (clean(&login.user, 80), login.source.to_string()));
    let who = match login {
        Some(_) if sent.is_none() => "without login (none was asked for)".to_owned(),
        None => "without login".to_owned(),
        Some(login) if login.sends_nothing => {
            format!("with the empty login of {}, which sends nothing", login.source)
        }
        Some(login) => format!("with the login of {}", login.source),
    };
    let mirror = if answerer == Answerer::Mirror { " (a mirror)" } else { "" };
    seen.text = format!("{}{mirror} {who}: {}", clean(&seen.host, 255), seen.text);
    seen.credential = credential;
    seen
}

/// Whether the registry answered without ever asking for the login, so that it was never sent.
fn was_not_asked_for(reply: &Reply) -> bool {
    let auth = match reply {
        Reply::Found(found) => found.auth,
        Reply::Refused(refusal) => Some(refusal.auth),
        Reply::Trouble(_) => None,
    };
    auth == Some(Auth::NotDemanded)
}

/// What an attempt came to, whoever asked.
pub(super) fn answered(attempt: &Attempt) -> Seen {
    let mut seen = of_reply(&attempt.reply);
    seen.text.push_str(&age(attempt.origin));
    if let Some(trouble) = &attempt.unlisted {
        seen.text
            .push_str(&format!("; its tags could not be listed: {}", of_trouble(trouble).text));
    }
    if let Some(proof) = proof(&attempt.repository) {
        seen.text.push_str(proof);
    }
    seen
}

fn of_reply(reply: &Reply) -> Seen {
    match reply {
        Reply::Found(found) => Seen {
            host: found.host.clone(),
            status: Some(200),
            codes: Vec::new(),
            credential: None,
            text: format!("200 {}", found.digest),
        },
        Reply::Refused(refusal) => of_refusal(refusal),
        Reply::Trouble(trouble) => of_trouble(trouble),
    }
}

/// What was not asked now says so and how old it is.
fn age(origin: Origin) -> String {
    let ago = |age: Duration| match age.as_secs() {
        seconds @ 0..120 => format!("{seconds} s ago"),
        seconds => format!("{} min ago", seconds / 60),
    };
    match origin {
        // Memory holds what counts as now.
        Origin::Asked | Origin::Memory(_) => String::new(),
        Origin::Disk(age) => format!(" (from the cache of {})", ago(age)),
        Origin::Stale(age) => format!(" (seen {}; the registry is out of order since)", ago(age)),
    }
}

fn of_refusal(refusal: &Refusal) -> Seen {
    let mut status = refusal.status.to_string();
    for code in &refusal.codes {
        status.push(' ');
        status.push_str(code);
    }
    let mut text = match (refusal.by, refusal.auth) {
        (By::Registry, Auth::BasicDemanded) => format!("{status}, a login is demanded"),
        (By::Registry, _) => status,
        (By::TokenService, Auth::LoginTokenRefused) => {
            format!("{status} from the token service to the login")
        }
        (By::TokenService, Auth::LoginRefused) => {
            format!("{status} from the token service to the login, whatever it asks for")
        }
        (By::TokenService, Auth::RepositoryRefused) => {
            format!("{status} from the token service for this repository")
        }
        (By::TokenService, _) => format!("{status} from the token service"),
    };
    if let Some(error) = &refusal.challenge_error {
        text.push_str(&format!(" {}", clean(error, 64)));
    }
    if matches!(refusal.auth, Auth::LoginToken | Auth::RepositoryRefused) {
        text.push_str(" (the login itself was accepted)");
    }
    if !refusal.text.is_empty() {
        text.push_str(&format!(": {}", refusal.text));
    }
    Seen {
        host: refusal.host.clone(),
        status: Some(refusal.status),
        codes: refusal.codes.clone(),
        credential: None,
        text,
    }
}

fn of_trouble(trouble: &Trouble) -> Seen {
    let text = match trouble.status {
        Some(status) => format!("{status}, {}", trouble.text),
        None => trouble.text.clone(),
    };
    Seen {
        host: trouble.host.clone(),
        status: trouble.status,
        codes: Vec::new(),
        credential: None,
        text,
    }
}

fn proof(repository: &Repository) -> Option<&'static str> {
    match repository {
        Repository::Unknown => None,
        Repository::Readable { .. } => Some("; the repository is readable"),
        Repository::NameUnknown { .. } => Some("; NAME_UNKNOWN for the repository"),
    }
}
