//! Which image a text speaks of, which registry that belongs to, and which host was talked to. Two
//! hosts may differ: a token service, a blob store or a mirror fails in place of the registry, and
//! containerd marks requests to mirrors with `?ns=`. Addresses of manuals in a registry's answer are
//! no hosts that were talked to, so only those after a verb of HTTP count.

use super::text::cut;
use crate::image::Reference;

/// What a text names.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub image: Option<String>,
    pub host: Option<String>,
    pub contacted: Option<String>,
    /// The registry that a mirror was asked for.
    pub mirror_of: Option<String>,
}

/// What stands before an image, and what ends it.
const BEFORE_IMAGE: &[(&str, &str)] = &[
    ("ull image \"", "\""),
    ("ulling image \"", "\""),
    ("sandbox image \"", "\""),
    ("default image tag \"", "\""),
    ("inspect image \"", "\""),
    ("ontainer image \"", "\""),
    ("image pull failed for ", " ,"),
    ("PullImage \"", "\""),
    ("ImageStatus \"", "\""),
    ("pull and unpack image \"", "\""),
    ("resolve reference \"", "\""),
    ("short-name \"", "\""),
    ("image name \"", "\""),
    ("image name ", " \""),
    ("ull image ", " \""),
    ("image=\"", "\""),
    ("manifest for ", " \""),
    ("pull access denied for ", " ,\""),
    ("for image ", " \""),
    ("docker://", " \""),
];

/// What stands before the address of a request.
const BEFORE_URL: &[&str] = &[
    "Get ",
    "Head ",
    "Post ",
    "GET ",
    "HEAD ",
    "request to ",
    "content at ",
    "status code ",
    "endpoint ",
];

/// What stands before a host alone.
const BEFORE_HOST: &[&str] =
    &["pulling from host ", "container registry ", "docker registry ", "lookup ", "dial tcp "];

/// Names stand in front: only so many bytes are searched for them.
const SEARCHED: usize = 8 << 10;

/// Reads the names off an unescaped text.
pub(super) fn of(text: &str) -> Names {
    let text = cut(text, SEARCHED);
    let image = BEFORE_IMAGE.iter().find_map(|(before, end)| image(text, before, end));
    let mut names = Names::default();
    if let Some(url) =
        BEFORE_URL.iter().filter_map(|before| last_url(text, before)).max_by_key(|it| it.0)
    {
        names.contacted = host_of_url(url.1).map(str::to_owned);
        names.mirror_of = ns(url.1).map(str::to_owned);
    }
    if names.contacted.is_none() {
        names.contacted =
            BEFORE_HOST.iter().find_map(|before| host(text, before)).map(str::to_owned);
    }
    let read = image.or_else(|| image_in(text));
    names.host = read.and_then(registry).or_else(|| names.contacted.clone());
    names.image = image.map(str::to_owned);
    names
}

/// The image after the first occurrence of `before` that has one.
fn image<'a>(text: &'a str, before: &str, end: &str) -> Option<&'a str> {
    text.match_indices(before).find_map(|(at, _)| {
        let rest = &text[at + before.len()..];
        let quoted = end == "\"";
        let length = rest.find(|c: char| c.is_whitespace() || end.contains(c));
        let image = &rest[..length.unwrap_or(rest.len())];
        let closed = !quoted || length.is_some_and(|it| rest[it..].starts_with('"'));
        let image = if quoted { image } else { image.trim_end_matches([':', '.', ',', ';', ')']) };
        let image = image.strip_prefix("docker://").unwrap_or(image);
        (closed && is_name(image, quoted)).then_some(image)
    })
}

/// Not a word of the sentence: what is not quoted must look like a name.
fn is_name(image: &str, quoted: bool) -> bool {
    let longest = crate::image::reference::LONGEST_TEXT;
    let shaped = image.contains(|c: char| c.is_ascii_alphanumeric()) && image.len() <= longest;
    shaped && (quoted || image.contains(['/', ':', '.', '@', '-']))
}

/// `reading manifest v1 in quay.io/a/b: ...`: the repository, for its registry.
fn image_in(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(" manifest ")?;
    let (_, rest) = rest.split_once(" in ")?;
    let name = rest.split([' ', ':', '\n']).next()?;
    name.contains('/').then_some(name)
}

/// The registry of an image, also of one that is no legal reference.
fn registry(image: &str) -> Option<String> {
    if let Ok(reference) = Reference::parse(image) {
        return Some(reference.registry().to_owned()).filter(|host| !host.is_empty());
    }
    let name = image.split_once("://").map_or(image, |(_, name)| name);
    let host = name.split('/').next().unwrap_or_default();
    (name.contains('/') && is_host(host)).then(|| host.to_owned())
}

fn is_host(host: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    (host.contains(['.', ':']) || host == "localhost")
        && host.len() <= 255
        && host.chars().all(known)
}

/// The last address after these words, and where it stands.
fn last_url<'a>(text: &'a str, before: &str) -> Option<(usize, &'a str)> {
    text.rmatch_indices(before).take(8).find_map(|(at, _)| {
        let rest = text[at + before.len()..].trim_start_matches('"');
        let url = rest.split(|c: char| c == '"' || c.is_whitespace()).next()?;
        (url.starts_with("http://") || url.starts_with("https://")).then_some((at, url))
    })
}

fn host_of_url(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let host = host.rsplit('@').next()?.trim_end_matches([':', ',']);
    (!host.is_empty() && is_host_or_label(host)).then_some(host)
}

fn is_host_or_label(host: &str) -> bool {
    is_host(host) || host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// containerd tells a mirror which registry it stands for.
fn ns(url: &str) -> Option<&str> {
    let (_, query) = url.split_once('?')?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix("ns="))?;
    Some(value.trim_end_matches([':', ',']))
}

fn host<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.match_indices(before).take(8).find_map(|(at, _)| {
        let rest = &text[at + before.len()..];
        let host = rest.split(|c: char| c == '"' || c == ',' || c.is_whitespace()).next()?;
        let host = host.trim_end_matches(':');
        (is_host(host)).then_some(host)
    })
}
