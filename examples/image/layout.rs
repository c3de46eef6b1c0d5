//! An OCI image layout in one tar file: an index with an image for each platform, each of one layer
//! that holds the program, the root certificates and a user without rights.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::Result;
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::tar;

pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Nobody in particular: the number that other images without a shell use, too.
const USER: &str = "65532";
const ROOTS: &str = "etc/ssl/certs/ca-certificates.crt";

/// What goes into an image.
pub struct Image<'a> {
    pub version: &'a str,
    /// Root certificates, PEM.
    pub roots: &'a [u8],
    /// A static binary for each (os, architecture).
    pub platforms: &'a BTreeMap<(String, String), Vec<u8>>,
}

impl Image<'_> {
    /// The digest of the index, and the layout as a tar file.
    pub fn layout(&self) -> Result<(String, Vec<u8>)> {
        let mut blobs = BTreeMap::new();
        let mut manifests = Vec::new();
        for ((os, architecture), binary) in self.platforms {
            let mut manifest = self.manifest(&mut blobs, (os, architecture), binary)?;
            manifest["platform"] = json!({"os": os, "architecture": architecture});
            manifests.push(manifest);
        }
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        let mut top = keep(&mut blobs, INDEX, index.to_string().into_bytes());
        let digest = top["digest"].as_str().unwrap_or_default().to_owned();
        top["annotations"] = json!({"org.opencontainers.image.ref.name": self.version});
        let entry = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [top]});

        let mut layout = Vec::new();
        tar::file(&mut layout, "oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#);
        tar::file(&mut layout, "index.json", 0o644, entry.to_string().as_bytes());
        tar::folder(&mut layout, "blobs");
        tar::folder(&mut layout, "blobs/sha256");
        for (digest, content) in &blobs {
            tar::file(&mut layout, &blob(digest), 0o644, content);
        }
        tar::end(&mut layout);
        Ok((digest, layout))
    }

    /// The descriptor of the image for one platform.
    fn manifest(
        &self,
        blobs: &mut BTreeMap<String, Vec<u8>>,
        (os, architecture): (&str, &str),
        binary: &[u8],
    ) -> Result<Value> {
        let files = self.files(binary);
        let labels = json!({
            "org.opencontainers.image.title": "pullproof",
            "org.opencontainers.image.version": self.version,
            "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
            "org.opencontainers.image.source": env!("CARGO_PKG_REPOSITORY"),
        });
        let config = json!({
            "os": os, "architecture": architecture,
            "config": {
                "User": format!("{USER}:{USER}"), "WorkingDir": "/", "Entrypoint": ["/pullproof"],
                "Env": ["PATH=/", format!("SSL_CERT_FILE=/{ROOTS}")], "Labels": labels,
            },
            "rootfs": {"type": "layers", "diff_ids": [digest_of(&files)]},
        });
        let layer = keep(blobs, LAYER, compressed(&files)?);
        let config = keep(blobs, CONFIG, config.to_string().into_bytes());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer],
            "annotations": labels,
        });
        Ok(keep(blobs, MANIFEST, manifest.to_string().into_bytes()))
    }

    fn files(&self, binary: &[u8]) -> Vec<u8> {
        let mut files = Vec::new();
        let user = |line: &str| line.replace("USER", USER).into_bytes();
        for folder in ["etc", "etc/ssl", "etc/ssl/certs"] {
            tar::folder(&mut files, folder);
        }
        tar::file(&mut files, "etc/group", 0o644, &user("nonroot:x:USER:\n"));
        let passwd = user("nonroot:x:USER:USER:nonroot:/:/sbin/nologin\n");
        tar::file(&mut files, "etc/passwd", 0o644, &passwd);
        tar::file(&mut files, ROOTS, 0o644, self.roots);
        tar::file(&mut files, "pullproof", 0o755, binary);
        tar::end(&mut files);
        files
    }
}

/// Where a layout keeps the content of a digest.
pub fn blob(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

/// `sha256:...` of these bytes.
pub fn digest_of(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}

/// Keeps a blob; its descriptor.
fn keep(blobs: &mut BTreeMap<String, Vec<u8>>, media_type: &str, content: Vec<u8>) -> Value {
    let digest = digest_of(&content);
    let descriptor = json!({"mediaType": media_type, "digest": digest, "size": content.len()});
    blobs.insert(digest, content);
    descriptor
}

/// Without a name or a time in the header, so that equal files give equal bytes.
fn compressed(files: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    encoder.write_all(files)?;
    Ok(encoder.finish()?)
}
