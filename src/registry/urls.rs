//! Addresses that a registry writes into its messages: signed links and logins in them are secrets of
//! somebody else, and a message is shown to everybody.

/// The text with every address cut down to its scheme, host and path. To be called before anything is
/// cut or cleaned.
pub(super) fn plain(text: &str) -> String {
    let is_end = |c: char| c.is_whitespace() || "\"'`<>".contains(c);
    text.split_inclusive(is_end).map(plain_word).collect()
}

fn plain_word(word: &str) -> String {
    let (mut word, mut start) = (word.to_owned(), 0);
    // User info goes, in every address that the word holds.
    while let Some(at) = word[start..].find("//") {
        start += at + 2;
        let end = word[start..].find(['/', '?', '#']).map_or(word.len(), |at| start + at);
        if let Some(at) = word[start..end].rfind('@') {
            word.replace_range(start..start + at + 1, "");
        }
    }
    // And with the first query or fragment all that follows.
    let holds_more = |at: &usize| start > 0 || word[*at..].contains('=');
    let Some(query) = word.find(['?', '#']).filter(holds_more) else { return word };
    let end = word.chars().next_back().filter(|c| c.is_whitespace() || "\"'`<>".contains(*c));
    word.truncate(query);
    word.extend(end);
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t29_addresses_lose_query_fragment_and_login_and_nothing_else_changes() {
        for (text, plain_text) in [
            ("denied", "denied"),
            ("why? ask (#42)", "why? ask (#42)"),
            ("see https://r.io/docs/a b", "see https://r.io/docs/a b"),
            ("GET https://s3.eu/x?X-Sig=SECRET: 403", "GET https://s3.eu/x 403"),
            ("\"https://s3.eu/x?a=1&b=SECRET\" failed", "\"https://s3.eu/x\" failed"),
            ("at s3.eu/x?sig=SECRET,more=SECRET;c now", "at s3.eu/x now"),
            ("via http://ci:SECRET@proxy:80/a@b end", "via http://proxy:80/a@b end"),
            ("(//u:SECRET@h/x#SECRET)", "(//h/x"),
            ("a://u:SECRET@h//v:SECRET@i?t=SECRET", "a://h//i"),
            ("https://h/a#access_token=SECRET", "https://h/a"),
            ("é://ü:SECRET@ß?ö=SECRET\u{a0}é", "é://ß\u{a0}é"),
        ] {
            assert_eq!(plain(text), plain_text, "{text}");
        }
    }
}
