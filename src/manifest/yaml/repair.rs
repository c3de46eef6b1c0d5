//! Quoted scalars whose further lines stand no deeper than their key. YAML forbids them, libyaml and
//! so kubectl read them, and generated CustomResourceDefinitions are full of them.
//!
//! The repaired text has the same bytes in the same lines, so every place in it is one in the
//! original: the first characters of such a line become spaces. Only those scalars lose them.

use super::ParseError;

/// Lines looked through backwards for the start of a scalar.
const REACH: usize = 2_000;

/// The text with the scalars at these errors repaired; nothing when none can be.
pub(in crate::manifest) fn repair(text: &str, errors: &[ParseError]) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    let mut repaired = false;
    for error in errors.iter().filter(|error| error.is_quoted_indent) {
        repaired |= scalar(text, &mut bytes, error.span.start).is_some();
    }
    repaired.then(|| String::from_utf8(bytes).ok()).flatten()
}

/// Indents the lines of the scalar from the one with byte `at` to its closing quote.
fn scalar(text: &str, bytes: &mut [u8], at: usize) -> Option<()> {
    let (indent, quote) = opening(text.get(..at)?)?;
    let mut start = text[..at].rfind('\n')? + 1;
    loop {
        let line = text[start..].split_inclusive('\n').next()?;
        let end = closing(line, quote);
        let stop = end.unwrap_or(line.trim_end_matches(['\r', '\n']).len()).min(indent + 1);
        // A character is written over as a whole.
        let stop = (stop..=line.len()).find(|stop| line.is_char_boundary(*stop))?;
        if line[..stop].contains(|c: char| c != ' ' && c != '\t') || line.starts_with('\t') {
            bytes[start..start + stop].fill(b' ');
        }
        start += line.len();
        if end.is_some() || start >= text.len() {
            return Some(());
        }
    }
}

/// How deep the key of the scalar that is open at the end of `before` stands, and its quote.
fn opening(before: &str) -> Option<(usize, char)> {
    let lines = before.rsplit('\n').skip(1).take(REACH);
    lines.filter_map(opens).next()
}

/// Whether a line starts a quoted value that it does not end.
fn opens(line: &str) -> Option<(usize, char)> {
    let content = line.trim_start_matches([' ', '-']);
    let indent = line.len() - content.len();
    let value = match content.split_once(": ") {
        Some((key, value)) if !key.contains(['"', '\'', ' ']) => value.trim_start(),
        _ => content,
    };
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    closing(&value[1..], quote).is_none().then_some((indent, quote))
}

/// Where a quote ends in a part of the scalar's text.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        match c {
            '\\' if quote == '"' => drop(chars.next()),
            '\'' if quote == '\'' && next == Some('\'') => drop(chars.next()),
            c if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::{Reader, parse};
    use super::*;

    #[test]
    fn shallow_lines_of_quoted_scalars_are_read_as_kubectl_does() {
        let text = "a:\n    - name: x\n      note: 'it''s\n    tréès long\n\n  and ends' \n      image: b:1\n\
                    c: \"d\n e\"\n---\nl:\n- t: \"x \\\" y\nz\"\n  image: q\n";
        let errors: Vec<_> = Reader::new(text).filter_map(Result::err).collect();
        assert_eq!(errors.len(), 2, "{errors:?}");
        let fixed = repair(text, &errors).unwrap();
        assert_eq!(fixed.len(), text.len());
        let all = parse(&fixed);
        assert_eq!((all.errors.len(), all.documents.len()), (0, 2), "{:?}\n{fixed}", all.errors);
        let image = all.documents[0].root().get("a").unwrap().items().next().unwrap();
        let image = image.get("image").unwrap();
        assert_eq!((&text[image.span()], image.line()), ("b:1", 7));
        let other = all.documents[1].root().get("l").unwrap().items().next().unwrap();
        assert_eq!(&text[other.get("image").unwrap().span()], "q");
        assert!(repair("a: [", &parse("a: [").errors).is_none());
    }
}
