//! Content digests as `opencontainers/go-digest` (`digest.go`, `algorithm.go`) accepts them in a
//! kubelet or containerd binary: `sha256`, `sha384` and `sha512`, lower-case hex of exact length.
//! Hashing content and comparing it with a digest is left to whoever reads the content.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A content digest, well formed by construction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    hex: String,
}

/// The hash algorithms that both kubelet and containerd have linked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    Sha256,
    Sha384,
    Sha512,
}

/// Why a text is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Error {
    #[error("not of the form algorithm:hex in lower case")]
    Format,
    #[error("the hex part has the wrong length for its algorithm")]
    Length,
    #[error("unsupported digest algorithm")]
    Unsupported,
}

impl Algorithm {
    /// The algorithm of that exact name.
    pub fn parse(name: &str) -> Option<Algorithm> {
        match name {
            "sha256" => Some(Algorithm::Sha256),
            "sha384" => Some(Algorithm::Sha384),
            "sha512" => Some(Algorithm::Sha512),
            _ => None,
        }
    }

    /// The name as it stands before the colon.
    pub fn id(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha384 => "sha384",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// The number of hex digits a digest of this algorithm has.
    pub fn hex_length(self) -> usize {
        match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha384 => 96,
            Algorithm::Sha512 => 128,
        }
    }
}

impl Digest {
    /// Parses `algorithm:hex`; length is judged before the alphabet, as upstream does.
    pub fn parse(text: &str) -> Result<Digest, Error> {
        let (name, hex) = text.split_once(':').ok_or(Error::Format)?;
        if name.is_empty() || hex.is_empty() {
            return Err(Error::Format);
        }
        let Some(algorithm) = Algorithm::parse(name) else {
            let known_form = is_algorithm_name(name) && hex.bytes().all(is_encoded);
            return Err(if known_form { Error::Unsupported } else { Error::Format });
        };
        if hex.len() != algorithm.hex_length() {
            return Err(Error::Length);
        }
        if !hex.bytes().all(is_lower_hex) {
            return Err(Error::Format);
        }
        Ok(Digest { algorithm, hex: hex.to_owned() })
    }

    /// The algorithm before the colon.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The lower-case hex digits after the colon.
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.id(), self.hex)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Digest::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

pub(super) fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Lower-case words joined by single separators, the only form an unknown algorithm may have.
fn is_algorithm_name(name: &str) -> bool {
    name.split(['.', '+', '_', '-']).all(|word| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

fn is_encoded(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'=' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_three_linked_algorithms_and_prints_them_back() {
        for (name, length) in [("sha256", 64), ("sha384", 96), ("sha512", 128)] {
            let text = format!("{name}:{}", "0af".repeat(length / 3 + 1).split_at(length).0);
            let digest = Digest::parse(&text).unwrap();
            assert_eq!(digest.to_string(), text);
            assert_eq!(digest.algorithm().id(), name);
            assert_eq!(digest.hex().len(), length);
        }
    }

    #[test]
    fn tells_length_alphabet_and_algorithm_apart() {
        let hex = "F".repeat(64);
        assert_eq!(Digest::parse(&format!("sha256:{hex}")), Err(Error::Format));
        assert_eq!(Digest::parse(&format!("sha256:{hex}0")), Err(Error::Length));
        assert_eq!(Digest::parse(&format!("md5:{hex}")), Err(Error::Unsupported));
        assert_eq!(Digest::parse(&format!("SHA256:{hex}")), Err(Error::Format));
        for text in ["", ":", "sha256", "sha256:", ":00", "a--b:00", "md5:a/b"] {
            assert_eq!(Digest::parse(text), Err(Error::Format), "{text}");
        }
    }
}
