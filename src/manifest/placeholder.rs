//! Texts in image fields that something else fills in or matches with: no references.

/// What a text in an image field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    Reference,
    /// `${X}`, `$(params.x)` or `{{ .Values.x }}`: something writes the image later.
    Placeholder,
    /// `ko://example.com/cmd`: a Go package that `ko` builds.
    Build,
}

pub(super) fn classify(text: &str) -> Text {
    if text.starts_with("ko://") {
        Text::Build
    } else if ["${", "$(", "{{"].iter().any(|mark| text.contains(mark)) {
        Text::Placeholder
    } else {
        Text::Reference
    }
}

/// Whether a text matches images rather than naming one, as in policies.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
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
        for text in ["nginx", "<IMAGE>", "$IMG", "a b", "", "r.io/ko://x"] {
            assert_eq!(classify(text), Text::Reference, "{text}");
        }
        assert!(is_pattern("*:latest") && is_pattern("nginx:1.?") && !is_pattern("nginx"));
    }
}
