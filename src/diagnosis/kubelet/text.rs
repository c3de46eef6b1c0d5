//! Makes texts comparable: cuts them, takes away escaping (log lines carry texts escaped once or
//! twice) and the kubelet's prefixes, splits joined errors, and hides what outsiders name. The
//! kubelet joins the errors of several credentials as `[e1, e2]`; containers/image puts those of
//! mirrors in front as `(Mirrors also failed: ...)`; CRI-O from 1.33 on prints one failure twice, for
//! an image and for an artifact.

use std::borrow::Cow;

use crate::text::clean;

/// Longest text that is looked at, in bytes. A kubelet writes no such events; a registry might.
const CAP: usize = 64 << 10;

/// Longest text of a kubelet that is shown, in characters.
pub const SHOWN: usize = 1000;

/// The text without escaping and without the prefix that names a container.
pub(super) fn unescaped(text: &str) -> String {
    let text = cut(text, CAP);
    if !text.contains('\\') {
        return without_container(text).to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut backslashes = false;
    for c in text.chars() {
        match (backslashes, c) {
            (_, '\\') => {
                backslashes = true;
                continue;
            }
            (true, '"' | '\n') => out.push(c),
            (true, 'n') => out.push('\n'),
            (true, _) => out.extend(['\\', c]),
            (false, _) => out.push(c),
        }
        backslashes = false;
    }
    without_container(&out).to_owned()
}

/// At most so many bytes of a text.
pub(super) fn cut(text: &str, cap: usize) -> &str {
    let mut end = text.len().min(cap);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// `spec.containers{web}: `, `spec.initContainers{..}: `, `spec.ephemeralContainers{..}: `.
pub(super) fn container(text: &str) -> Option<(&str, &str)> {
    let (kind, rest) = text.trim_start().strip_prefix("spec.")?.split_once('{')?;
    let known = matches!(kind, "containers" | "initContainers" | "ephemeralContainers");
    let (name, rest) = rest.split_once('}')?;
    (known && !name.contains(char::is_whitespace)).then_some((name, rest))
}

fn without_container(text: &str) -> &str {
    container(text).and_then(|(_, rest)| rest.strip_prefix(": ")).unwrap_or(text)
}

/// At most this many attempts are told apart.
const ATTEMPTS: usize = 16;

/// How an error begins, where several are joined.
const BEGINNINGS: &[&str] = &[
    "rpc error:",
    "failed to ",
    "Error response",
    "Error reading",
    "Error initializing",
    "error pulling",
    "initializing source",
    "reading manifest",
    "unable to ",
    "copying system image",
    "choosing image",
    "parsing image",
    "pinging ",
    "RegistryUnavailable",
    "SignatureValidationFailed",
    "pull access denied",
    "unauthorized",
    "short-name",
    "Get ",
    "Head ",
];

/// The errors that a text joins, at least one, and whether mirrors failed before.
pub(super) fn attempts(text: &str) -> (Vec<Cow<'_, str>>, bool) {
    let mut mirrors = false;
    let own = split(text)
        .into_iter()
        .map(|attempt| {
            let image = attempt.split("; artifact err:").next().unwrap_or(attempt);
            match without_mirrors(image) {
                Some(primary) => {
                    mirrors = true;
                    Cow::Owned(primary)
                }
                None => Cow::Borrowed(image),
            }
        })
        .collect();
    (own, mirrors)
}

fn split(text: &str) -> Vec<&str> {
    let Some(inner) = bracketed(text) else { return vec![text] };
    let mut attempts = Vec::new();
    let mut start = 0;
    for (at, _) in inner.match_indices(", ") {
        let next = &inner[at + 2..];
        if attempts.len() + 1 < ATTEMPTS && BEGINNINGS.iter().any(|it| next.starts_with(it)) {
            attempts.push(&inner[start..at]);
            start = at + 2;
        }
    }
    if attempts.is_empty() {
        return vec![text];
    }
    attempts.push(&inner[start..]);
    attempts
}

/// What stands in brackets where an error is expected: at the start, or after a colon.
fn bracketed(text: &str) -> Option<&str> {
    let end = text.rfind(']')?;
    let opens = |at: usize| {
        let before = text[..at].trim_end_matches(' ');
        let begins = |it: &&str| text[at + 1..end].starts_with(*it);
        (before.is_empty() || before.ends_with([':', '"'])) && BEGINNINGS.iter().any(begins)
    };
    let start = text[..end].match_indices('[').map(|(at, _)| at).find(|at| opens(*at))?;
    Some(&text[start + 1..end])
}

/// The text without the errors of mirrors, which stand in front of that of the registry itself.
fn without_mirrors(text: &str) -> Option<String> {
    let (before, rest) = text.split_once("(Mirrors also failed: ")?;
    let (_, own) = rest.rsplit_once("]): ")?;
    Some(format!("{before}{own}"))
}

/// One error, ready to be matched.
#[derive(Debug)]
pub(super) struct Part {
    /// Lower case, names hidden.
    words: String,
    /// Where the last word ends, closing punctuation left out.
    end: usize,
    grams: Grams,
    statuses: Vec<u16>,
    has_url: bool,
    has_api_url: bool,
    ghcr_login: bool,
}

impl Part {
    pub fn new(text: &str, image: Option<&str>) -> Self {
        let (words, has_url) = hide_names(text, image);
        let words = words.to_ascii_lowercase();
        let closing = |c: char| c.is_whitespace() || "\"'.)]}".contains(c);
        let end = words.trim_end_matches(closing).len();
        let statuses = statuses(&words);
        let ghcr_login = words.contains("failed to fetch oauth token")
            && text.contains("request to https://ghcr.io/token");
        let has_api_url = has_url && text.split("://").skip(1).any(is_api);
        Self { grams: Grams::of(&words), words, end, statuses, has_url, has_api_url, ghcr_login }
    }

    /// Whether the words occur in this order; `*` stands for anything.
    pub fn has(&self, words: &str) -> bool {
        let mut rest = self.words.as_str();
        let mut pieces = words.split('*');
        pieces.clone().all(|piece| self.grams.may_hold(piece))
            && pieces.all(|piece| match rest.find(piece) {
                Some(at) => {
                    rest = &rest[at + piece.len()..];
                    true
                }
                None => false,
            })
    }

    /// Whether one word, in quotes or not, stands between these.
    pub fn has_named(&self, before: &str, after: &str) -> bool {
        self.grams.may_hold(before)
            && self.words.match_indices(before).any(|(at, _)| {
                let rest = self.words[at + before.len()..].strip_prefix(' ');
                let name = rest.and_then(|rest| rest.split_once(char::is_whitespace));
                name.is_some_and(|(name, rest)| !name.is_empty() && rest.starts_with(after))
            })
    }

    pub fn words(&self) -> &str {
        &self.words
    }

    pub fn ends_with(&self, words: &str) -> bool {
        self.words[..self.end].ends_with(words)
    }

    pub fn has_status(&self, from: u16, to: u16) -> bool {
        self.statuses.iter().any(|status| (from..=to).contains(status))
    }

    pub fn has_url(&self) -> bool {
        self.has_url
    }

    pub fn has_api_url(&self) -> bool {
        self.has_api_url
    }

    /// GHCR answers 403 at its token service to a login that is wrong or expired.
    pub fn names_ghcr_login(&self) -> bool {
        self.ghcr_login
    }
}

/// Which runs of three bytes a text holds, by a hash: most rows need not be searched for.
#[derive(Debug)]
struct Grams(Vec<u64>);

impl Grams {
    const BITS: usize = 1 << 16;

    fn of(text: &str) -> Self {
        let mut bits = vec![0; Self::BITS / 64];
        for run in text.as_bytes().windows(3) {
            let bit = Self::bit(run);
            bits[bit / 64] |= 1 << (bit % 64);
        }
        Self(bits)
    }

    fn bit(run: &[u8]) -> usize {
        run.iter().fold(0, |bit, byte| (bit * 31) ^ usize::from(*byte)) % Self::BITS
    }

    fn may_hold(&self, words: &str) -> bool {
        words
            .as_bytes()
            .windows(3)
            .map(Self::bit)
            .all(|bit| self.0[bit / 64] >> (bit % 64) & 1 == 1)
    }
}

/// Puts `_` for every URL, reference and quoted name. Tells whether there was a URL.
fn hide_names(text: &str, image: Option<&str>) -> (String, bool) {
    let bytes = text.as_bytes();
    let is_gap = |byte: u8| byte == b'"' || byte.is_ascii_whitespace();
    let mut out = String::with_capacity(text.len());
    let mut has_url = false;
    let (mut kept, mut at) = (0, 0);
    while at < bytes.len() {
        if is_gap(bytes[at]) {
            at += 1;
            continue;
        }
        let length = bytes[at..].iter().position(|byte| is_gap(*byte));
        let end = length.map_or(bytes.len(), |length| at + length);
        let is_quoted = at > 0 && bytes[at - 1] == b'"' && bytes.get(end) == Some(&b'"');
        if let Some(name) = name_in(&text[at..end], is_quoted, image) {
            has_url |= name.contains("http://") || name.contains("https://");
            let (opening, _) = text[at..end].split_once(name).unwrap_or_default();
            let start = at + opening.len();
            out.push_str(&text[kept..start]);
            out.push('_');
            kept = start + name.len();
        }
        at = end;
    }
    out.push_str(&text[kept..]);
    (out, has_url)
}

/// The part of a word that outsiders chose; the punctuation around it is the program's.
fn name_in<'a>(word: &'a str, is_quoted: bool, image: Option<&str>) -> Option<&'a str> {
    let has_slash = word.as_bytes().contains(&b'/');
    let may_be_image = image.is_some_and(|image| image.len() <= word.len());
    if word.is_empty() || !(has_slash || is_quoted || may_be_image) {
        return None;
    }
    let opened = word.trim_start_matches(['(', '[', '{', '<', '\'']);
    let core = opened.trim_end_matches([':', ',', '.', ';', ')', ']', '}', '>', '\'']);
    let is_image = image == Some(core) && (is_quoted || core.contains(['/', ':', '.', '@', '-']));
    let is_address = has_slash && (core.contains("://") || is_reference(core));
    let hidden = is_image || is_address || (is_quoted && is_name(core));
    (hidden && !core.is_empty()).then_some(core)
}

/// Neither a code such as `DENIED` nor escaped bytes.
fn is_name(quoted: &str) -> bool {
    !quoted.starts_with('\\') && !quoted.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
}

fn is_gap(c: char) -> bool {
    c == '"' || c.is_whitespace()
}

/// A slash, and something like a host before it.
fn is_reference(word: &str) -> bool {
    word.split_once('/').is_some_and(|(host, _)| host.contains(['.', ':']))
}

/// Where API servers and probes answer; what follows the scheme is looked at.
fn is_api(address: &str) -> bool {
    let address = address.split(is_gap).next().unwrap_or_default();
    let path = address.split_once('/').map_or("", |(_, path)| path);
    ["api/v1", "apis/", "healthz", "readyz", "livez"].iter().any(|known| path.starts_with(known))
}

/// Words that stand before a status and nothing else.
const BEFORE_STATUS: &[&str] = &["status", "http", "code", "statuscode", "returned"];

/// The HTTP statuses told by shape: `: 429 too many`, `status 500`, `http 404`, `status=403`.
fn statuses(words: &str) -> Vec<u16> {
    let all: Vec<&str> = words.split_whitespace().collect();
    let mut found = Vec::new();
    for (at, word) in all.iter().enumerate() {
        if !word.bytes().any(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let core = word.rsplit('=').next().unwrap_or(word);
        let core = core.trim_end_matches([',', '.', ';', ')', ']', '}', '"', '\'', ':']);
        let Some(status) = three_digits(core) else { continue };
        let before = at.checked_sub(1).map(|it| all[it]);
        let ended = |it: usize| at.checked_sub(it).is_some_and(|at| all[at].contains("exit"));
        let after = all.get(at + 1).and_then(|word| word.chars().next());
        let explained = after == Some('(');
        let closes = core.len() < word.len() || after.is_none_or(char::is_alphabetic);
        let shaped = match before {
            None => after.is_some_and(char::is_alphabetic),
            Some(_) if ended(1) || ended(2) => false,
            Some(before) => {
                let name = before.trim_matches(|c: char| !c.is_alphanumeric());
                (before.ends_with(':') && closes)
                    || explained
                    || BEFORE_STATUS.contains(&name)
                    || name.starts_with("http/")
            }
        };
        if shaped || word.contains("status=") || word.contains("statuscode=") {
            found.push(status);
        }
    }
    found
}

fn three_digits(word: &str) -> Option<u16> {
    let right = word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit());
    right.then(|| word.parse().ok()).flatten().filter(|status| (100..600).contains(status))
}

/// A text of a kubelet as it may be shown: unescaped, cleaned and cut, URLs without user and query,
/// since a query may be a signature that opens a blob store.
pub fn shown(message: &str) -> String {
    let text = unescaped(message);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        out.push_str(before);
        let end = url.find(|c| is_gap(c) || c == '\'').unwrap_or(url.len());
        let (url, after) = url.split_at(end);
        let (path, query) = url.split_once('?').map_or((url, None), |(path, it)| (path, Some(it)));
        let (authority, tail) = path.split_at(path.find('/').unwrap_or(path.len()));
        out.push_str(authority.rsplit('@').next().unwrap_or(authority));
        out.push_str(tail);
        if let Some(query) = query {
            let kept = query.trim_end_matches([':', ',', ']', ')']);
            out.push_str("?...");
            out.push_str(&query[kept.len()..]);
        }
        rest = after;
    }
    out.push_str(rest);
    clean(out.trim(), SHOWN)
}
