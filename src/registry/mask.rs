//! Secrets that a registry says back: a message may quote the header or the form it was sent, and
//! that message is shown to people who may not see the login.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;

use crate::credential::Credential;

/// Shorter secrets are common words or parts of them, and hiding those would spoil every message.
const SHORTEST: usize = 4;

/// What one request was sent with, in every form it was sent in.
#[derive(Default)]
pub(super) struct Mask(Vec<String>);

impl Mask {
    pub fn new(login: Option<&Credential>, header: Option<&HeaderValue>) -> Self {
        let mut secrets = Vec::new();
        if let Some(login) = login {
            let password = login.password_bytes();
            let basic = [login.user_bytes(), b":", password].concat();
            secrets.push(String::from_utf8_lossy(password).into_owned());
            secrets.push(url::form_urlencoded::byte_serialize(password).collect());
            secrets.extend([STANDARD.encode(basic), STANDARD.encode(password)]);
        }
        let sent = header.and_then(|header| header.to_str().ok()?.split_once(' '));
        secrets.extend(sent.map(|(_, token)| token.to_owned()));
        secrets.retain(|secret| secret.len() >= SHORTEST);
        // A secret that holds another goes first, so that no end of it is left over.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// Whether a text holds one of the secrets.
    pub fn covers(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret))
    }

    /// The text without the secrets. To be called before anything is cut or cleaned.
    pub fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b42_every_form_of_a_login_is_hidden() {
        let login = Credential::new("ci", "s3cr&t pass");
        let header = HeaderValue::from_static("Bearer abcdef");
        let mask = Mask::new(Some(&login), Some(&header));
        let text = format!(
            "a s3cr&t pass b s3cr%26t+pass c {} d {} e abcdef",
            STANDARD.encode("ci:s3cr&t pass"),
            STANDARD.encode("s3cr&t pass")
        );
        assert_eq!(mask.hide(&text), "a *** b *** c *** d *** e ***");
        assert!(mask.covers(&text) && !mask.covers("a b"));
    }

    #[test]
    fn a_password_of_three_letters_leaves_the_words_alone() {
        let mask = Mask::new(Some(&Credential::new("ci", "not")), None);
        assert_eq!(mask.hide("manifest not found"), "manifest not found");
    }
}
