//! Shell patterns as Go's `path/filepath.Match` reads them on Linux, over bytes.
//!
//! A pattern that Go calls malformed matches nothing: the kubelet drops that error.

/// Whether the whole of `name` matches `pattern`.
pub(super) fn matches(mut pattern: &[u8], mut name: &[u8]) -> bool {
    while !pattern.is_empty() {
        let (star, chunk, rest) = next_chunk(pattern);
        pattern = rest;
        if star && chunk.is_empty() {
            return !name.contains(&b'/');
        }
        // The last chunk has to reach the end; an earlier one takes its first place, as Go does.
        let fits = |at: &[u8]| -> Option<usize> {
            match_chunk(chunk, at).filter(|left| *left == 0 || !rest.is_empty())
        };
        let Some(left) = (if star { slide(name, fits) } else { fits(name) }) else {
            return false;
        };
        name = &name[name.len() - left..];
    }
    name.is_empty()
}

/// The first place at or after the start, not beyond a `/`, where the chunk fits.
fn slide(name: &[u8], fits: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
    let reach = name.iter().position(|b| *b == b'/').unwrap_or(name.len());
    (0..=reach).find_map(|skip| fits(&name[skip..]))
}

/// Splits off leading stars and what follows them up to the next star outside a class.
fn next_chunk(pattern: &[u8]) -> (bool, &[u8], &[u8]) {
    let stars = pattern.iter().take_while(|b| **b == b'*').count();
    let body = &pattern[stars..];
    let mut in_class = false;
    let mut i = 0;
    while i < body.len() {
        match body[i] {
            b'\\' => i += 1,
            b'[' => in_class = true,
            b']' => in_class = false,
            b'*' if !in_class => break,
            _ => {}
        }
        i += 1;
    }
    let (chunk, rest) = body.split_at(i.min(body.len()));
    (stars > 0, chunk, rest)
}

/// How much of `name` is left after the chunk; `None` for no match or a malformed chunk.
fn match_chunk(mut chunk: &[u8], mut name: &[u8]) -> Option<usize> {
    while let Some((&b, after)) = chunk.split_first() {
        let (c, width) = first_char(name)?;
        match b {
            b'[' => {
                let rest = match_class(after, c)?;
                (chunk, name) = (rest, &name[width..]);
                continue;
            }
            b'?' if name[0] == b'/' => return None,
            b'?' => (chunk, name) = (after, &name[width..]),
            _ => {
                let (literal, rest) = if b == b'\\' { after.split_first()? } else { (&b, after) };
                if *literal != name[0] {
                    return None;
                }
                (chunk, name) = (rest, &name[1..]);
            }
        }
    }
    Some(name.len())
}

/// Reads a class after its `[` and returns what follows the `]`, if `c` is in it.
fn match_class(class: &[u8], c: u32) -> Option<&[u8]> {
    let (negated, mut rest) = match class.strip_prefix(b"^") {
        Some(rest) => (true, rest),
        None => (false, class),
    };
    let mut found = false;
    let mut first = true;
    loop {
        if !first && rest.first() == Some(&b']') {
            return (found != negated).then(|| &rest[1..]);
        }
        first = false;
        let (low, after) = class_char(rest)?;
        rest = after;
        let mut high = low;
        if rest.first() == Some(&b'-') {
            (high, rest) = class_char(&rest[1..])?;
        }
        found |= low <= c && c <= high;
    }
}

/// One character of a class; something has to follow it.
fn class_char(class: &[u8]) -> Option<(u32, &[u8])> {
    let text = match class.split_first()? {
        (b'-' | b']', _) => return None,
        (b'\\', after) => after,
        _ => class,
    };
    let (c, width) = first_char(text)?;
    let stray = c == u32::from(char::REPLACEMENT_CHARACTER) && width == 1;
    let rest = &text[width..];
    (!stray && !rest.is_empty()).then_some((c, rest))
}

/// The first character and its width; a stray byte is U+FFFD of width one.
fn first_char(text: &[u8]) -> Option<(u32, usize)> {
    let head = &text[..text.len().min(4)];
    let chunk = head.utf8_chunks().next()?;
    Some(match chunk.valid().chars().next() {
        Some(c) => (u32::from(c), c.len_utf8()),
        None => (u32::from(char::REPLACEMENT_CHARACTER), 1),
    })
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn follows_filepath_match() {
        let cases: &[(&str, &str, bool)] = &[
            ("", "", true),
            ("*", "", true),
            ("*", "a/b", false),
            ("abc", "abc", true),
            ("a*", "abc", true),
            ("*c", "abcc", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("ab[c]", "abc", true),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("[]a]", "]", false),
            ("[-]", "-", false),
            ("[\\-]", "-", true),
            ("[a-", "a", false),
            ("a[", "a", false),
            ("*x", "xxx", true),
            ("a?b", "a\u{263a}b", true),
            ("[::1]", "[::1]", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), *expected, "{pattern} {name}");
        }
    }
}
