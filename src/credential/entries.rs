//! The registry entries of docker configuration JSON, decoded as
//! `pkg/credentialprovider/config.go` of the kubelet does.
//!
//! Only username, password, email and auth are read, and auth wins. What is wrong with a document
//! is told as a [`Reason`], never in the words of a parser that would quote the document.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::value::RawValue;

use super::{Credential, Source, go_json, go_url};
use crate::text;

/// The largest document that is read: the API server stores no larger Secret.
pub const MAX_DOCUMENT: usize = 1 << 20;

/// What is wrong with a pull secret or a docker configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The document is no JSON at all.
    NotJson,
    /// An object was expected here.
    NotAnObject,
    /// The `auths` member is no object.
    AuthsNotAnObject,
    /// The `HttpHeaders` member is no map of strings, which a kubelet refuses as well.
    BadHttpHeaders,
    /// The named field of an entry is no string.
    NotAString(&'static str),
    /// `auth` is not base64 in the standard alphabet.
    AuthNotBase64,
    /// `auth` decodes to something without a colon.
    AuthWithoutColon,
    /// The data of a key is not base64.
    DataNotBase64,
    /// The data of a key is no string.
    DataNotAString,
    /// The document is larger than [`MAX_DOCUMENT`].
    TooLarge,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::NotJson => "not valid JSON",
            Reason::NotAnObject => "not a JSON object",
            Reason::AuthsNotAnObject => "auths is not a JSON object",
            Reason::BadHttpHeaders => "HttpHeaders is not a map of strings",
            Reason::NotAString(field) => return write!(f, "{field} is not a string"),
            Reason::AuthNotBase64 => "auth is illegal base64",
            Reason::AuthWithoutColon => "auth has no colon, it must be base64 of user:password",
            Reason::DataNotBase64 => "illegal base64",
            Reason::DataNotAString => "not a string",
            Reason::TooLarge => "larger than 1 MiB",
        })
    }
}

/// A pull secret or docker configuration that cannot be read, without any of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The secret or file that is wrong.
    pub origin: Source,
    /// The `auths` entry or data key that is wrong; `None` for the document itself.
    pub key: Option<String>,
    /// What is wrong with it.
    pub reason: Reason,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.origin.to_string();
        write!(f, "{}: ", text::clean(&origin, text::SHOWN))?;
        if let Some(key) = &self.key {
            let what = match self.reason {
                Reason::DataNotBase64 | Reason::DataNotAString => "data key",
                _ => "entry",
            };
            write!(f, "{what} \"{}\": ", text::clean(key, text::SHOWN))?;
        }
        self.reason.fmt(f)
    }
}

impl std::error::Error for Error {}

/// What is wrong, before it is known where the document came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) key: Option<String>,
    pub(super) reason: Reason,
}

impl Problem {
    fn document(reason: Reason) -> Self {
        Self { key: None, reason }
    }

    pub(super) fn at(self, origin: Source) -> Error {
        Error { origin, key: self.key, reason: self.reason }
    }
}

/// The two forms of a docker configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `config.json`: entries below `auths`.
    ConfigJson,
    /// `.dockercfg`: entries at the top level.
    Dockercfg,
}

/// Entries by the key as written.
pub(super) type Entries = BTreeMap<String, Credential>;

/// A document whose JSON holds; each entry is good or bad by itself.
#[derive(Default)]
pub(super) struct Document {
    /// The last entry of each key.
    pub(super) entries: BTreeMap<String, Result<Credential, Reason>>,
    /// The `identitytoken` of each key, which a kubelet does not use.
    pub(super) identity_tokens: Entries,
    /// Keys, fit to be shown, of entries with a `registrytoken`, which nobody here uses.
    pub(super) registry_tokens: Vec<String>,
    /// `credsStore` and `credHelpers`, the first without a registry.
    pub(super) helpers: Vec<(Option<String>, String)>,
    first_problem: Option<Problem>,
}

impl Document {
    /// Reads a document; wrong entries are kept as such.
    pub(super) fn read(bytes: &[u8], form: Form) -> Result<Self, Problem> {
        if bytes.len() > MAX_DOCUMENT {
            return Err(Problem::document(Reason::TooLarge));
        }
        let text = go_json::text(bytes);
        let members = go_json::object(&text).map_err(|fault| {
            Problem::document(match fault {
                go_json::Fault::Syntax => Reason::NotJson,
                go_json::Fault::Type => Reason::NotAnObject,
            })
        })?;
        let mut document = Self::default();
        match form {
            Form::Dockercfg => document.take_entries(members.unwrap_or_default()),
            Form::ConfigJson => {
                for (name, value) in members.unwrap_or_default() {
                    document.take_member(&name, value);
                }
            }
        }
        Ok(document)
    }

    /// The entries as a kubelet has them: one bad entry spoils all.
    pub(super) fn strict(self) -> Result<Entries, Problem> {
        match self.first_problem {
            Some(problem) => Err(problem),
            None => Ok(self.entries.into_iter().filter_map(|(k, e)| Some((k, e.ok()?))).collect()),
        }
    }

    fn take_member(&mut self, name: &str, value: &RawValue) {
        if go_json::is_field(name, "auths") {
            match go_json::object(value.get()) {
                Ok(Some(members)) => self.take_entries(members),
                Ok(None) => self.entries.clear(),
                Err(_) => self.problem(None, Reason::AuthsNotAnObject),
            }
        } else if go_json::is_field(name, "httpheaders") {
            if !is_string_map(value) {
                self.problem(None, Reason::BadHttpHeaders);
            }
        } else if go_json::is_field(name, "credsstore") {
            let helper = go_json::string(value).ok().flatten().filter(|h| !h.is_empty());
            self.helpers.extend(helper.map(|h| (None, h)));
        } else if go_json::is_field(name, "credhelpers") {
            for (registry, helper) in members_of(value) {
                let helper = go_json::string(helper).ok().flatten().unwrap_or_default();
                self.helpers.push((Some(registry), helper));
            }
        }
    }

    fn take_entries(&mut self, members: go_json::Members<'_>) {
        for (key, value) in members {
            let entry = decode_entry(value);
            if let Err(reason) = entry {
                self.problem(Some(shown_key(&key)), reason);
            }
            self.identity_tokens.remove(&key);
            for (name, token) in members_of(value) {
                let Some(token) = filled(token) else { continue };
                if go_json::is_field(&name, "identitytoken") {
                    self.identity_tokens.insert(key.clone(), Credential::identity_token(token));
                } else if go_json::is_field(&name, "registrytoken") {
                    self.registry_tokens.push(shown_key(&key));
                }
            }
            self.entries.insert(key, entry);
        }
    }

    fn problem(&mut self, key: Option<String>, reason: Reason) {
        self.first_problem.get_or_insert(Problem { key, reason });
    }
}

/// The members of what may be an object.
fn members_of(value: &RawValue) -> go_json::Members<'_> {
    go_json::object(value.get()).ok().flatten().unwrap_or_default()
}

fn is_string_map(value: &RawValue) -> bool {
    go_json::object(value.get())
        .is_ok_and(|m| m.unwrap_or_default().iter().all(|(_, v)| go_json::string(v).is_ok()))
}

/// A string that is not empty.
fn filled(value: &RawValue) -> Option<String> {
    go_json::string(value).ok().flatten().filter(|text| !text.is_empty())
}

fn decode_entry(value: &RawValue) -> Result<Credential, Reason> {
    const FIELDS: [&str; 4] = ["username", "password", "email", "auth"];
    let mut found: [String; 4] = Default::default();
    let members = go_json::object(value.get()).map_err(|_| Reason::NotAnObject)?;
    for (name, value) in members.unwrap_or_default() {
        if let Some(i) = FIELDS.iter().position(|field| go_json::is_field(&name, field)) {
            let text = go_json::string(value).map_err(|_| Reason::NotAString(FIELDS[i]))?;
            found[i] = text.unwrap_or(std::mem::take(&mut found[i]));
        }
    }
    let [user, password, _, auth] = found;
    if auth.is_empty() { Ok(Credential::new(user, password)) } else { decode_auth(&auth) }
}

/// Base64 of `user:password`; a trailing `=` decides whether padding is needed or refused.
fn decode_auth(auth: &str) -> Result<Credential, Reason> {
    let padded = auth.trim_end().ends_with('=');
    let decoded = decode_base64(auth, padded).ok_or(Reason::AuthNotBase64)?;
    let colon = decoded.iter().position(|b| *b == b':').ok_or(Reason::AuthWithoutColon)?;
    Ok(Credential::new(&decoded[..colon], &decoded[colon + 1..]))
}

/// Go's standard base64: line breaks are skipped, spare bits of the last character ignored.
pub(super) fn decode_base64(text: &str, padded: bool) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let mode =
        if padded { DecodePaddingMode::RequireCanonical } else { DecodePaddingMode::RequireNone };
    let engine = GeneralPurpose::new(&STANDARD, config.with_decode_padding_mode(mode));
    let text: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    engine.decode(text).ok()
}

/// A key fit to be shown: without user info, query and fragment, where some put a password.
pub(super) fn shown_key(key: &str) -> String {
    let end = key.find(['?', '#']).unwrap_or(key.len());
    let key = &key[..end];
    let is_scheme = |s: &str| s.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let start = key.find("://").filter(|i| is_scheme(&key[..*i])).map_or(0, |i| i + 3);
    let authority = key[start..].find('/').map_or(key.len(), |i| start + i);
    match key[start..authority].rfind('@') {
        Some(at) => format!("{}{}", &key[..start], &key[start + at + 1..]),
        None => key.to_owned(),
    }
}

/// The key under which a kubelet files an entry; `None` where its URL parser refuses the key.
pub(super) fn index_key(key: &str) -> Option<Vec<u8>> {
    let has_scheme = key.starts_with("https://") || key.starts_with("http://");
    let scheme = if has_scheme { "" } else { "https://" };
    let url = go_url::parse([scheme, key].concat().as_bytes()).ok()?;
    let mut path = url.path.as_slice();
    if path.starts_with(b"/v1/") || path.starts_with(b"/v2/") {
        path = &path[3..];
    }
    if path == b"/" {
        path = b"";
    }
    Some([&url.host, path].concat())
}

/// The registries that some entries are for, as shown to people.
pub(super) fn registries<'a>(keys: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut found: Vec<_> = keys
        .filter_map(|key| index_key(key))
        .filter(|key| !key.is_empty())
        .map(|key| text::clean(&go_json::lossy(&key), text::SHOWN))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}
