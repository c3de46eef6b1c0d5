//! URLs as Go's `net/url` takes them apart and writes them again (Go 1.26: a bracketed host must be
//! an IPv6 address, a second colon in the host of an http URL is refused).
//!
//! Registry keys and token realms go through that parser on a node, so what it refuses and what it
//! escapes decides which credential is found. Nothing here connects anywhere.

use std::net::Ipv6Addr;
use std::str::FromStr;

/// A URL in Go's parts; host and path are decoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct GoUrl {
    scheme: String,
    opaque: Vec<u8>,
    user: Option<UserInfo>,
    pub(crate) host: Vec<u8>,
    pub(crate) path: Vec<u8>,
    written_path: Vec<u8>,
    query: Option<Vec<u8>>,
    fragment: Vec<u8>,
    written_fragment: Vec<u8>,
    omit_host: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct UserInfo {
    name: Vec<u8>,
    password: Option<Vec<u8>>,
}

/// Go would have refused the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

/// The part of a URL that a byte stands in; each has its own set of plain bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Host,
    Zone,
    User,
    Fragment,
}

/// Parses a URL or a relative reference.
pub(crate) fn parse(text: &[u8]) -> Result<GoUrl, Refused> {
    let (main, fragment) = cut(text, b'#');
    let mut url = parse_main(main)?;
    if let Some(fragment) = fragment {
        url.fragment = unescape(fragment, Part::Fragment)?;
        url.written_fragment = fragment.to_vec();
    }
    Ok(url)
}

fn parse_main(text: &[u8]) -> Result<GoUrl, Refused> {
    if text.iter().any(|b| *b < b' ' || *b == 0x7f) {
        return Err(Refused);
    }
    let (scheme, rest) = split_scheme(text)?;
    let (rest, query) = cut(rest, b'?');
    let mut url = GoUrl {
        scheme: String::from_utf8_lossy(scheme).to_ascii_lowercase(),
        query: query.map(<[u8]>::to_vec),
        ..GoUrl::default()
    };
    if !rest.starts_with(b"/") {
        if !scheme.is_empty() {
            url.opaque = rest.to_vec();
            return Ok(url);
        }
        if cut(rest, b'/').0.contains(&b':') {
            return Err(Refused);
        }
    }
    let path = parse_authority(&mut url, rest)?;
    url.path = unescape(path, Part::Path)?;
    url.written_path = path.to_vec();
    Ok(url)
}

/// Takes `//user@host` off the front, if it is there, and returns what follows.
fn parse_authority<'a>(url: &mut GoUrl, rest: &'a [u8]) -> Result<&'a [u8], Refused> {
    let has_authority =
        rest.starts_with(b"//") && (!url.scheme.is_empty() || !rest.starts_with(b"///"));
    if !has_authority {
        url.omit_host = !url.scheme.is_empty() && rest.starts_with(b"/");
        return Ok(rest);
    }
    let rest = &rest[2..];
    let (authority, path) = rest.split_at(position(rest, b'/').unwrap_or(rest.len()));
    match authority.iter().rposition(|b| *b == b'@') {
        None => url.host = parse_host(&url.scheme, authority)?,
        Some(at) => {
            url.host = parse_host(&url.scheme, &authority[at + 1..])?;
            url.user = Some(parse_user(&authority[..at])?);
        }
    }
    Ok(path)
}

fn parse_user(text: &[u8]) -> Result<UserInfo, Refused> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(b);
    if !text.iter().all(plain) {
        return Err(Refused);
    }
    let (name, password) = cut(text, b':');
    Ok(UserInfo {
        name: unescape(name, Part::User)?,
        password: password.map(|p| unescape(p, Part::User)).transpose()?,
    })
}

fn parse_host(scheme: &str, host: &[u8]) -> Result<Vec<u8>, Refused> {
    match host.iter().rposition(|b| *b == b'[') {
        Some(0) => return parse_bracketed(host),
        Some(_) => return Err(Refused),
        None => {}
    }
    if let Some(first) = position(host, b':') {
        // Several colons are kept for other schemes (lists of database hosts).
        let web = matches!(scheme, "http" | "https");
        let last = host.iter().rposition(|b| *b == b':').unwrap_or(first);
        check_port(&host[if web { first } else { last }..])?;
    }
    unescape(host, Part::Host)
}

fn parse_bracketed(host: &[u8]) -> Result<Vec<u8>, Refused> {
    let close = host.iter().rposition(|b| *b == b']').ok_or(Refused)?;
    let (inside, port) = (&host[1..close], &host[close + 1..]);
    check_port(port)?;
    let zone = inside.windows(3).position(|w| w == b"%25").unwrap_or(inside.len());
    let mut address = unescape(&inside[..zone], Part::Host)?;
    address.extend(unescape(&inside[zone..], Part::Zone)?);
    if !is_ipv6(&address) {
        return Err(Refused);
    }
    Ok([b"[", address.as_slice(), b"]", port].concat())
}

/// An IPv6 address with an optional zone that is not empty.
fn is_ipv6(text: &[u8]) -> bool {
    let (address, zone) = cut(text, b'%');
    zone.is_none_or(|z| !z.is_empty())
        && std::str::from_utf8(address).is_ok_and(|a| Ipv6Addr::from_str(a).is_ok())
}

fn check_port(text: &[u8]) -> Result<(), Refused> {
    match text.split_first() {
        None => Ok(()),
        Some((b':', digits)) if digits.iter().all(u8::is_ascii_digit) => Ok(()),
        Some(_) => Err(Refused),
    }
}

/// The scheme, or an empty one where the text has none.
fn split_scheme(text: &[u8]) -> Result<(&[u8], &[u8]), Refused> {
    for (i, b) in text.iter().enumerate() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if i > 0 => {}
            b':' if i == 0 => return Err(Refused),
            b':' => return Ok((&text[..i], &text[i + 1..])),
            _ => break,
        }
    }
    Ok((&[], text))
}

fn unescape(text: &[u8], part: Part) -> Result<Vec<u8>, Refused> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&b, after)) = rest.split_first() {
        if b == b'%' {
            let byte = hex_pair(after).ok_or(Refused)?;
            if !may_unescape(byte, part) {
                return Err(Refused);
            }
            out.push(byte);
            rest = &after[2..];
        } else {
            if matches!(part, Part::Host | Part::Zone) && b < 0x80 && must_escape(b, part) {
                return Err(Refused);
            }
            out.push(b);
            rest = after;
        }
    }
    Ok(out)
}

/// A host escapes only what is not ASCII, and the `%` before a zone.
fn may_unescape(byte: u8, part: Part) -> bool {
    match part {
        Part::Host => byte >= 0x80 || byte == b'%',
        Part::Zone => byte == b'%' || byte == b' ' || !must_escape(byte, Part::Host),
        Part::Path | Part::User | Part::Fragment => true,
    }
}

fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(*text.first()?)? << 4 | digit(*text.get(1)?)?)
}

fn escape(text: &[u8], part: Part, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &b in text {
        if must_escape(b, part) {
            out.extend([b'%', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        } else {
            out.push(b);
        }
    }
}

fn must_escape(b: u8, part: Part) -> bool {
    if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
        return false;
    }
    match part {
        Part::Host | Part::Zone => !b"!$&'()*+,;=:[]<>\"".contains(&b),
        Part::Path => !b"$&+,/:;=@".contains(&b),
        Part::User => !b"$&+,;=".contains(&b),
        Part::Fragment => !b"$&+,/:;=?@!()*".contains(&b),
    }
}

/// What was written, if it is a proper escaping, else one of our own.
fn escaped(written: &[u8], decoded: &[u8], part: Part, out: &mut Vec<u8>) {
    let proper = |b: &u8| b"!$&'()*+,;=:@[]%".contains(b) || !must_escape(*b, part);
    if written.iter().all(proper) {
        out.extend_from_slice(written);
    } else {
        escape(decoded, part, out);
    }
}

impl GoUrl {
    /// The URL written again, as Go's `String` does.
    pub(crate) fn write(&self) -> String {
        let mut out = Vec::new();
        if !self.scheme.is_empty() {
            out.extend_from_slice(self.scheme.as_bytes());
            out.push(b':');
        }
        if self.opaque.is_empty() {
            self.write_authority(&mut out);
            self.write_path(&mut out);
        } else {
            out.extend_from_slice(&self.opaque);
        }
        if let Some(query) = &self.query {
            out.push(b'?');
            out.extend_from_slice(query);
        }
        if !self.fragment.is_empty() {
            out.push(b'#');
            escaped(&self.written_fragment, &self.fragment, Part::Fragment, &mut out);
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    fn write_authority(&self, out: &mut Vec<u8>) {
        let bare = self.host.is_empty() && self.user.is_none();
        if bare && (self.scheme.is_empty() || self.omit_host || self.path.is_empty()) {
            return;
        }
        out.extend_from_slice(b"//");
        if let Some(user) = &self.user {
            escape(&user.name, Part::User, out);
            if let Some(password) = &user.password {
                out.push(b':');
                escape(password, Part::User, out);
            }
            out.push(b'@');
        }
        escape(&self.host, Part::Host, out);
    }

    fn write_path(&self, out: &mut Vec<u8>) {
        let mut path = Vec::new();
        if self.written_path == b"%2A" {
            // Go writes a lone star plain, unless it was escaped in a way of its own.
            path.push(b'*');
        } else {
            escaped(&self.written_path, &self.path, Part::Path, &mut path);
        }
        if !path.is_empty() && !path.starts_with(b"/") && !self.host.is_empty() {
            out.push(b'/');
        }
        if out.is_empty() && cut(&path, b'/').0.contains(&b':') {
            out.extend_from_slice(b"./");
        }
        out.extend_from_slice(&path);
    }
}

/// Go's `net.SplitHostPort`; a host without a port, or an odd one, is all host.
pub(crate) fn split_host_port(text: &[u8]) -> (&[u8], &[u8]) {
    host_and_port(text).unwrap_or((text, b""))
}

fn host_and_port(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = text.iter().rposition(|b| *b == b':')?;
    let (host, port) = (&text[..colon], &text[colon + 1..]);
    let host = match host.strip_prefix(b"[") {
        Some(inside) => inside.strip_suffix(b"]")?,
        None if host.contains(&b':') => return None,
        None => host,
    };
    let stray = |b: &u8| matches!(b, b'[' | b']');
    (!host.iter().any(stray) && !port.iter().any(stray)).then_some((host, port))
}

/// The text before the first `at`, and the text after it if there is one.
fn cut(text: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match position(text, at) {
        Some(i) => (&text[..i], Some(&text[i + 1..])),
        None => (text, None),
    }
}

fn position(text: &[u8], byte: u8) -> Option<usize> {
    text.iter().position(|b| *b == byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> Option<String> {
        parse(text.as_bytes()).ok().map(|url| url.write())
    }

    #[test]
    fn writes_urls_as_go_does() {
        for (text, expected) in [
            ("https://r.io/\"q\"/t", "https://r.io/%22q%22/t"),
            ("HTTPS://u:p w@R.io/a b?x y#f g", ""),
            ("https://u:p%20w@R.io/a b?x y#f g", "https://u:p%20w@R.io/a%20b?x y#f%20g"),
            ("/t?", "/t?"),
            ("mailto:a", "mailto:a"),
            ("%2A", "*"),
            ("%2a", "%2a"),
            ("%3A/x", "%3A/x"),
            ("http:///x", "http:///x"),
            ("http://[fe80::1%25eth0]:5/", "http://[fe80::1%25eth0]:5/"),
            ("http://\u{e9}.io", "http://%C3%A9.io"),
        ] {
            let expected = Some(expected.to_owned()).filter(|e| !e.is_empty());
            assert_eq!(rewritten(text), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in [
            "http://[::1",
            "http://[1.2.3.4]/",
            "http://a[::1]/",
            "http://::1/",
            "http://a:b/",
            "http://a b/",
            "http://%41/",
            "/%zz",
            "/%4",
            ":x",
            "a:b@/c\x7f",
            "x y:z/",
            "http://[::1%25]/",
            "http://a{b}/",
            "http://u\u{e9}@h/",
        ] {
            assert_eq!(rewritten(text), None, "{text}");
        }
    }

    #[test]
    fn splits_ports_as_go_does() {
        for (text, host, port) in [
            ("r.io:5000", "r.io", "5000"),
            ("r.io:", "r.io", ""),
            ("r.io", "r.io", ""),
            ("[::1]:5000", "::1", "5000"),
            ("[::1]", "[::1]", ""),
            ("a:b:c", "a:b:c", ""),
        ] {
            assert_eq!(split_host_port(text.as_bytes()), (host.as_bytes(), port.as_bytes()));
        }
    }
}
