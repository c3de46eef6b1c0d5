//! JSON as Go's `encoding/json` reads it: the leniencies a kubelet has and `serde_json` has not.
//!
//! Field names match without regard to case, later duplicates are seen after earlier ones, `null`
//! is told apart from a wrong type, and bytes that are no UTF-8 become U+FFFD one by one. Errors
//! carry no text of the document, because these documents hold secrets.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

/// Why a text is not the JSON value that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Syntax,
    Type,
}

/// The members of an object in the order written, duplicates kept.
pub(super) type Members<'a> = Vec<(String, &'a RawValue)>;

/// Text that `serde_json` reads as Go would read the bytes.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    let text = lossy(bytes);
    if text.contains("\\u") { Cow::Owned(pair_surrogates(&text)) } else { text }
}

/// Go replaces each stray byte, where Rust replaces a truncated sequence as one.
pub(super) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(out)
}

/// Half a surrogate pair is an error to `serde_json` and U+FFFD to Go.
fn pair_surrogates(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let taken = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                out.push_str("\\ufffd");
                rest = &escape[6..];
                continue;
            }
            // The character after the backslash may be a backslash, so both go together.
            _ => 1 + escape[1..].chars().next().map_or(0, char::len_utf8),
        };
        out.push_str(&escape[..taken]);
        rest = &escape[taken..];
    }
    out.push_str(rest);
    out
}

/// The UTF-16 unit of a `\uXXXX` at the start.
fn unit(escape: &str) -> Option<u32> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}

/// The members of an object; `None` for `null`.
pub(super) fn object(json: &str) -> Result<Option<Members<'_>>, Fault> {
    match serde_json::from_str::<Option<Object<'_>>>(json) {
        Ok(object) => Ok(object.map(|o| o.0)),
        Err(error) if error.classify() == Category::Data => Err(Fault::Type),
        Err(_) => Err(Fault::Syntax),
    }
}

/// A string; `None` for `null`, which leaves a Go string as it was.
pub(super) fn string(json: &RawValue) -> Result<Option<String>, Fault> {
    serde_json::from_str(json.get()).map_err(|_| Fault::Type)
}

/// Whether Go takes `name` for the field `field` (lower case, ASCII).
pub(super) fn is_field(name: &str, field: &str) -> bool {
    name.chars().map(fold).eq(field.chars())
}

/// Case folding as far as it can reach an ASCII letter.
fn fold(c: char) -> char {
    match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    }
}

struct Object<'a>(Members<'a>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            members.push((name, value));
        }
        Ok(Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stray_bytes_and_half_pairs_become_replacement_characters() {
        assert_eq!(text(b"\"a\xe2\x82b\""), "\"a\u{fffd}\u{fffd}b\"");
        assert_eq!(text(br#""\ud800x""#), r#""\ufffdx""#);
        assert_eq!(text(br#""\ud83d\ude00 \ude00""#), r#""\ud83d\ude00 \ufffd""#);
        assert_eq!(text(br#""\\ud800""#), r#""\\ud800""#);
        assert_eq!(text(br#""\ud800\ud83d\ude00""#), r#""\ufffd\ud83d\ude00""#);
    }

    #[test]
    fn null_is_told_from_a_wrong_type_and_from_no_json() {
        assert!(matches!(object("null"), Ok(None)));
        assert!(matches!(object("[]"), Err(Fault::Type)));
        assert!(matches!(object("\"x\""), Err(Fault::Type)));
        assert!(matches!(object("{} x"), Err(Fault::Syntax)));
        assert!(matches!(object("{\"a\":\"\n\"}"), Err(Fault::Syntax)));
        assert_eq!(object(r#"{"a":1,"a":{"b":[]}}"#).unwrap().unwrap().len(), 2);
    }

    #[test]
    fn field_names_fold_as_in_go() {
        assert!(is_field("AuThS", "auths"));
        assert!(is_field("auth\u{17f}", "auths"));
        assert!(!is_field("auth", "auths"));
    }
}
