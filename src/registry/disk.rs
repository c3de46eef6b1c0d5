//! Facts on disk, for the next run of the command line: what a tag or digest named to one credential
//! (ten minutes) and what a digest holds (thirty days). Never an absence, a refusal, a trouble or a
//! decision, and never a login: a question is known by a hash under the cache's own key, and an entry
//! that the key did not seal for that very question is passed over. A cache that cannot be used costs
//! requests and a note, nothing else.

mod folder;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::Sha256;

use super::cache::{Content, ContentKey, ManifestKey, Part};
use crate::diagnosis::evidence::Found;
use crate::image::Digest;
use crate::settings::{DiskCache, HostSettings};
use folder::Folder;

/// How long an observation of a tag or digest counts.
const PRESENT: Duration = Duration::from_secs(10 * 60);
const CONTENT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Larger entries are neither written nor read.
const MAX_ENTRY: usize = 5 << 20;

/// Bytes that may stay when a run ends.
const MAX_CACHE: u64 = 256 << 20;

/// Raised when an entry means something else than before; another version of the program does too.
const FORMAT: &str = concat!("1/", env!("CARGO_PKG_VERSION"));

/// How the names of the two kinds of entries begin.
const PRESENT_NAME: &str = "present-";
const CONTENT_NAME: &str = "content-";

/// The cache of one folder.
pub(super) struct Disk {
    folder: Folder,
    key: [u8; 32],
    refresh: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    wrote: bool,
    /// Why nothing is written any more.
    failure: Option<String>,
}

/// A file: a fact, when it was seen, and a seal over both, the name and the format.
#[derive(Serialize, Deserialize)]
struct Entry<'a> {
    format: &'a str,
    /// Seconds since 1970.
    seen: u64,
    #[serde(borrow)]
    fact: &'a RawValue,
    seal: String,
}

/// What a tag or digest named.
#[derive(Serialize, Deserialize)]
struct Present {
    host: String,
    digest: Digest,
    media_type: String,
}

impl Disk {
    /// Opens the cache, which is made when it is not there; the error says why it is not used.
    pub fn open(settings: &DiskCache) -> Result<Self, String> {
        let (folder, key) = Folder::open(&settings.folder).map_err(|reason| {
            format!("the cache {} is not used: {reason}", settings.folder.display())
        })?;
        Ok(Self { folder, key, refresh: settings.refresh, state: Mutex::default() })
    }

    /// A key for credentials, the same in every process that uses this cache.
    pub fn identity_key(&self) -> [u8; 32] {
        self.hash(&[b"identity"])
    }

    /// What the tag or digest named, and how long ago that was seen. `reached`: how the host is
    /// reached, since what was seen in another way does not count.
    pub fn present(&self, key: &ManifestKey, reached: &HostSettings) -> Option<(Found, Duration)> {
        let (present, age): (Present, _) = self.read(&self.present_name(key, reached), PRESENT)?;
        let Present { host, digest, media_type } = present;
        let found = Found { host, digest, media_type, pulls_left: None, auth: None };
        Some((found, age))
    }

    pub fn keep_present(&self, key: &ManifestKey, reached: &HostSettings, found: &Found) {
        let present = Present {
            host: found.host.clone(),
            digest: found.digest.clone(),
            media_type: found.media_type.clone(),
        };
        self.write(&self.present_name(key, reached), &present, |_| false);
    }

    /// The registry refuses now what it gave before.
    pub fn forget_present(&self, key: &ManifestKey, reached: &HostSettings) {
        self.folder.remove(&self.present_name(key, reached));
    }

    pub fn content(&self, key: &ContentKey) -> Option<Content> {
        let (content, _): (Content, _) = self.read(&self.content_name(key), CONTENT)?;
        let fits = matches!(
            (key.part, &content),
            (Part::Manifest, Content::Manifest(_)) | (Part::Config, Content::Config(_))
        );
        fits.then_some(content)
    }

    /// Keeps content, unless it says something that `is_secret` knows.
    pub fn keep_content(
        &self,
        key: &ContentKey,
        content: &Content,
        is_secret: impl Fn(&str) -> bool,
    ) {
        self.write(&self.content_name(key), content, is_secret);
    }

    /// Ends a run: removes what is too old or too much, where this run added to it. Tells what was
    /// wrong with the cache.
    pub fn settle(&self) -> Option<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.wrote) {
            self.folder.prune(lifetime, MAX_CACHE, SystemTime::now());
        }
        state.failure.take()
    }

    fn read<T: for<'de> Deserialize<'de>>(
        &self,
        name: &str,
        lifetime: Duration,
    ) -> Option<(T, Duration)> {
        if self.refresh {
            return None;
        }
        let (bytes, modified) = self.folder.read(name, MAX_ENTRY).ok()?;
        self.unseal(name, &bytes, modified, lifetime, SystemTime::now())
    }

    /// The fact of an entry that is whole, ours, meant for this name and not too old by its own time
    /// nor by that of its file.
    fn unseal<T: for<'de> Deserialize<'de>>(
        &self,
        name: &str,
        bytes: &[u8],
        modified: SystemTime,
        lifetime: Duration,
        now: SystemTime,
    ) -> Option<(T, Duration)> {
        let entry: Entry<'_> = serde_json::from_slice(bytes).ok()?;
        let seal: [u8; 32] = hex::decode(&entry.seal).ok()?.try_into().ok()?;
        let mac = self.mac(&[
            b"entry",
            name.as_bytes(),
            FORMAT.as_bytes(),
            &entry.seen.to_le_bytes(),
            entry.fact.get().as_bytes(),
        ]);
        if entry.format != FORMAT || mac.verify_slice(&seal).is_err() {
            return None;
        }
        // A clock that was set back makes ages unknown.
        let seen = UNIX_EPOCH.checked_add(Duration::from_secs(entry.seen))?;
        let age = now.duration_since(seen).ok()?;
        let age = age.max(now.duration_since(modified).unwrap_or_default());
        let fact = serde_json::from_str(entry.fact.get()).ok()?;
        (age < lifetime).then_some((fact, age))
    }

    fn write(&self, name: &str, fact: &impl Serialize, is_secret: impl Fn(&str) -> bool) {
        if self.state.lock().unwrap_or_else(PoisonError::into_inner).failure.is_some() {
            return;
        }
        let Ok(fact) = serde_json::value::to_raw_value(fact) else { return };
        let Some(bytes) = self.seal(name, &fact, SystemTime::now()) else { return };
        if bytes.len() > MAX_ENTRY || is_secret(fact.get()) {
            return;
        }
        let written = self.folder.write(name, &bytes);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match written {
            Ok(()) => state.wrote = true,
            Err(error) => {
                let folder = self.folder.path().display();
                state.failure =
                    Some(format!("nothing more is kept in the cache {folder}: {error}"));
            }
        }
    }

    fn seal(&self, name: &str, fact: &RawValue, now: SystemTime) -> Option<Vec<u8>> {
        let seen = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let seal = self.hash(&[
            b"entry",
            name.as_bytes(),
            FORMAT.as_bytes(),
            &seen.to_le_bytes(),
            fact.get().as_bytes(),
        ]);
        serde_json::to_vec(&Entry { format: FORMAT, seen, fact, seal: hex::encode(seal) }).ok()
    }

    fn present_name(&self, key: &ManifestKey, reached: &HostSettings) -> String {
        let ManifestKey { registry, repository, target, identity } = key;
        let identity = identity.as_ref().map(|identity| identity.as_bytes().as_slice());
        let plain = [u8::from(reached.plain_http), u8::from(identity.is_some())];
        let mut parts: Vec<&[u8]> = vec![
            b"present",
            registry.as_bytes(),
            repository.as_bytes(),
            target.as_bytes(),
            &plain,
            identity.unwrap_or_default(),
            reached.ca.as_ref().map_or(b"", |ca| ca.pem.as_bytes()),
        ];
        parts.extend(reached.token_realms.iter().map(String::as_bytes));
        format!("{PRESENT_NAME}{}", hex::encode(self.hash(&parts)))
    }

    fn content_name(&self, key: &ContentKey) -> String {
        let part: &[u8] = match key.part {
            Part::Manifest => b"manifest",
            Part::Config => b"config",
        };
        let digest = key.digest.to_string();
        let hash = self.hash(&[b"content", part, digest.as_bytes()]);
        format!("{CONTENT_NAME}{}", hex::encode(hash))
    }

    fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.mac(parts).finalize().into_bytes().into()
    }

    /// A hash under the cache's key; no two lists of parts run together.
    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac
    }
}

/// How long a file of this name is of use; `None` for a file that is none of ours.
fn lifetime(name: &str) -> Option<Duration> {
    [(PRESENT_NAME, PRESENT), (CONTENT_NAME, CONTENT)].into_iter().find_map(|(start, lifetime)| {
        let hash = name.strip_prefix(start)?;
        let is_ours = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_ours.then_some(lifetime)
    })
}

#[cfg(test)]
mod tests;
