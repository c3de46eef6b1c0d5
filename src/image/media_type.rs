//! Media types of manifests, from the OCI image specification and Docker's registry API.

use oci_distribution::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
};

use serde::{Deserialize, Serialize};

/// What a manifest's media type says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Manifest,
    Index,
    Schema1,
    /// HTML, or no type at all: no registry answered.
    NoRegistry,
    Unknown,
}

/// Reads a Content-Type; parameters such as a charset do not count.
pub fn kind(media_type: &str) -> Kind {
    let plain = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match plain.as_str() {
        IMAGE_MANIFEST_MEDIA_TYPE | OCI_IMAGE_MEDIA_TYPE => Kind::Manifest,
        IMAGE_MANIFEST_LIST_MEDIA_TYPE | OCI_IMAGE_INDEX_MEDIA_TYPE => Kind::Index,
        "application/vnd.docker.distribution.manifest.v1+json"
        | "application/vnd.docker.distribution.manifest.v1+prettyjws"
        | "text/plain" => Kind::Schema1,
        "" | "text/html" | "application/xhtml+xml" => Kind::NoRegistry,
        _ => Kind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_ignore_parameters_and_case() {
        assert_eq!(kind("application/vnd.oci.image.index.v1+json; charset=utf-8"), Kind::Index);
        assert_eq!(kind("Text/HTML"), Kind::NoRegistry);
        assert_eq!(kind(""), Kind::NoRegistry);
        assert_eq!(kind("application/octet-stream"), Kind::Unknown);
    }
}
