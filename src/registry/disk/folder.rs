//! The folder of the cache: made for its owner alone, refused when others could write to it, and its
//! files written whole or not at all. Links are not followed. Knows no facts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The file of the key, 32 random bytes in hex.
const KEY: &str = "key";
const KEY_TEXT: usize = 64;

/// How the names of files begin that are being written.
const DRAFT: &str = ".pullproof-draft-";

/// A draft this old was left by a process that is gone.
const DRAFT_AGE: Duration = Duration::from_secs(3600);

/// A folder that only its owner can write to.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Opens or makes the folder and its key; the error is for people.
    pub fn open(path: &Path) -> Result<(Self, [u8; 32]), String> {
        make(path).map_err(|error| format!("it cannot be made: {error}"))?;
        let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
        if !metadata.is_dir() {
            return Err("it is no folder".to_owned());
        }
        check_owner(&metadata)?;
        let folder = Self { path: path.to_owned() };
        let key = folder.key()?;
        Ok((folder, key))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of a file of at most `cap` bytes, and when it was written.
    pub fn read(&self, name: &str, cap: usize) -> io::Result<(Vec<u8>, SystemTime)> {
        let file = open(&self.path.join(name))?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > cap as u64 {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        let mut bytes = Vec::new();
        file.take(cap as u64).read_to_end(&mut bytes)?;
        Ok((bytes, metadata.modified()?))
    }

    /// Writes a file beside its place and moves it there.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let draft = self.draft(bytes)?;
        fs::rename(&draft, self.path.join(name)).inspect_err(|_| {
            let _ = fs::remove_file(&draft);
        })
    }

    pub fn remove(&self, name: &str) {
        // What cannot be removed ends with its time.
        let _ = fs::remove_file(self.path.join(name));
    }

    /// Removes files beyond their lifetime, then the oldest until `most` bytes stay. A file without a
    /// lifetime is none of ours and stays.
    pub fn prune(&self, lifetime: impl Fn(&str) -> Option<Duration>, most: u64, now: SystemTime) {
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        let mut kept = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let draft = name.starts_with(DRAFT).then_some(DRAFT_AGE);
            let Some(lifetime) = draft.or_else(|| lifetime(name)) else { continue };
            let Ok(metadata) = entry.metadata() else { continue };
            let Ok(modified) = metadata.modified() else { continue };
            // One that is as far ahead was written by a clock that has been set back, and would
            // outlive all others as the newest. That a file server's clock is ahead costs but a question.
            let apart = now.duration_since(modified).unwrap_or_else(|ahead| ahead.duration());
            if apart >= lifetime {
                self.remove(name);
            } else {
                kept.push((modified, metadata.len(), name.to_owned()));
            }
        }
        let mut bytes: u64 = kept.iter().map(|(_, length, _)| length).sum();
        kept.sort();
        for (_, length, name) in kept {
            if bytes <= most {
                break;
            }
            self.remove(&name);
            bytes -= length;
        }
    }

    /// The key, made when there is none. A file of that name that is no key may be anything, so it is
    /// neither used nor replaced.
    fn key(&self) -> Result<[u8; 32], String> {
        let file = self.path.join(KEY);
        if fs::symlink_metadata(&file).is_err() {
            self.make_key(&file).map_err(|error| format!("its key cannot be made: {error}"))?;
        }
        let unusable = |reason: &str| format!("{} {reason}", file.display());
        let mut text = String::new();
        let opened = open(&file).map_err(|error| unusable(&format!("cannot be read: {error}")))?;
        let metadata = opened.metadata().map_err(|error| unusable(&error.to_string()))?;
        if !metadata.is_file() {
            return Err(unusable("is no file"));
        }
        check_owner(&metadata).map_err(|reason| unusable(&reason))?;
        check_private(&metadata).map_err(&unusable)?;
        let read = opened.take(KEY_TEXT as u64 + 1).read_to_string(&mut text);
        let key =
            read.ok().and_then(|_| hex::decode(&text).ok()).and_then(|key| key.try_into().ok());
        key.ok_or_else(|| unusable("is no key; remove it if it is the cache's"))
    }

    /// Of processes that make a key at once one wins, and all use what is then there.
    fn make_key(&self, file: &Path) -> io::Result<()> {
        let key: [u8; 32] = rand::random();
        let draft = self.draft(hex::encode(key).as_bytes())?;
        let linked = fs::hard_link(&draft, file);
        let made = match linked {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            // Some file systems know no second name for a file.
            Err(_) => fs::rename(&draft, file),
        };
        let _ = fs::remove_file(&draft);
        made
    }

    /// A file with these bytes and a name of its own.
    fn draft(&self, bytes: &[u8]) -> io::Result<PathBuf> {
        let name = format!("{DRAFT}{}-{:016x}", std::process::id(), rand::random::<u64>());
        let path = self.path.join(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path)?;
        file.write_all(bytes).inspect_err(|_| {
            let _ = fs::remove_file(&path);
        })?;
        Ok(path)
    }
}

/// Makes the folder and those above it, for the owner alone.
fn make(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Opens a file to read, never what a link leads to, and never waiting for a pipe.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    }
    options.open(path)
}

#[cfg(unix)]
fn check_owner(metadata: &fs::Metadata) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err("it belongs to somebody else".to_owned());
    }
    if metadata.mode() & 0o022 != 0 {
        return Err("others may write to it".to_owned());
    }
    Ok(())
}

#[cfg(unix)]
fn check_private(metadata: &fs::Metadata) -> Result<(), &'static str> {
    use std::os::unix::fs::MetadataExt;
    if metadata.mode() & 0o077 != 0 {
        return Err("may be read by others; remove it if it is the cache's");
    }
    Ok(())
}

/// Elsewhere the permissions of a person's own folders have to do.
#[cfg(not(unix))]
fn check_owner(_: &fs::Metadata) -> Result<(), String> {
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_: &fs::Metadata) -> Result<(), &'static str> {
    Ok(())
}
