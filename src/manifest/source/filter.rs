//! Which files of a folder are read: the person's patterns, written as in `.gitignore`.

use std::path::{Component, Path, PathBuf};

use ignore::DirEntry;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::{Error, SourceOptions};

/// The user's patterns.
pub(super) struct Filter {
    exclude: Gitignore,
    include: Gitignore,
    from: Option<PathBuf>,
}

impl Filter {
    pub fn new(options: &SourceOptions) -> Result<Self, Error> {
        Ok(Self {
            exclude: patterns(&options.exclude)?,
            include: patterns(&options.include)?,
            from: options.patterns_from.clone(),
        })
    }

    /// Patterns count from the folder asked for and from the working directory.
    pub fn lets_pass(&self, entry: &DirEntry, root: &Path) -> bool {
        let is_dir = entry.file_type().is_some_and(|kind| kind.is_dir());
        let inside = entry.path().strip_prefix(root).unwrap_or(entry.path());
        let below = self.below(entry.path());
        ![Some(inside), Some(entry.path()), below.as_deref()]
            .into_iter()
            .flatten()
            .any(|path| self.exclude.matched(path, is_dir).is_ignore())
    }

    pub fn wants(&self, path: &Path) -> bool {
        if !self.include.is_empty() {
            let below = self.below(path);
            return [Some(path), below.as_deref()]
                .into_iter()
                .flatten()
                .any(|path| self.include.matched(path, false).is_ignore());
        }
        path.extension().is_some_and(|end| {
            ["yaml", "yml", "json"].iter().any(|known| end.eq_ignore_ascii_case(known))
        })
    }

    /// The path as seen from the folder that the patterns count from, where it lies below it.
    fn below(&self, path: &Path) -> Option<PathBuf> {
        let from = self.from.as_ref()?;
        let mut whole = PathBuf::new();
        for part in std::path::absolute(path).ok()?.components() {
            match part {
                Component::ParentDir => {
                    whole.pop();
                }
                part => whole.push(part),
            }
        }
        whole.strip_prefix(from).ok().map(Path::to_owned)
    }
}

fn patterns(lines: &[String]) -> Result<Gitignore, Error> {
    let mut builder = GitignoreBuilder::new("");
    for line in lines {
        let bad = |source| Error::Pattern { pattern: line.clone(), source };
        builder.add_line(None, line.strip_prefix("./").unwrap_or(line)).map_err(bad)?;
    }
    builder.build().map_err(|source| Error::Pattern { pattern: lines.join(", "), source })
}
