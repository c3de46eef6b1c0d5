//! `WWW-Authenticate`: what a registry asks for, read exactly as containerd reads it
//! (`core/remotes/docker/auth/parse.go`, `auth/fetch.go` and the choice in `authorizer.go`).
//!
//! One header line gives one challenge, parameters end at the first syntax error, and Bearer goes
//! before Basic. Whether a realm may be asked, and with which secret, is decided elsewhere.

use std::collections::BTreeMap;
use std::fmt;

use crate::credential::go_url;

/// The longest header value that is read, in bytes; longer ones are ignored.
pub const MAX_HEADER: usize = 16 << 10;

/// An authentication scheme that containerd knows, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    Basic,
    Digest,
    Bearer,
}

/// One challenge of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// What the registry asks for.
    pub scheme: Scheme,
    /// The parameters, names in lower case.
    pub parameters: BTreeMap<String, String>,
}

/// Where a token is to be asked for, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BearerChallenge {
    /// The token URL as written again by the parser; it may be relative or of any scheme.
    pub realm: String,
    /// The service parameter, empty when absent.
    pub service: String,
    /// The scopes of the challenge, empty elements kept.
    pub scopes: Vec<String>,
    /// The error parameter, if it is not empty.
    pub error: Option<String>,
}

/// Why no token can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// The challenge has no realm.
    NoRealm,
    /// The realm is no URL.
    InvalidRealm,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unusable::NoRealm => "no realm specified for token auth challenge",
            Unusable::InvalidRealm => "invalid token auth challenge realm",
        })
    }
}

/// What containerd does about the challenges of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// Ask for a token.
    Bearer(BearerChallenge),
    /// Bearer was asked for, but no token request is possible; other challenges are not tried.
    BearerUnusable {
        /// What is wrong with the challenge.
        reason: Unusable,
        /// The error parameter, if it is not empty.
        error: Option<String>,
    },
    /// Send user and password.
    Basic {
        /// The realm parameter, empty when absent; nothing depends on it.
        realm: String,
    },
    /// Nothing usable: the 401 is final.
    None,
}

/// The known challenges of a response, one a header value, Bearer before Digest before Basic.
pub fn parse(headers: &[impl AsRef<[u8]>]) -> Vec<Challenge> {
    let values = headers.iter().map(AsRef::as_ref).filter(|h| h.len() <= MAX_HEADER);
    let mut challenges: Vec<_> = values.filter_map(parse_value).collect();
    challenges.sort_by_key(|c| std::cmp::Reverse(c.scheme));
    challenges
}

/// The one challenge that containerd acts on; `challenges` as [`parse`] returns them.
pub fn choose(challenges: &[Challenge]) -> Use {
    match challenges.iter().find(|c| c.scheme != Scheme::Digest) {
        None => Use::None,
        Some(c) if c.scheme == Scheme::Basic => Use::Basic { realm: c.text("realm") },
        Some(c) => c.bearer(),
    }
}

impl Challenge {
    fn text(&self, name: &str) -> String {
        self.parameters.get(name).cloned().unwrap_or_default()
    }

    fn bearer(&self) -> Use {
        let error = Some(self.text("error")).filter(|e| !e.is_empty());
        let realm = match self.parameters.get("realm").map(|r| go_url::parse(r.as_bytes())) {
            None => return Use::BearerUnusable { reason: Unusable::NoRealm, error },
            Some(Err(_)) => return Use::BearerUnusable { reason: Unusable::InvalidRealm, error },
            Some(Ok(url)) => url.write(),
        };
        let scopes = self.parameters.get("scope").map(|s| s.split(' ').map(str::to_owned));
        Use::Bearer(BearerChallenge {
            realm,
            service: self.text("service"),
            scopes: scopes.map(Iterator::collect).unwrap_or_default(),
            error,
        })
    }
}

fn parse_value(header: &[u8]) -> Option<Challenge> {
    let (scheme, mut rest) = token(header);
    let scheme = match scheme.to_ascii_lowercase().as_slice() {
        b"basic" => Scheme::Basic,
        b"digest" => Scheme::Digest,
        b"bearer" => Scheme::Bearer,
        _ => return None,
    };
    let mut parameters = BTreeMap::new();
    loop {
        let (name, after) = token(skip_space(rest));
        let Some(after) = after.strip_prefix(b"=").filter(|_| !name.is_empty()) else { break };
        let (value, after) = token_or_quoted(after);
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        parameters.insert(name, String::from_utf8_lossy(&value).into_owned());
        let Some(after) = skip_space(after).strip_prefix(b",") else { break };
        rest = after;
    }
    Some(Challenge { scheme, parameters })
}

/// A value; an open quote makes it empty and ends the line.
fn token_or_quoted(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let Some(text) = text.strip_prefix(b"\"") else {
        let (value, rest) = token(text);
        return (value.to_vec(), rest);
    };
    let mut value = Vec::new();
    let mut escaped = false;
    for (i, &b) in text.iter().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' => {
                escaped = true;
                continue;
            }
            b'"' => return (value, &text[i + 1..]),
            _ => {}
        }
        value.push(b);
    }
    (Vec::new(), &[])
}

fn token(text: &[u8]) -> (&[u8], &[u8]) {
    let is_token = |b: &u8| b.is_ascii_graphic() && !b"\"(),/:;<=>?@[]\\{}".contains(b);
    text.split_at(text.iter().position(|b| !is_token(b)).unwrap_or(text.len()))
}

fn skip_space(text: &[u8]) -> &[u8] {
    let space = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
    &text[text.iter().position(|b| !space(b)).unwrap_or(text.len())..]
}
