//! Bytes of manifests, indexes and configs to what platforms need of them. Bounded, and strict about
//! what is ambiguous: a body with both `manifests` and `layers` is no manifest.
//! Media types from the OCI image specification and Docker's registry API.

use oci_distribution::manifest::{IMAGE_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_CONFIG_MEDIA_TYPE};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::image::digest::Algorithm;
use crate::image::media_type::{Kind, kind};
use crate::image::platform::{Content, Entry};
use crate::image::{Digest, Platform};

/// The Accept header of a manifest request, as containerd resolves.
pub(super) const ACCEPT: &str = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*";

/// A manifest or index, read.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manifest {
    /// An image manifest and its config's descriptor.
    Image {
        config: Descriptor,
    },
    /// No image although the media type of one: an artifact.
    Artifact {
        config_type: String,
    },
    Index(Vec<Listed>),
}

/// An entry of an index.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Listed {
    pub digest: Digest,
    pub kind: Kind,
    pub platform: Option<Platform>,
}

impl Listed {
    /// The entry as the choice of platforms sees it, before anything below it is read.
    pub fn entry(&self) -> Entry {
        let content = match self.kind {
            Kind::Manifest => Content::Manifest { config: None },
            Kind::Index => Content::UnreadIndex,
            Kind::Schema1 => Content::Schema1,
            Kind::Unknown | Kind::NoRegistry => Content::Other,
        };
        Entry { platform: self.platform.clone(), content }
    }
}

/// A checked descriptor.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Descriptor {
    pub digest: Digest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawManifest<'a> {
    #[serde(borrow, default)]
    manifests: Option<&'a serde_json::value::RawValue>,
    #[serde(borrow, default)]
    layers: Option<&'a serde_json::value::RawValue>,
    #[serde(default)]
    config: Option<RawDescriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    #[serde(default)]
    media_type: Option<String>,
    digest: String,
    #[serde(default)]
    platform: Option<Platform>,
}

/// Reads a manifest or index of the kind its media type announced; the error says what is wrong.
pub fn parse(kind: Kind, body: &[u8], max_entries: usize) -> Result<Manifest, String> {
    let raw: RawManifest = serde_json::from_slice(body)
        .map_err(|error| format!("the manifest is no usable JSON ({})", category(&error)))?;
    if raw.manifests.is_some() && (raw.layers.is_some() || raw.config.is_some()) {
        return Err("the manifest claims to be an image and an index at once".to_owned());
    }
    match kind {
        Kind::Index => {
            let list = raw.manifests.ok_or("the index has no list of manifests")?;
            let entries: Vec<RawDescriptor> = serde_json::from_str(list.get())
                .map_err(|error| format!("the index cannot be read ({})", category(&error)))?;
            if entries.len() > max_entries {
                return Err(format!(
                    "the index has {} entries, more than the {max_entries} that are read",
                    entries.len()
                ));
            }
            entries.into_iter().map(listed).collect::<Result<_, _>>().map(Manifest::Index)
        }
        _ => {
            let config = raw.config.ok_or("the manifest names no config")?;
            let config_type = config.media_type.clone().unwrap_or_default();
            if !matches!(
                config_type.as_str(),
                IMAGE_CONFIG_MEDIA_TYPE | IMAGE_DOCKER_CONFIG_MEDIA_TYPE | ""
            ) {
                return Ok(Manifest::Artifact { config_type });
            }
            let digest = Digest::parse(&config.digest)
                .map_err(|_| "the config's digest is malformed".to_owned())?;
            Ok(Manifest::Image { config: Descriptor { digest } })
        }
    }
}

fn listed(raw: RawDescriptor) -> Result<Listed, String> {
    let digest =
        Digest::parse(&raw.digest).map_err(|_| "a digest in the index is malformed".to_owned())?;
    // An entry without a media type cannot be fetched as anything; containerd refuses it.
    let kind = raw.media_type.as_deref().map_or(Kind::Unknown, kind);
    Ok(Listed { digest, kind, platform: raw.platform })
}

/// The platform that an image config names; missing fields are empty, as in the OCI specification's readers.
pub fn parse_config(body: &[u8]) -> Result<Platform, String> {
    serde_json::from_slice(body)
        .map_err(|error| format!("the image config cannot be read ({})", category(&error)))
}

fn category(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Io => "unreadable",
        serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Data => "unexpected shape",
        serde_json::error::Category::Eof => "ends early",
    }
}

/// Whether the bytes have this digest.
pub(super) fn has_digest(body: &[u8], digest: &Digest) -> bool {
    let actual = match digest.algorithm() {
        Algorithm::Sha256 => hex::encode(Sha256::digest(body)),
        Algorithm::Sha384 => hex::encode(Sha384::digest(body)),
        Algorithm::Sha512 => hex::encode(Sha512::digest(body)),
    };
    actual == digest.hex()
}

/// The sha256 digest of some bytes.
pub(super) fn digest_of(body: &[u8]) -> Digest {
    let text = format!("sha256:{}", hex::encode(Sha256::digest(body)));
    Digest::parse(&text).expect("a sha256 in hex is a digest")
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn b38_hostile_manifests_are_refused_quickly() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let many = format!(
            "{{\"manifests\":[{}]}}",
            vec![format!("{{\"digest\":\"{D}\",\"size\":1}}"); 100_000].join(",")
        );
        let layers = format!("{{\"layers\":[{}]}}", vec!["{}"; 1_000_000].join(","));
        let both = format!("{{\"manifests\":[],\"layers\":[],\"config\":{{\"digest\":\"{D}\"}}}}");
        let started = std::time::Instant::now();
        for body in [
            "",
            "null",
            "[]",
            "{}",
            "NaN",
            "{\"config\":null}",
            "{\"config\":{\"digest\":\"x\"}}",
            &deep,
            &layers,
            &both,
        ] {
            assert!(
                parse(Kind::Manifest, body.as_bytes(), 512).is_err(),
                "{}",
                &body[..body.len().min(60)]
            );
        }
        for body in ["", "null", "{}", "{\"manifests\":null}", "{\"manifests\":[5]}", &many, &both]
        {
            assert!(
                parse(Kind::Index, body.as_bytes(), 512).is_err(),
                "{}",
                &body[..body.len().min(60)]
            );
        }
        assert!(started.elapsed().as_secs() < 20);
    }

    #[test]
    fn b38_odd_sizes_do_not_matter_since_sizes_are_not_used() {
        for size in ["-1", "9223372036854775808", "1.5", "1e400"] {
            let body = format!(
                "{{\"config\":{{\"mediaType\":\"{IMAGE_CONFIG_MEDIA_TYPE}\",\"digest\":\"{D}\",\"size\":{size}}},\"layers\":[]}}"
            );
            let parsed = parse(Kind::Manifest, body.as_bytes(), 512);
            assert!(size == "1e400" || parsed.is_ok(), "{size}: {parsed:?}");
        }
    }

    #[test]
    fn an_artifact_is_told_by_its_config_type() {
        let body = format!(
            "{{\"config\":{{\"mediaType\":\"application/vnd.cncf.helm.config.v1+json\",\"digest\":\"{D}\",\"size\":2}}}}"
        );
        assert!(matches!(
            parse(Kind::Manifest, body.as_bytes(), 512),
            Ok(Manifest::Artifact { .. })
        ));
    }

    #[test]
    fn f26_bytes_are_held_against_their_digest() {
        assert!(has_digest(b"", &Digest::parse(D).unwrap()));
        assert!(!has_digest(b"x", &Digest::parse(D).unwrap()));
    }
}
