//! Where the command line keeps facts between runs: the folder a flag names, or else the usual place
//! for caches. Only a command that asks for it has one.

use std::path::PathBuf;

use super::variable;

/// Facts kept between runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskCache {
    pub folder: PathBuf,
    /// Ask everything anew and keep what is found.
    pub refresh: bool,
    /// Keep, too, what registries on loopback have: they are somebody's own, and what they hold
    /// changes between two runs.
    pub loopback: bool,
}

impl DiskCache {
    /// The cache in this folder or in the usual one; `None` where there is no usual one. The usual
    /// one keeps nothing of loopback.
    pub fn find(folder: Option<PathBuf>, refresh: bool) -> Option<Self> {
        let loopback = folder.is_some();
        let folder = folder.or_else(|| Some(cache_folder()?.join("pullproof")))?;
        Some(Self { folder, refresh, loopback })
    }
}

/// The XDG base directory specification has relative paths ignored.
fn cache_folder() -> Option<PathBuf> {
    let absolute = |name| variable(name).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))
}
