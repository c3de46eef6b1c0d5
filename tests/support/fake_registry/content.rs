//! What a fake registry holds: repositories with tags, manifests and blobs, found by digest.

use std::collections::{BTreeMap, HashMap};

use super::super::image::{Bundle, Piece, PlatformSpec, sha256};
use super::FakeRegistry;

#[derive(Default)]
pub struct Content {
    repositories: BTreeMap<String, Repository>,
    pushes: HashMap<(String, String), usize>,
}

#[derive(Default)]
pub struct Repository {
    pub tags: BTreeMap<String, String>,
    pub manifests: HashMap<String, Piece>,
    pub blobs: HashMap<String, Piece>,
}

impl Repository {
    /// The digest a tag points at, or the digest itself.
    pub fn digest_of(&self, reference: &str) -> Option<String> {
        if reference.contains(':') {
            Some(reference.to_owned())
        } else {
            self.tags.get(reference).cloned()
        }
    }
}

impl Content {
    pub fn repository(&self, name: &str) -> Option<&Repository> {
        self.repositories.get(name)
    }

    fn entry(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    /// Text that differs each time the same tag is pushed, and is alike in every run.
    fn seed(&mut self, repository: &str, tag: &str) -> String {
        let pushes = self.pushes.entry((repository.to_owned(), tag.to_owned())).or_default();
        *pushes += 1;
        format!("{repository}:{tag} push {pushes}")
    }

    fn store(&mut self, repository: &str, tag: &str, bundle: Bundle) -> String {
        let top = bundle.top().digest();
        let place = self.entry(repository);
        for blob in bundle.blobs {
            place.blobs.extend(by_digests(blob));
        }
        for manifest in bundle.manifests {
            place.manifests.extend(by_digests(manifest));
        }
        place.tags.insert(tag.to_owned(), top.clone());
        top
    }
}

/// Content is found under its sha256 and under its sha512.
fn by_digests(piece: Piece) -> [(String, Piece); 2] {
    use sha2::{Digest as _, Sha512};
    let sha512 = format!("sha512:{}", hex::encode(Sha512::digest(&piece.bytes)));
    [(piece.digest(), piece.clone()), (sha512, piece)]
}

/// Filling the registry. Every push answers the digest its tag now points at; pushing a tag again moves it.
impl FakeRegistry {
    /// A plain image: one manifest, its config, one layer.
    pub fn push_image(
        &self,
        repository: &str,
        tag: &str,
        platform: impl Into<PlatformSpec>,
    ) -> String {
        self.push_seeded(repository, tag, |seed| Bundle::image(&platform.into(), seed))
    }

    /// An index of images.
    pub fn push_index(&self, repository: &str, tag: &str, platforms: &[PlatformSpec]) -> String {
        self.push_seeded(repository, tag, |seed| Bundle::index(platforms, seed))
    }

    /// An OCI artifact: it has a manifest but is no image.
    pub fn push_artifact(&self, repository: &str, tag: &str) -> String {
        self.push_seeded(repository, tag, Bundle::artifact)
    }

    /// An image in the schema 1 format.
    pub fn push_schema1(&self, repository: &str, tag: &str) -> String {
        self.push_seeded(repository, tag, |_| Bundle::schema1(repository, tag))
    }

    /// Any bytes as a manifest, right or wrong.
    pub fn push_raw(
        &self,
        repository: &str,
        tag: &str,
        media_type: &str,
        bytes: impl Into<Vec<u8>>,
    ) -> String {
        let manifests = vec![Piece::new(media_type, bytes)];
        self.push_seeded(repository, tag, |_| Bundle { blobs: vec![], manifests })
    }

    /// Any bytes as a blob; answers its digest.
    pub fn push_blob(&self, repository: &str, bytes: impl Into<Vec<u8>>) -> String {
        let blob = Piece::new("application/octet-stream", bytes);
        let digest = sha256(&blob.bytes);
        self.shared.content().entry(repository).blobs.extend(by_digests(blob));
        digest
    }

    /// Makes a tag point at a digest, whether it is there or not.
    pub fn tag(&self, repository: &str, tag: &str, digest: &str) {
        self.shared.content().entry(repository).tags.insert(tag.to_owned(), digest.to_owned());
    }

    /// The tags of a repository, sorted.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let content = self.shared.content();
        content.repository(repository).map(|r| r.tags.keys().cloned().collect()).unwrap_or_default()
    }

    /// The bytes of the manifest under a tag or digest.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<Vec<u8>> {
        let content = self.shared.content();
        let place = content.repository(repository)?;
        Some(place.manifests.get(&place.digest_of(reference)?)?.bytes.clone())
    }

    /// Loses a tag, or a manifest or blob by its digest, while what points at it stays.
    pub fn forget(&self, repository: &str, reference: &str) {
        let mut content = self.shared.content();
        let place = content.entry(repository);
        place.tags.remove(reference);
        place.manifests.remove(reference);
        place.blobs.remove(reference);
    }

    fn push_seeded(
        &self,
        repository: &str,
        tag: &str,
        make: impl FnOnce(&str) -> Bundle,
    ) -> String {
        let mut content = self.shared.content();
        let seed = content.seed(repository, tag);
        content.store(repository, tag, make(&seed))
    }
}
