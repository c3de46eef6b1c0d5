//! Secrets that a registry says back: a message may quote the header or the form it was sent, and
//! that message is shown to people who may not see the login.

use std::ops::Deref;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use reqwest::header::HeaderValue;

use crate::credential::Credential;

/// Shorter secrets are common words or parts of them, and hiding those would spoil every message.
const SHORTEST: usize = 4;

/// The logins of one question, in every form they are sent in: what was sent with one login may be said
/// back to the next.
#[derive(Default, Clone)]
pub(super) struct Mask(Vec<String>);

impl Mask {
    pub fn new<'a>(logins: impl IntoIterator<Item = &'a Credential>) -> Self {
        let mut mask = Self::default();
        for login in logins {
            let password = login.password_bytes();
            let basic = [login.user_bytes(), b":", password].concat();
            mask.add(String::from_utf8_lossy(password).into_owned());
            mask.add(url::form_urlencoded::byte_serialize(password).collect());
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                mask.add(engine.encode(&basic));
                mask.add(engine.encode(password));
            }
        }
        mask
    }

    /// The same and the token, or the login, of an Authorization header.
    pub fn with(&self, header: Option<&HeaderValue>) -> Self {
        let mut mask = self.clone();
        if let Some((_, sent)) = header.and_then(|header| header.to_str().ok()?.split_once(' ')) {
            mask.add(sent.to_owned());
        }
        mask
    }

    /// A secret that holds another goes first, so that no end of it is left over.
    fn add(&mut self, secret: String) {
        if secret.len() >= SHORTEST {
            let at = self.0.partition_point(|other| other.len() > secret.len());
            self.0.insert(at, secret);
        }
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

/// A mask that is made when it is first needed: most questions are answered from memory.
pub(super) struct LazyMask<'a> {
    logins: Vec<&'a Credential>,
    mask: OnceLock<Mask>,
}

impl<'a> LazyMask<'a> {
    pub fn new(logins: impl IntoIterator<Item = &'a Credential>) -> Self {
        Self { logins: logins.into_iter().collect(), mask: OnceLock::new() }
    }
}

impl Deref for LazyMask<'_> {
    type Target = Mask;

    fn deref(&self) -> &Mask {
        self.mask.get_or_init(|| Mask::new(self.logins.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn b42_every_form_of_a_login_is_hidden() {
        let login = Credential::new("ci", "s3cr&t pass");
        let header = HeaderValue::from_static("Bearer abcdef");
        let mask = Mask::new([&login]).with(Some(&header));
        let text = format!(
            "a s3cr&t pass b s3cr%26t+pass c {} d {} e abcdef",
            STANDARD.encode("ci:s3cr&t pass"),
            STANDARD.encode("s3cr&t pass")
        );
        assert_eq!(mask.hide(&text).replace("***=", "***"), "a *** b *** c *** d *** e ***");
        assert!(mask.covers(&text) && !mask.covers("a b"));
    }

    #[test]
    fn a_password_of_three_letters_leaves_the_words_alone() {
        let mask = Mask::new([&Credential::new("ci", "not")]);
        assert_eq!(mask.hide("manifest not found"), "manifest not found");
    }
}
