//! Small but honest images: a tar layer, a config, a manifest, and indexes of them, as bytes.
//!
//! Shared by the fake registry's store and by the push to a real one. Follows the OCI image
//! specification; the ways in which an image lies about its platform are chosen by `PlatformSpec`.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The media types that occur in tests.
pub mod media_type {
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    pub const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
}

/// One image of an index: what its descriptor says, and what its config says.
///
/// Made from text (`"linux/arm64/v8".into()`), then bent: `.undeclared()`, `.config_says("linux/arm64")`.
#[derive(Clone, Debug, Default)]
pub struct PlatformSpec {
    os: String,
    architecture: String,
    variant: Option<String>,
    os_version: Option<String>,
    os_features: Vec<String>,
    config: Option<Box<PlatformSpec>>,
    shape: Shape,
}

#[derive(Clone, Debug, Default)]
enum Shape {
    #[default]
    Image,
    Undeclared,
    Attestation,
    Nested(Vec<PlatformSpec>),
}

impl From<&str> for PlatformSpec {
    fn from(text: &str) -> Self {
        let mut parts = text.split('/').map(str::to_owned);
        Self {
            os: parts.next().unwrap_or_default(),
            architecture: parts.next().unwrap_or_default(),
            variant: parts.next(),
            ..Self::default()
        }
    }
}

impl PlatformSpec {
    /// `os.version`, as Windows images carry it.
    pub fn os_version(mut self, version: &str) -> Self {
        self.os_version = Some(version.to_owned());
        self
    }

    /// `os.features`, such as `win32k`.
    pub fn os_features(mut self, features: &[&str]) -> Self {
        self.os_features = features.iter().map(|f| (*f).to_owned()).collect();
        self
    }

    /// The index entry names no platform; the config still does.
    pub fn undeclared(mut self) -> Self {
        self.shape = Shape::Undeclared;
        self
    }

    /// The config names another platform than the index entry.
    pub fn config_says(mut self, platform: impl Into<PlatformSpec>) -> Self {
        self.config = Some(Box::new(platform.into()));
        self
    }

    /// A build attestation: `unknown/unknown`, an in-toto layer.
    pub fn attestation() -> Self {
        Self { shape: Shape::Attestation, ..Self::from("unknown/unknown") }
    }

    /// An index inside the index, its entry without a platform.
    pub fn nested(platforms: &[PlatformSpec]) -> Self {
        Self { shape: Shape::Nested(platforms.to_vec()), ..Self::default() }
    }

    fn to_json(&self) -> Value {
        let mut platform = json!({ "architecture": self.architecture, "os": self.os });
        if let Some(variant) = &self.variant {
            platform["variant"] = json!(variant);
        }
        if let Some(version) = &self.os_version {
            platform["os.version"] = json!(version);
        }
        if !self.os_features.is_empty() {
            platform["os.features"] = json!(self.os_features);
        }
        platform
    }
}

/// A piece of content with its media type; what a registry stores.
#[derive(Clone, Debug)]
pub struct Piece {
    pub media_type: String,
    pub bytes: Vec<u8>,
}

impl Piece {
    pub fn new(media_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { media_type: media_type.to_owned(), bytes: bytes.into() }
    }

    fn json(media_type: &str, value: &Value) -> Self {
        Self::new(media_type, value.to_string())
    }

    pub fn digest(&self) -> String {
        sha256(&self.bytes)
    }

    fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest(), "size": self.bytes.len() })
    }
}

/// Everything to push for one tag: blobs, then manifests with children first and the tagged one last.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    pub blobs: Vec<Piece>,
    pub manifests: Vec<Piece>,
}

impl Bundle {
    /// The manifest the tag points at.
    pub fn top(&self) -> &Piece {
        self.manifests.last().expect("a bundle ends with its tagged manifest")
    }

    /// A plain image; `seed` goes into its layer, so different seeds have different digests.
    pub fn image(platform: &PlatformSpec, seed: &str) -> Self {
        let mut bundle = Self::default();
        bundle.add_image(platform, seed);
        bundle
    }

    /// An index of the given images, in that order.
    pub fn index(platforms: &[PlatformSpec], seed: &str) -> Self {
        let mut bundle = Self::default();
        bundle.add_index(platforms, seed);
        bundle
    }

    /// An OCI artifact: empty config, a layer no runtime unpacks.
    pub fn artifact(seed: &str) -> Self {
        let config = Piece::new(media_type::EMPTY, "{}");
        let layer = Piece::new("application/vnd.example.chart.v1+json", format!("{seed:?}"));
        let mut manifest = manifest_of(&config, &layer);
        manifest["artifactType"] = json!("application/vnd.example.chart");
        let manifest = Piece::json(media_type::MANIFEST, &manifest);
        Self { blobs: vec![config, layer], manifests: vec![manifest] }
    }

    /// A schema 1 manifest, the format runtimes gave up.
    pub fn schema1(repository: &str, tag: &str) -> Self {
        let layer = Piece::new(media_type::LAYER, tar(tag));
        let manifest = json!({
            "schemaVersion": 1, "name": repository, "tag": tag, "architecture": "amd64",
            "fsLayers": [{ "blobSum": layer.digest() }],
            "history": [{ "v1Compatibility": "{\"architecture\":\"amd64\",\"os\":\"linux\"}" }],
            "signatures": [],
        });
        let manifest = Piece::json(media_type::SCHEMA1, &manifest);
        Self { blobs: vec![layer], manifests: vec![manifest] }
    }

    fn add_image(&mut self, platform: &PlatformSpec, seed: &str) -> Value {
        let said = platform.config.as_deref().unwrap_or(platform);
        let layer = match platform.shape {
            Shape::Attestation => Piece::new("application/vnd.in-toto+json", format!("{seed:?}")),
            _ => Piece::new(media_type::LAYER, tar(seed)),
        };
        let mut config = said.to_json();
        config["config"] = json!({ "Cmd": ["/pullproof.txt"] });
        config["rootfs"] = json!({ "type": "layers", "diff_ids": [layer.digest()] });
        let config = Piece::json(media_type::CONFIG, &config);
        let manifest = Piece::json(media_type::MANIFEST, &manifest_of(&config, &layer));
        let descriptor = manifest.descriptor();
        self.blobs.extend([config, layer]);
        self.manifests.push(manifest);
        descriptor
    }

    fn add_index(&mut self, platforms: &[PlatformSpec], seed: &str) -> Value {
        let mut entries: Vec<Value> = Vec::new();
        for (position, platform) in platforms.iter().enumerate() {
            let seed = format!("{seed} {position}");
            let mut entry = match &platform.shape {
                Shape::Nested(inner) => self.add_index(inner, &seed),
                _ => self.add_image(platform, &seed),
            };
            match platform.shape {
                Shape::Image => entry["platform"] = platform.to_json(),
                Shape::Attestation => {
                    entry["platform"] = platform.to_json();
                    let subject = entries.last().map_or(Value::Null, |e| e["digest"].clone());
                    entry["annotations"] = json!({
                        "vnd.docker.reference.type": "attestation-manifest",
                        "vnd.docker.reference.digest": subject,
                    });
                }
                Shape::Undeclared | Shape::Nested(_) => {}
            }
            entries.push(entry);
        }
        let index =
            json!({ "schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": entries });
        let index = Piece::json(media_type::INDEX, &index);
        let descriptor = index.descriptor();
        self.manifests.push(index);
        descriptor
    }
}

/// `sha256:` and the hex of the content's hash.
pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn manifest_of(config: &Piece, layer: &Piece) -> Value {
    json!({
        "schemaVersion": 2, "mediaType": media_type::MANIFEST,
        "config": config.descriptor(), "layers": [layer.descriptor()],
    })
}

/// A tar archive with one file, `pullproof.txt`, so that a real runtime can unpack it.
fn tar(text: &str) -> Vec<u8> {
    let mut header = [0u8; 512];
    let mut put = |at: usize, field: &[u8]| header[at..at + field.len()].copy_from_slice(field);
    put(0, b"pullproof.txt");
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", text.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.extend(text.as_bytes());
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}
