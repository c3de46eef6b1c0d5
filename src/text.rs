//! Text that came from outside, made fit to be shown: control characters, bidirectional overrides
//! and zero-width characters are replaced, and length is bounded.

/// Longest outside text shown in one place, in characters.
pub const SHOWN: usize = 256;

/// Replaces what could drive a terminal or reorder a line, and cuts at `limit` characters.
///
/// Line breaks become a blank, other control characters `\u{fffd}`; a cut is marked with `…`.
pub fn clean(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit * 4));
    for (shown, c) in text.chars().enumerate() {
        if shown == limit {
            out.push('…');
            break;
        }
        out.push(match c {
            '\n' | '\r' | '\t' => ' ',
            c if is_unsafe(c) => '\u{fffd}',
            c => c,
        });
    }
    out
}

/// Control characters (C0, C1, DEL), bidirectional controls, zero-width and line separators.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{061c}' | '\u{180e}' | '\u{00ad}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_and_bidi_characters_never_pass() {
        assert_eq!(clean("a\x1b[31mb\u{202e}c\nd", 80), "a\u{fffd}[31mb\u{fffd}c d");
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        assert_eq!(clean("abcdef", 3), "abc…");
        assert_eq!(clean("abc", 3), "abc");
    }
}
