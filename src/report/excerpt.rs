//! The part of a source line that is shown around a span. A minified file is one line of megabytes,
//! so the search goes no further than what could be shown. Every character that may not be shown is
//! replaced by one other character: the caret stays under its text.

use std::ops::Range;

use super::outside;
use crate::image::usage::Place;
use crate::text;

/// Longest span marked, in characters.
const MARKED: usize = text::SHOWN;
/// Columns that the marks leave to the line number and the label.
const BESIDE: usize = 30;
/// Characters marked however narrow the terminal is.
const LEAST: usize = 10;
/// Characters kept beyond the width, so that the renderer sees (and marks) that there are more.
const BEYOND: usize = 32;

/// A part of a line, and the bytes in it to be marked.
#[derive(Debug, PartialEq, Eq)]
pub struct Excerpt {
    pub text: String,
    pub span: Range<usize>,
}

/// The line of `place`, at most `width` and a few characters to either side of the span's first
/// line. `None` when the span does not lie in the text.
pub fn excerpt(place: &Place, width: usize) -> Option<Excerpt> {
    let source = &place.source.text;
    let head = source.get(..place.span.start)?;
    let span = source.get(place.span.clone())?;
    let tail = &source[place.span.start..];

    let before = reach(head.chars().rev(), width + BEYOND);
    // A digest is longer than a narrow terminal is wide: what is marked is never cut by the renderer.
    let marked = reach(span.chars(), MARKED.min(width.saturating_sub(BESIDE).max(LEAST)));
    let after = reach(tail[marked..].chars(), width + BEYOND);
    let line = &source[head.len() - before..head.len() + marked + after];
    Some(show(line.strip_suffix('\r').unwrap_or(line), before..before + marked))
}

/// Bytes up to the end of the line or `limit` characters.
fn reach(chars: impl Iterator<Item = char>, limit: usize) -> usize {
    chars.take(limit).take_while(|c| *c != '\n').map(char::len_utf8).sum()
}

fn show(line: &str, span: Range<usize>) -> Excerpt {
    let place_of = |at: usize| line.get(..at).unwrap_or(line).chars().count();
    let (start, end) = (place_of(span.start), place_of(span.end));
    let shown = line.chars().map(|c| match c {
        '\t' => c,
        c if text::is_unsafe(c) => '\u{fffd}',
        c => c,
    });
    let text = outside::disarm(shown.collect());
    let byte = |nth: usize| text.char_indices().nth(nth).map_or(text.len(), |(at, _)| at);
    Excerpt { span: byte(start)..byte(end), text }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::image::usage::Source;

    fn shown(text: &str, span: Range<usize>, width: usize) -> Option<Excerpt> {
        let source = Arc::new(Source { name: "a.yaml".into(), text: text.into() });
        excerpt(&Place { source, span, line: 1, column: 1 }, width)
    }

    #[test]
    fn shows_the_line_of_the_span_only() {
        let got = shown("a: 1\nimage: nginx\r\nb: 2\n", 12..17, 80).unwrap();
        assert_eq!(got, Excerpt { text: "image: nginx".into(), span: 7..12 });
    }

    #[test]
    fn marks_the_first_line_of_a_folded_value() {
        let got = shown("image: >-\n  nginx\n", 7..17, 80).unwrap();
        assert_eq!(got, Excerpt { text: "image: >-".into(), span: 7..9 });
    }

    #[test]
    fn a_line_of_a_megabyte_is_cut_on_both_sides() {
        let text = format!("{}nginx{}", "ä".repeat(1 << 20), "b".repeat(1 << 20));
        let at = text.find("nginx").unwrap();
        let got = shown(&text, at..at + 5, 80).unwrap();
        assert_eq!(got.text.chars().count(), 112 + 5 + 112);
        assert_eq!(&got.text[got.span], "nginx");
    }

    #[test]
    fn b45_unsafe_characters_are_replaced_and_the_span_stays() {
        let got = shown("\x1b[2J ##[group] \u{202e}nginx", 18..23, 80).unwrap();
        assert_eq!(got.text, "\u{fffd}[2J #\u{fffd}[group] \u{fffd}nginx");
        assert_eq!(&got.text[got.span], "nginx");
    }

    #[test]
    fn a_span_outside_of_the_text_shows_nothing() {
        assert_eq!(shown("ä", 1..2, 80), None);
        assert_eq!(shown("a", 3..9, 80), None);
        assert_eq!(shown("", 0..0, 80), Some(Excerpt { text: String::new(), span: 0..0 }));
    }
}
