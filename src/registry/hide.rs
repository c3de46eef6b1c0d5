//! A registry, or a gateway before it, may repeat in its error what it was sent. The logins of a
//! question are taken out of everything that was answered to it, before anybody can show it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::credential::Credential;
use crate::diagnosis::Question;
use crate::diagnosis::evidence::{Answer, Contents, Refusal, Reply, Trouble};
use crate::text::clean;

/// What stands where a secret was.
const HIDDEN: &str = "***";
/// Shorter texts are found in ordinary words; a password of this length hides nothing anyway.
const SHORTEST: usize = 4;

/// Takes the passwords of a question, plain and in base64, out of its answer.
pub(super) fn secrets(question: &Question, answer: &mut Answer) {
    let candidates = question.candidates.iter().chain(&question.own);
    let mut secrets: Vec<String> =
        candidates.flat_map(|candidate| spellings(&candidate.credential)).collect();
    secrets.retain(|secret| secret.len() >= SHORTEST);
    // A longer one may hold a shorter one.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.dedup();
    if secrets.is_empty() {
        return;
    }
    for attempt in &mut answer.attempts {
        match &mut attempt.reply {
            Reply::Found(_) => {}
            Reply::Refused(refusal) => of_refusal(refusal, &secrets),
            Reply::Trouble(trouble) => of_trouble(trouble, &secrets),
        }
    }
    match &mut answer.contents {
        Some(Err(trouble)) => of_trouble(trouble, &secrets),
        Some(Ok(Contents::Unsupported { what, .. } | Contents::Corrupt { what })) => {
            hide(what, &secrets);
        }
        Some(Ok(Contents::Image(_))) | None => {}
    }
}

fn of_refusal(refusal: &mut Refusal, secrets: &[String]) {
    let Refusal { codes, text, challenge_error, .. } = refusal;
    for text in codes.iter_mut().chain([text]).chain(challenge_error) {
        hide(text, secrets);
    }
}

fn of_trouble(trouble: &mut Trouble, secrets: &[String]) {
    hide(&mut trouble.text, secrets);
}

/// The password as it is and as it travels, without the padding that a cut may have taken.
fn spellings(credential: &Credential) -> Vec<String> {
    let (user, password) = (credential.user_bytes(), credential.password_bytes());
    if password.is_empty() {
        return Vec::new();
    }
    let both = [user, b":", password].concat();
    let plain = String::from_utf8_lossy(password);
    vec![
        clean(&plain, plain.chars().count()),
        STANDARD_NO_PAD.encode(&both),
        URL_SAFE_NO_PAD.encode(&both),
        STANDARD_NO_PAD.encode(password),
        URL_SAFE_NO_PAD.encode(password),
    ]
}

fn hide(text: &mut String, secrets: &[String]) {
    for secret in secrets {
        if text.contains(secret.as_str()) {
            *text = text.replace(secret.as_str(), HIDDEN);
        }
        hide_cut(text, secret);
    }
}

/// A text that was cut may end in the beginning of a secret.
fn hide_cut(text: &mut String, secret: &str) {
    let Some(kept) = text.strip_suffix('…') else { return };
    let mut ends = secret.char_indices().map(|(at, _)| at).skip(SHORTEST).collect::<Vec<_>>();
    ends.reverse();
    if let Some(end) = ends.into_iter().find(|end| kept.ends_with(&secret[..*end])) {
        *text = format!("{}{HIDDEN}…", &kept[..kept.len() - end]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str) -> String {
        let mut secrets = spellings(&Credential::new("ci", "hunter22"));
        secrets.retain(|secret| secret.len() >= SHORTEST);
        let mut text = text.to_owned();
        hide(&mut text, &secrets);
        text
    }

    #[test]
    fn b42_a_login_that_is_repeated_is_hidden() {
        assert_eq!(hidden("no hunter22 here"), "no *** here");
        assert_eq!(hidden("Basic Y2k6aHVudGVyMjI= is wrong"), "Basic ***= is wrong");
        assert_eq!(hidden("nothing to hide"), "nothing to hide");
    }

    #[test]
    fn b42_a_login_at_the_cut_is_hidden() {
        assert_eq!(hidden("Basic Y2k6aHVudG…"), "Basic ***…");
        assert_eq!(hidden("password hunt…"), "password ***…");
        assert_eq!(hidden("a hut…"), "a hut…");
    }
}
