//! OCI platforms: their JSON form, the normal form that containerd compares (`containerd/platforms`
//! v1.0.0-rc.5, `database.go`), and the specifiers people write on a command line. Which manifest
//! of an index a node takes is decided in [`choice`].

pub mod choice;
mod preference;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::text::{self, clean};

pub use choice::{
    Agreement, Choice, Content, Entry, Refusal, Runtime, agreed, choose, offered, runs,
};

/// An OCI platform as written; missing parts are empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Deserialize, Serialize)]
pub struct Platform {
    #[serde(default, deserialize_with = "or_null")]
    pub os: String,
    #[serde(default, deserialize_with = "or_null")]
    pub architecture: String,
    #[serde(default, deserialize_with = "or_null", skip_serializing_if = "String::is_empty")]
    pub variant: String,
    #[serde(
        default,
        rename = "os.version",
        deserialize_with = "or_null",
        skip_serializing_if = "String::is_empty"
    )]
    pub os_version: String,
    #[serde(
        default,
        rename = "os.features",
        deserialize_with = "or_null",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
}

/// Reads null like a missing field, as Go's JSON does.
fn or_null<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Platform {
    /// A platform of an operating system and an architecture alone.
    pub fn new(os: &str, architecture: &str) -> Platform {
        Platform { os: os.to_owned(), architecture: architecture.to_owned(), ..Default::default() }
    }

    /// Parses `os/arch[/variant]`, `os(version)/arch[/variant]` or a lone architecture of linux,
    /// in any spelling containerd knows, into the normal form.
    pub fn parse(text: &str) -> Result<Platform, Error> {
        let parts: Vec<&str> = text.splitn(4, '/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os] if KNOWN_OS.contains(&os.to_lowercase().as_str()) => {
                return Err(Error::Form(text.to_owned()));
            }
            [architecture] => ("linux", architecture, ""),
            [os, architecture] => (os, architecture, ""),
            [os, architecture, variant] if is_word(variant) => (os, architecture, variant),
            _ => return Err(Error::Form(text.to_owned())),
        };
        let (os, os_version) = split_version(os).ok_or_else(|| Error::Form(text.to_owned()))?;
        let platform = Platform {
            variant: variant.to_owned(),
            os_version: os_version.to_owned(),
            ..Platform::new(os, architecture)
        }
        .normalize();
        if !KNOWN_OS.contains(&platform.os.as_str()) {
            return Err(Error::Os(os.to_owned()));
        }
        if !KNOWN_ARCHITECTURES.contains(&platform.architecture.as_str()) {
            return Err(Error::Architecture(architecture.to_owned()));
        }
        Ok(platform)
    }

    /// The normal form: lower case, aliases resolved, implied variants dropped (amd64 `v1`, arm64
    /// `v8`) or filled in (arm `v7`), features sorted. An empty operating system stays empty: only
    /// the node knows what it means.
    pub fn normalize(&self) -> Platform {
        let os = match self.os.to_lowercase() {
            os if os == "macos" => "darwin".to_owned(),
            os => os,
        };
        let (architecture, variant) = normalize_architecture(&self.architecture, &self.variant);
        let mut os_features = self.os_features.clone();
        os_features.sort();
        os_features.dedup();
        Platform { os, architecture, variant, os_version: self.os_version.clone(), os_features }
    }

    /// Whether this is the platform that attestations carry, `unknown/unknown`.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown"
    }
}

fn normalize_architecture(architecture: &str, variant: &str) -> (String, String) {
    let (architecture, variant) = (architecture.to_lowercase(), variant.to_lowercase());
    let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
        ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        as_written => as_written,
    };
    (architecture.to_owned(), variant.to_owned())
}

/// Written like containerd's specifiers, the Windows version in parentheses; what came from outside
/// is cleaned.
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |text: &str| clean(text, text::SHOWN);
        f.write_str(&part(if self.os.is_empty() { "unknown" } else { &self.os }))?;
        if !self.os_version.is_empty() {
            write!(f, "({})", part(&self.os_version))?;
        }
        for text in [&self.architecture, &self.variant] {
            if !text.is_empty() {
                write!(f, "/{}", part(text))?;
            }
        }
        Ok(())
    }
}

/// Why a text names no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("`{}` is no platform; write os/arch or os/arch/variant, like linux/arm64", shown(.0))]
    Form(String),
    #[error("unknown operating system `{}`; most nodes are linux or windows", shown(.0))]
    Os(String),
    #[error("unknown architecture `{}`; for example amd64, arm64, s390x", shown(.0))]
    Architecture(String),
}

fn shown(text: &str) -> String {
    clean(text, text::SHOWN)
}

/// `windows(10.0.20348)` in its two parts.
fn split_version(os: &str) -> Option<(&str, &str)> {
    let (name, version) = match os.split_once('(') {
        Some((name, rest)) => (name, rest.strip_suffix(')')?),
        None => (os, ""),
    };
    (is_word(name) && (version.is_empty() || is_word(version))).then_some((name, version))
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// Go's GOOS values; a specifier outside them is a typing error, not a node.
const KNOWN_OS: [&str; 17] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];

/// Go's GOARCH values.
const KNOWN_ARCHITECTURES: [&str; 24] = [
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "arm64",
    "arm64be",
    "armbe",
    "loong64",
    "mips",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "mipsle",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_oci_json_with_missing_and_null_parts() {
        let json = r#"{"os":"windows","variant":null,"os.version":"10.0.1","os.features":null}"#;
        let platform: Platform = serde_json::from_str(json).unwrap();
        let wanted = Platform { os_version: "10.0.1".into(), ..Platform::new("windows", "") };
        assert_eq!(platform, wanted);
    }

    #[test]
    fn specifiers_come_back_in_normal_form() {
        for (text, shown) in [
            ("linux/arm64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("Linux/AArch64/v9.0", "linux/arm64/v9"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/x86_64/v3", "linux/amd64/v3"),
            ("macos/arm64", "darwin/arm64"),
            ("s390x", "linux/s390x"),
            ("windows(10.0.20348.1)/amd64", "windows(10.0.20348.1)/amd64"),
        ] {
            assert_eq!(Platform::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn typing_errors_are_named() {
        assert!(matches!(Platform::parse("linux/amd46"), Err(Error::Architecture(_))));
        assert!(matches!(Platform::parse("linus/amd64"), Err(Error::Os(_))));
        for text in
            ["", "/", "linux/", "a/b/c/d", "linux/amd64/", "linux(1/amd64", "linux/arm64/v8 "]
        {
            assert!(Platform::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shown_text_is_cleaned() {
        let platform = Platform::new("li\u{1b}nux", "am\u{202e}d64");
        assert!(!platform.to_string().contains(crate::text::is_unsafe));
    }
}
