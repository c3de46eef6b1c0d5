//! Globs of policies and settings: `*` stays within a path component, `**` does not, everything
//! else is literal. Matching is by bytes and takes at most pattern times text steps.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A pattern such as `ghcr.io/acme/**` or `*.airgap.example`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Glob(String);

impl Glob {
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern holds no star, so that it names one thing.
    pub fn is_literal(&self) -> bool {
        !self.0.contains('*')
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        let tokens = tokens(&self.0);
        let text = text.as_bytes();
        // reached[i]: the tokens so far can match text[..i].
        let mut reached = vec![false; text.len() + 1];
        reached[0] = true;
        for token in tokens {
            let mut next = vec![false; text.len() + 1];
            match token {
                Token::Byte(byte) => {
                    for at in 0..text.len() {
                        next[at + 1] = reached[at] && text[at] == byte;
                    }
                }
                Token::Star { slashes } => {
                    let mut open = false;
                    for at in 0..=text.len() {
                        open = (open && at > 0 && (slashes || text[at - 1] != b'/')) || reached[at];
                        next[at] = open;
                    }
                }
            }
            reached = next;
        }
        reached[text.len()]
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

enum Token {
    Byte(u8),
    Star { slashes: bool },
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(pattern.len());
    let mut bytes = pattern.bytes().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'*' {
            tokens.push(Token::Byte(byte));
            continue;
        }
        let mut stars = 1;
        while bytes.next_if_eq(&b'*').is_some() {
            stars += 1;
        }
        tokens.push(Token::Star { slashes: stars > 1 });
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Glob::new(pattern).matches(text)
    }

    #[test]
    fn one_star_stays_within_a_component_and_two_do_not() {
        assert!(matches("ghcr.io/acme/*", "ghcr.io/acme/web"));
        assert!(!matches("ghcr.io/acme/*", "ghcr.io/acme/team/web"));
        assert!(matches("ghcr.io/acme/**", "ghcr.io/acme/team/web"));
        assert!(matches("prod-*", "prod-eu"));
        assert!(!matches("prod-*", "xprod-eu"));
        assert!(matches("*.airgap.example", "a.b.airgap.example"));
        assert!(matches("**", ""));
        assert!(matches("a*b*c", "aXbYc") && !matches("a*b*c", "aXbY"));
        assert!(!matches("docker.io", "docker.io.evil.test"));
    }

    #[test]
    fn many_stars_take_bounded_time() {
        let started = std::time::Instant::now();
        assert!(!matches(&"*a".repeat(200), &"a".repeat(4096).replace("aa", "ab")));
        assert!(started.elapsed().as_secs() < 5);
    }
}
