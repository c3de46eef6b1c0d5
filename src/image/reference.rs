//! Image references in normal form, as `distribution/reference` v0.6.0 (`normalize.go`,
//! `reference.go`) makes them, and the strings that kubelet and containerd derive from one: what is
//! pulled, what the runtime is told, what credentials are looked up by, which host is asked.
//! The grammar itself is a module of its own; nothing here knows of tags that exist or not.

mod grammar;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::Ipv6Addr;

use serde::Serialize;

use crate::text::{clean, is_unsafe};

use super::digest::{self, Digest};
use grammar::HUB;

/// Longest image text that is looked at, in bytes.
pub const LONGEST_TEXT: usize = 4096;
/// Longest repository name, in bytes, the implied `library/` included.
pub const LONGEST_REPOSITORY: usize = 255;

const LIBRARY: &str = "library/";
const LATEST: &str = "latest";
/// Where containerd finds Docker Hub.
const HUB_ENDPOINT: &str = "registry-1.docker.io";

/// A parsed reference in normal form.
///
/// Two references are equal, hash and order alike when a pull asks the same of the same registry,
/// that is when their [`pull_ref`](Reference::pull_ref) is one text: `nginx`, `docker.io/nginx` and
/// `index.docker.io/library/nginx:latest` are one question, and a tag beside a digest counts for
/// nothing. The text as written plays no part.
#[derive(Debug, Clone)]
pub struct Reference {
    text: String,
    /// Registry and repository, joined by a slash unless the registry is empty.
    name: String,
    registry_length: usize,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// What a pull asks a registry for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target<'a> {
    Tag(&'a str),
    Digest(&'a Digest),
}

/// A reference as a JSON object; absent parts are null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Parts<'a> {
    pub registry: &'a str,
    pub repository: &'a str,
    pub tag: Option<&'a str>,
    pub digest: Option<&'a Digest>,
}

impl Reference {
    /// Parses what stands in an image field, as kubelet and containerd do.
    pub fn parse(text: &str) -> Result<Reference, Error> {
        if text.len() > LONGEST_TEXT {
            return Err(Error::TextTooLong);
        }
        if text.len() == 64 && text.bytes().all(digest::is_lower_hex) {
            return Err(Error::Hex64Identifier);
        }
        let split = grammar::split(text);
        if grammar::has_uppercase(before_colon(split.rest)) {
            return Err(Error::Uppercase);
        }
        let shape = match grammar::check(&split) {
            Ok(shape) => shape,
            Err(_) if grammar::fits_in_lower_case(&split) => return Err(Error::Uppercase),
            Err(_) => return Err(Error::Format),
        };
        let registry_length = if shape.registry_is_path { 0 } else { split.registry.len() };
        let library = if split.library { LIBRARY } else { "" };
        let name = [split.registry, "/", library, shape.name].concat();
        if name.len() - separated(registry_length) > LONGEST_REPOSITORY {
            return Err(Error::TooLong);
        }
        Ok(Reference {
            text: text.to_owned(),
            name,
            registry_length,
            tag: shape.tag.map(str::to_owned),
            digest: shape.digest.map(Digest::parse).transpose()?,
        })
    }

    /// The text as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The registry, its case kept; empty when the first part looks like a host and is none by the
    /// grammar (`my_reg.local/app`), then all of it is repository.
    pub fn registry(&self) -> &str {
        &self.name[..self.registry_length]
    }

    /// The repository below the registry, `library/` filled in on Docker Hub.
    pub fn repository(&self) -> &str {
        &self.name[separated(self.registry_length)..]
    }

    /// The tag as written, `None` when there is none.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest as written, `None` when there is none.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What a pull asks for: the digest if there is one, else the tag, else `latest`.
    pub fn target(&self) -> Target<'_> {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => Target::Digest(digest),
            (None, Some(tag)) => Target::Tag(tag),
            (None, None) => Target::Tag(LATEST),
        }
    }

    /// The pieces as one JSON object.
    pub fn parts(&self) -> Parts<'_> {
        Parts {
            registry: self.registry(),
            repository: self.repository(),
            tag: self.tag(),
            digest: self.digest(),
        }
    }

    /// Whether the registry is Docker Hub.
    pub fn is_docker_hub(&self) -> bool {
        self.registry() == HUB
    }

    /// The short form, with tag and digest: `docker.io/` and a lone `library/` left out.
    pub fn familiar(&self) -> String {
        let mut out = self.familiar_name().to_owned();
        if let Some(tag) = &self.tag {
            out.extend([":", tag]);
        }
        if let Some(digest) = &self.digest {
            out.push('@');
            out += &digest.to_string();
        }
        out
    }

    fn familiar_name(&self) -> &str {
        if !self.is_docker_hub() {
            return &self.name;
        }
        let repository = self.repository();
        repository.strip_prefix(LIBRARY).filter(|rest| !rest.contains('/')).unwrap_or(repository)
    }

    /// What containerd pulls: the tag dropped when there is a digest, `latest` filled in.
    pub fn pull_ref(&self) -> String {
        let separator = if self.digest.is_some() { '@' } else { ':' };
        format!("{}{separator}{}", self.name, self.target())
    }

    /// What kubelet hands to the runtime: the text as written, `:latest` added when it has neither
    /// tag nor digest.
    pub fn cri_image(&self) -> String {
        match (&self.tag, &self.digest) {
            (None, None) => format!("{}:{LATEST}", self.text),
            _ => self.text.clone(),
        }
    }

    /// What kubelet looks credentials up by: the normal form without tag and digest.
    pub fn keyring_lookup(&self) -> &str {
        &self.name
    }

    /// Whether the normal form also passes containerd's second parse, as a URL by Go 1.27: what
    /// stands in brackets must be an IPv6 address. The grammar lets nothing else through that a
    /// URL would refuse.
    pub fn containerd_ok(&self) -> bool {
        let Some(bracketed) = self.host().strip_prefix('[') else { return true };
        bracketed.split_once(']').is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok())
    }

    /// The host, with its port if written, that is asked when no mirror is configured; `None` where
    /// containerd refuses the name before it connects.
    pub fn endpoint_host(&self) -> Option<String> {
        if !self.containerd_ok() {
            return None;
        }
        Some(if self.is_docker_hub() { HUB_ENDPOINT } else { self.host() }.to_owned())
    }

    /// The repository as it stands in `/v2/<repository>/`.
    pub fn endpoint_repository(&self) -> &str {
        &self.name[separated(self.host().len())..]
    }

    /// The registry, or the first path part where the registry is empty.
    fn host(&self) -> &str {
        self.name.split_once('/').map_or(self.registry(), |(host, _)| host)
    }

    fn question(&self) -> (&str, Target<'_>) {
        (&self.name, self.target())
    }
}

fn separated(registry_length: usize) -> usize {
    if registry_length == 0 { 0 } else { registry_length + 1 }
}

fn before_colon(rest: &str) -> &str {
    rest.split_once(':').map_or(rest, |(left, _)| left)
}

impl PartialEq for Reference {
    fn eq(&self, other: &Self) -> bool {
        self.question() == other.question()
    }
}

impl Eq for Reference {}

impl Hash for Reference {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.question().hash(state);
    }
}

impl PartialOrd for Reference {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Reference {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.question().cmp(&other.question())
    }
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Tag(tag) => f.write_str(tag),
            Target::Digest(digest) => digest.fmt(f),
        }
    }
}

/// Why a text is no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Error {
    #[error("not an image reference")]
    Format,
    #[error("the repository name must be lower case")]
    Uppercase,
    #[error("the repository name is longer than {LONGEST_REPOSITORY} characters")]
    TooLong,
    #[error("the image text is longer than {LONGEST_TEXT} bytes")]
    TextTooLong,
    #[error("the digest has the wrong length for its algorithm")]
    DigestLength,
    #[error("the digest is not lower-case hex behind a lower-case algorithm")]
    DigestFormat,
    #[error("the digest's algorithm is not supported")]
    DigestUnsupported,
    #[error("64 hex characters alone are an image ID, not a name")]
    Hex64Identifier,
}

impl Error {
    /// The stable name of the class.
    pub fn id(self) -> &'static str {
        match self {
            Error::Format => "format",
            Error::Uppercase => "uppercase",
            Error::TooLong | Error::TextTooLong => "too_long",
            Error::DigestLength => "digest_length",
            Error::DigestFormat => "digest_format",
            Error::DigestUnsupported => "digest_unsupported",
            Error::Hex64Identifier => "hex64_identifier",
        }
    }

    /// Why `text` is no reference, one phrase for the person who wrote it.
    pub fn describe(self, text: &str) -> String {
        let scheme =
            text.find("://").filter(|at| text[..*at].bytes().all(|b| b.is_ascii_alphanumeric()));
        if let Some(at) = scheme {
            return format!("an image takes no scheme such as {}://", clean(&text[..at], 16));
        }
        if text.is_empty() {
            return "it is empty".to_owned();
        }
        if self == Error::Format
            && let Some(digest) = text.split_once('@').map(|(_, digest)| digest)
            && self.position(text).is_some_and(|at| at > text.len() - digest.len())
        {
            return "its digest is none: an algorithm, a colon and its full hex are wanted"
                .to_owned();
        }
        if self != Error::Format {
            return self.to_string();
        }
        let Some(at) = self.position(text) else { return self.to_string() };
        let nth = text.get(..at).unwrap_or_default().chars().count() + 1;
        match text.get(at..).and_then(|rest| rest.chars().next()) {
            None => "something is missing at its end".to_owned(),
            Some(c) if c.is_whitespace() => format!("character {nth} is a blank"),
            Some(c) if is_unsafe(c) => format!("character {nth} cannot be seen"),
            Some(c) => format!("\"{c}\" cannot stand at character {nth}"),
        }
    }

    /// The byte offset in `text` of the first character that this error is about; the end of the
    /// text when something is missing there, `None` when no single place is at fault.
    pub fn position(self, text: &str) -> Option<usize> {
        let split = grammar::split(text);
        match self {
            Error::Format => grammar::check(&split).err(),
            Error::Uppercase => grammar::first_uppercase(before_colon(split.rest))
                .map(|at| split.rest_at + at)
                .or_else(|| grammar::first_uppercase(text)),
            Error::DigestLength | Error::DigestUnsupported => text.find('@').map(|at| at + 1),
            Error::DigestFormat => {
                let start = text.find('@')? + 1;
                Some(start + grammar::first_uppercase(&text[start..]).unwrap_or(0))
            }
            Error::TooLong | Error::TextTooLong | Error::Hex64Identifier => None,
        }
    }
}

impl From<digest::Error> for Error {
    fn from(error: digest::Error) -> Error {
        match error {
            digest::Error::Format => Error::DigestFormat,
            digest::Error::Length => Error::DigestLength,
            digest::Error::Unsupported => Error::DigestUnsupported,
        }
    }
}

/// The API server's whole verdict on an image field; it never looks at the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Admission {
    Ok,
    /// Empty: `Required value`.
    Required,
    /// `must not have leading or trailing whitespace`.
    Whitespace,
}

impl Admission {
    /// The stable name of the verdict.
    pub fn id(self) -> &'static str {
        match self {
            Admission::Ok => "ok",
            Admission::Required => "required",
            Admission::Whitespace => "whitespace",
        }
    }
}

/// What the API server says to an image of a Pod's container. Go's `strings.TrimSpace` and
/// [`str::trim`] agree on what is white space.
pub fn apiserver_pod(text: &str) -> Admission {
    match text {
        "" => Admission::Required,
        _ if text.trim().len() != text.len() => Admission::Whitespace,
        _ => Admission::Ok,
    }
}

/// What the API server says to an image of a Pod template, where white space passes.
pub fn apiserver_template(text: &str) -> Admission {
    if text.is_empty() { Admission::Required } else { Admission::Ok }
}
