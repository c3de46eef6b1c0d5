//! Files that a run writes: a report in a further format, a baseline. Each is begun beside its place
//! before the long work, so that a bad path is told at once, and takes its place only when it is
//! whole; a run that fails leaves what was there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Failure;
use crate::report::Format;

/// `FORMAT=FILE`, as `--report` takes it.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub format: Format,
    pub file: PathBuf,
}

/// Reads `FORMAT=FILE`.
pub(super) fn target(text: &str) -> Result<Target, String> {
    let Some((format, file)) = text.split_once('=') else {
        return Err("write FORMAT=FILE, for example markdown=comment.md".to_owned());
    };
    if file.is_empty() || file == "-" {
        return Err("name a file; -o chooses what is printed".to_owned());
    }
    Ok(Target { format: super::validate::format(format)?, file: file.into() })
}

/// A file that was begun.
#[derive(Debug)]
pub(super) struct Output {
    /// As the person named it.
    name: PathBuf,
    file: File,
    /// Where it is written and where it goes; `None` for what cannot be replaced, such as a device.
    moves: Option<(PathBuf, PathBuf)>,
}

impl Output {
    /// Begins a file; a path that cannot be written is misuse.
    pub fn begin(name: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            let text = format!("cannot write {}", name.display());
            Failure::misuse(anyhow::Error::new(error).context(text))
        };
        Self::open(name).map_err(failed)
    }

    fn open(name: &Path) -> io::Result<Self> {
        // A link stays one, and what it leads to is replaced.
        let target = real(name);
        let there = fs::metadata(&target).ok();
        if there.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
        }
        if there.as_ref().is_some_and(|there| !there.is_file()) {
            let file = OpenOptions::new().write(true).open(&target)?;
            return Ok(Self { name: name.to_owned(), file, moves: None });
        }
        if there.as_ref().is_some_and(|there| there.permissions().readonly()) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
        }
        let Some(last) = target.file_name() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it names no file"));
        };
        let mut own = std::ffi::OsString::from(".");
        own.push(last);
        own.push(format!(".{}-{:08x}", std::process::id(), rand::random::<u32>()));
        let draft = target.with_file_name(own);
        let file = OpenOptions::new().write(true).create_new(true).open(&draft)?;
        if let Some(there) = there {
            // A file system without permissions is no reason to fail.
            let _ = file.set_permissions(there.permissions());
        }
        Ok(Self { name: name.to_owned(), file, moves: Some((draft, target)) })
    }

    /// Writes the text and puts it in its place.
    pub fn finish(mut self, text: &str) -> Result<(), Failure> {
        self.put(text).map_err(|error| {
            let text = format!("cannot write {}", self.name.display());
            Failure::fault(anyhow::Error::new(error).context(text))
        })
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        self.file.write_all(text.as_bytes())?;
        self.file.flush()?;
        if let Some((draft, target)) = &self.moves {
            fs::rename(draft, target)?;
            self.moves = None;
        }
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some((draft, _)) = &self.moves {
            // Nobody can be told, and the name says whose it was.
            let _ = fs::remove_file(draft);
        }
    }
}

/// The path behind links, also of a file that is not there yet.
fn real(name: &Path) -> PathBuf {
    let parent = name.parent().filter(|parent| !parent.as_os_str().is_empty());
    let new = || {
        let folder = fs::canonicalize(parent.unwrap_or(Path::new("."))).ok()?;
        Some(folder.join(name.file_name()?))
    };
    fs::canonicalize(name).ok().or_else(new).unwrap_or_else(|| name.to_owned())
}

/// Fails where two outputs would go to one file.
pub(super) fn distinct<'p>(files: impl Iterator<Item = &'p Path>) -> Result<(), Failure> {
    let mut seen = std::collections::BTreeSet::new();
    for file in files {
        if !seen.insert(real(file)) {
            return Err(Failure::misuse(anyhow::anyhow!(
                "{} would be written twice",
                file.display()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_known_format_and_a_file() {
        assert_eq!(target("markdown=a=b.md").unwrap().file, Path::new("a=b.md"));
        for text in ["markdown", "markdown=", "json=-", "word=a.doc"] {
            assert!(target(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        fs::write(&path, "before").unwrap();
        drop(Output::begin(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        Output::begin(&path).unwrap().finish("after").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_path_that_cannot_be_written_is_told_before_the_work() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Output::begin(folder.path()).is_err());
        assert!(Output::begin(&folder.path().join("no/such/folder.json")).is_err());
        let file = folder.path().join("a");
        assert!(distinct([file.as_path(), file.as_path()].into_iter()).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_a_device_stays_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "before").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        Output::begin(&link).unwrap().finish("after").unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "after");
        Output::begin(Path::new("/dev/null")).unwrap().finish("gone").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
