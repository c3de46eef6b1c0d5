//! The grammar of `distribution/reference` v0.6.0 (`regexp.go`, and the domain split of
//! `normalize.go`), written by hand: every function walks its text once. A refusal is the byte
//! offset of the first character that does not fit.

/// Docker Hub's name in the normal form.
pub(super) const HUB: &str = "docker.io";
const LEGACY_HUB: &str = "index.docker.io";
const LOCALHOST: &str = "localhost";
const LONGEST_TAG: usize = 128;
const SHORTEST_HEX: usize = 32;

/// An image text, cut after what counts as its registry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Split<'a> {
    pub registry: &'a str,
    /// `library/` is implied before `rest`.
    pub library: bool,
    /// Repository, tag and digest as written.
    pub rest: &'a str,
    /// Where `rest` begins in the text.
    pub rest_at: usize,
}

/// A text that fits the grammar, in pieces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape<'a> {
    /// The registry is no valid domain and belongs to the path.
    pub registry_is_path: bool,
    pub name: &'a str,
    pub tag: Option<&'a str>,
    pub digest: Option<&'a str>,
}

/// Decides whether the part before the first slash is a registry.
pub(super) fn split(text: &str) -> Split<'_> {
    let hub = Split { registry: HUB, library: !text.contains('/'), rest: text, rest_at: 0 };
    let Some((first, rest)) = text.split_once('/') else { return hub };
    let registry = match first {
        LEGACY_HUB => HUB,
        LOCALHOST => LOCALHOST,
        _ if first.contains(['.', ':']) || has_uppercase(first) => first,
        _ => return hub,
    };
    let library = registry == HUB && !rest.contains('/');
    Split { registry, library, rest, rest_at: first.len() + 1 }
}

/// Holds the whole of a split text against the grammar.
pub(super) fn check<'a>(split: &Split<'a>) -> Result<Shape<'a>, usize> {
    let registry_is_path = match domain(split.registry) {
        Ok(()) => false,
        Err(_) if path(split.registry).is_ok() => true,
        Err(at) => return Err(at),
    };
    let shape = Shape { registry_is_path, ..pieces(split.rest) };
    let mut at = split.rest_at;
    path(shape.name).map_err(|e| at + e)?;
    at += shape.name.len() + 1;
    if let Some(text) = shape.tag {
        tag(text).map_err(|e| at + e)?;
        at += text.len() + 1;
    }
    if let Some(text) = shape.digest {
        digest(text).map_err(|e| at + e)?;
    }
    Ok(shape)
}

/// Whether the text would fit if all of it were lower case.
pub(super) fn fits_in_lower_case(split: &Split<'_>) -> bool {
    if !has_uppercase(split.registry) && !has_uppercase(split.rest) {
        return false;
    }
    let lower = |text: &str| text.chars().map(lower_case).collect::<String>();
    let (registry, rest) = (lower(split.registry), lower(split.rest));
    check(&Split { registry: &registry, rest: &rest, ..*split }).is_ok()
}

/// Whether Go's `strings.ToLower` would change the text.
pub(super) fn has_uppercase(text: &str) -> bool {
    first_uppercase(text).is_some()
}

/// The offset of the first character that Go's `strings.ToLower` would change.
pub(super) fn first_uppercase(text: &str) -> Option<usize> {
    text.char_indices().find(|&(_, c)| lower_case(c) != c).map(|(at, _)| at)
}

/// Go maps one character to one; the full mapping of U+0130 would be two.
fn lower_case(c: char) -> char {
    match c {
        '\u{130}' => 'i',
        c => c.to_lowercase().next().unwrap_or(c),
    }
}

/// Cuts at the first `@` and at the first colon behind the last slash. Neither character can be
/// part of what stands before it, so any other cut fails too.
fn pieces(rest: &str) -> Shape<'_> {
    let (left, digest) = match rest.split_once('@') {
        Some((left, digest)) => (left, Some(digest)),
        None => (rest, None),
    };
    let last = left.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match left[last..].find(':') {
        Some(colon) => (&left[..last + colon], Some(&left[last + colon + 1..])),
        None => (left, None),
    };
    Shape { registry_is_path: false, name, tag, digest }
}

/// `host[:port]`, where a host is dot-joined labels or hex digits and colons in brackets.
fn domain(text: &str) -> Result<(), usize> {
    let bytes = text.as_bytes();
    let end = if bytes.first() == Some(&b'[') { bracketed(bytes)? } else { labels(bytes)? };
    match bytes.get(end) {
        None => Ok(()),
        Some(b':') => all(bytes, end + 1, |b| b.is_ascii_digit()),
        Some(_) => Err(end),
    }
}

fn bracketed(bytes: &[u8]) -> Result<usize, usize> {
    let end = run(bytes, 1, |b| b.is_ascii_hexdigit() || b == b':');
    if end == 1 || bytes.get(end) != Some(&b']') { Err(end) } else { Ok(end + 1) }
}

fn labels(bytes: &[u8]) -> Result<usize, usize> {
    let mut start = 0;
    loop {
        let end = run(bytes, start, |b| b.is_ascii_alphanumeric() || b == b'-');
        if end == start || bytes[start] == b'-' {
            return Err(start);
        }
        if bytes[end - 1] == b'-' {
            return Err(end - 1);
        }
        if bytes.get(end) != Some(&b'.') {
            return Ok(end);
        }
        start = end + 1;
    }
}

/// Slash-joined components of lower-case alphanumerics, joined by `.`, `_`, `__` or dashes.
fn path(text: &str) -> Result<(), usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let end = run(bytes, at, |b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if end == at {
            return Err(at);
        }
        at = match bytes.get(end) {
            None => return Ok(()),
            Some(b'/' | b'.') => end + 1,
            Some(b'_') if bytes.get(end + 1) == Some(&b'_') => end + 2,
            Some(b'_') => end + 1,
            Some(b'-') => run(bytes, end, |b| b == b'-'),
            Some(_) => return Err(end),
        };
    }
}

fn tag(text: &str) -> Result<(), usize> {
    let bytes = text.as_bytes();
    match bytes.first() {
        Some(b) if b.is_ascii_alphanumeric() || *b == b'_' => {}
        _ => return Err(0),
    }
    let end = run(bytes, 1, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if end < bytes.len() || end > LONGEST_TAG { Err(end.min(LONGEST_TAG)) } else { Ok(()) }
}

/// The loose form of a digest; whether it is a usable one is asked later.
fn digest(text: &str) -> Result<(), usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        if !bytes.get(at).is_some_and(u8::is_ascii_alphabetic) {
            return Err(at);
        }
        at = run(bytes, at, |b| b.is_ascii_alphanumeric());
        match bytes.get(at) {
            Some(b'-' | b'_' | b'+' | b'.') => at += 1,
            Some(b':') => break,
            _ => return Err(at),
        }
    }
    all(bytes, at + 1, |b| b.is_ascii_hexdigit())?;
    if bytes.len() - (at + 1) < SHORTEST_HEX { Err(bytes.len()) } else { Ok(()) }
}

/// The end of the run of fitting bytes that starts at `at`.
fn run(bytes: &[u8], at: usize, fits: impl Fn(u8) -> bool) -> usize {
    bytes[at..].iter().position(|&b| !fits(b)).map_or(bytes.len(), |length| at + length)
}

/// One byte or more from `at` to the end, all fitting.
fn all(bytes: &[u8], at: usize, fits: impl Fn(u8) -> bool) -> Result<(), usize> {
    let end = run(bytes, at, fits);
    if end == at || end < bytes.len() { Err(end) } else { Ok(()) }
}
