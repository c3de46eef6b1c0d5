//! Words from outside (file names, images, registry answers) as they may stand in a line of a
//! terminal or of a CI log. [`crate::text::clean`] takes care of control characters; what CI systems
//! read as commands is disarmed here: `##[group]` and `##vso[...]` count anywhere in a line,
//! `::error::` at its start (blanks before it are ignored).

use std::borrow::Cow;

use crate::text;

/// Longest sentence or image shown, in characters: more than any legal image reference.
const SENTENCE: usize = 1000;
/// Longest file name shown; a cut name could not be opened.
const PATH: usize = 4096;

/// A phrase, sentence or image, on one line.
pub fn sentence(text: &str) -> String {
    disarm(text::clean(text, SENTENCE))
}

/// A file name. It may begin a line.
pub fn path(name: &str) -> String {
    let name = disarm(text::clean(name, PATH));
    if begins_command(&name) { format!("./{name}") } else { name }
}

/// A sentence or image that begins a line.
pub fn first(text: &str) -> String {
    let text = sentence(text);
    if begins_command(&text) { text.replacen(':', "\u{fffd}", 1) } else { text }
}

/// A line of a message that may be of several.
pub fn line(text: &str) -> String {
    let line = disarm(text::clean(text, PATH));
    if begins_command(&line) { line.replacen(':', "\u{fffd}", 1) } else { line }
}

/// Replaces one character of every CI command by another, so that columns stay.
pub fn disarm(line: String) -> String {
    if !line.contains("##") {
        return line;
    }
    let mut out = String::with_capacity(line.len());
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        out.push(if c == '#' && before == '#' && opens(&line[at + 1..]) { '\u{fffd}' } else { c });
        before = c;
    }
    out
}

/// Is this what follows `##` in a command: a word or nothing, then a bracket?
fn opens(rest: &str) -> bool {
    rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).starts_with('[')
}

fn begins_command(line: &str) -> bool {
    line.trim_start().starts_with("::")
}

/// JSON text whose strings hold no raw character that could drive a terminal or a CI system; the
/// values stay what they are.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    let escape = |c: char| c != '\n' && text::is_unsafe(c);
    if !json.contains(escape) && !json.contains("##") {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 64);
    let mut before = ' ';
    for c in json.chars() {
        if escape(c) || (c == '#' && before == '#') {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
        before = c;
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b45_commands_of_ci_systems_are_disarmed() {
        assert_eq!(sentence("a ##[group]b"), "a #\u{fffd}[group]b");
        assert_eq!(sentence("##vso[task.setvariable]"), "#\u{fffd}vso[task.setvariable]");
        assert_eq!(sentence("###[x"), "##\u{fffd}[x");
        assert_eq!(sentence("## a heading"), "## a heading");
        assert_eq!(path("::error::x.yaml"), "./::error::x.yaml");
        assert_eq!(path("\n::error::x.yaml"), "./ ::error::x.yaml");
        assert_eq!(first("::error::x"), "\u{fffd}:error::x");
        assert_eq!(first("nginx::error"), "nginx::error");
    }

    #[test]
    fn b45_escaped_json_keeps_its_value() {
        let value = "\u{9b}31m \u{202e} ##[group] \\## \u{1b}";
        let json = serde_json::to_string(value).unwrap();
        let safe = escape_json(&json);
        assert!(!safe.contains(text::is_unsafe) && !safe.contains("##"), "{safe}");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), value);
    }
}
