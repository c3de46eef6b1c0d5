//! Texts in image fields that something else fills in or matches with: no references.

/// What a text in an image field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    Reference,
    /// `${X}`, `$(params.x)` or `{{ .Values.x }}`: something writes the image later.
    Placeholder,
    /// `ko://example.com/cmd`: a Go package that `ko` builds.
    Build,
    /// `ENC[...]`, as SOPS writes it.
    Encrypted,
}

pub(super) fn classify(text: &str) -> Text {
    if text.starts_with("ko://") {
        Text::Build
    } else if text.starts_with("ENC[") {
        Text::Encrypted
    } else if ["${", "$(", "{{", "[["].iter().any(|mark| text.contains(mark)) {
        Text::Placeholder
    } else {
        Text::Reference
    }
}

/// What is said of a placeholder in a field.
pub fn text(path: &str, placeholder: &str) -> String {
    let shown = crate::text::clean(placeholder, crate::text::SHOWN);
    format!("{path} is \"{shown}\", which something else has to fill in")
}

/// Whether a text matches images rather than naming one, as in policies.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '|', '^']) || text.starts_with(['!', '=', '<'])
}

/// Whether a text, wherever it stands, can be taken for an image: it has a tag, a digest or the name
/// of a registry, and nothing that images never have.
pub(super) fn is_likely(text: &str) -> bool {
    is_possible(text) && (has_registry(text) || has_version(text))
}

/// Whether a text that stands where an image may stand can be one.
pub(super) fn is_possible(text: &str) -> bool {
    !text.is_empty()
        && classify(text) == Text::Reference
        && !is_pattern(text)
        && !text.contains("://")
        && text.split_once('@').is_none_or(|(_, digest)| is_digest(digest))
        && !text.starts_with(['/', '.', '-', ':'])
        && !text.ends_with(['/', ':'])
        && text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'.' | b'-' | b'_' | b'/' | b':' | b'@' | b'[' | b']')
        })
}

/// Not `git@host:path`.
fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        algorithm.starts_with("sha") && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Whether the first part names a registry: it holds a dot or a port, and more follows.
pub(super) fn has_registry(text: &str) -> bool {
    let Some((host, rest)) = text.split_once('/') else { return false };
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    let is_name = name == "localhost"
        || (name.contains('.') || !port.is_empty())
            && name.split('.').all(|label| {
                !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            });
    is_name
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && rest.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
}

/// Whether a text ends in a tag or a digest.
pub(super) fn has_version(text: &str) -> bool {
    if let Some((name, digest)) = text.split_once('@') {
        return !name.is_empty() && digest.contains(':');
    }
    let last = text.rsplit('/').next().unwrap_or(text);
    last.split_once(':')
        .is_some_and(|(name, tag)| !name.is_empty() && !tag.is_empty() && !tag.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_told_from_references() {
        for text in ["${IMG}", "repo/$(params.x):1", "{{ .Values.image }}", "a:{{x}}"] {
            assert_eq!(classify(text), Text::Placeholder, "{text}");
        }
        assert_eq!(classify("ko://example.com/cmd"), Text::Build);
        assert_eq!(classify("ENC[AES256_GCM,data:x,type:str]"), Text::Encrypted);
        for text in ["nginx", "<IMAGE>", "$IMG", "a b", "", "r.io/ko://x"] {
            assert_eq!(classify(text), Text::Reference, "{text}");
        }
        assert!(is_pattern("*:latest") && is_pattern("nginx:1.?") && !is_pattern("nginx"));
        assert!(is_pattern("a.io/* | b.io/*") && is_pattern("!x") && is_pattern("<image>"));
    }

    #[test]
    fn likely_images_have_a_registry_or_a_version() {
        for text in [
            "nginx:1.27",
            "a/b:1",
            "quay.io/a/b",
            "quay.io/a/b:1",
            "localhost/x",
            "r.io:5000/a:1",
            "a@sha256:0123",
            "r.io/a@sha256:0123",
            "10.0.0.1:5000/x",
        ] {
            assert!(is_likely(text), "{text}");
        }
        for text in [
            "nginx",
            "a/b",
            "",
            "https://quay.io/a:1",
            "a b:1",
            "/var/run:1",
            "quay.io/",
            "a:",
            "k=v",
            "${X}:1",
            "*:1",
            "::1",
            "a:b:c",
            "./a/b",
            "../x.io/y",
            "quay.io/$A",
            "/etc/x.conf",
        ] {
            assert!(!is_likely(text), "{text}");
        }
    }
}
