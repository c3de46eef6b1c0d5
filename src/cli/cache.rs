//! Flags about what is kept between runs.

use std::path::PathBuf;

use clap::Args;

use crate::settings::DiskCache;

/// Where answers are kept, and whether they are used.
#[derive(Debug, Args)]
pub(super) struct Cache {
    /// Keep what registries answered in this folder; default: pullproof in your cache folder
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Neither use nor keep answers of other runs
    #[arg(long, conflicts_with_all = ["cache_dir", "refresh"])]
    no_cache: bool,
    /// Ask everything anew and keep the answers
    #[arg(long)]
    refresh: bool,
}

impl Cache {
    /// The cache to use, if any.
    pub fn settings(&self) -> Option<DiskCache> {
        let folder = || DiskCache::find(self.cache_dir.clone(), self.refresh);
        (!self.no_cache).then(folder).flatten()
    }
}
