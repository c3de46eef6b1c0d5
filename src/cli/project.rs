//! Which `pullproof.toml` counts for a run: the one a flag names, else the nearest upwards within the
//! repository, else none; and its paths as seen from the working directory. Flags win over it.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use crate::settings::{self, Project, project};

/// Which configuration of the repository is read.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Read this file instead of the nearest pullproof.toml upwards
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read no pullproof.toml
    #[arg(long, conflicts_with = "config")]
    isolated: bool,
}

/// A `pullproof.toml` and where it lies; empty where there is none.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub project: Project,
    /// As a person would name it.
    pub file: PathBuf,
    /// Its folder as seen from the working directory; empty for the working directory.
    folder: PathBuf,
}

impl Which {
    /// Finds and reads it; one that cannot be used is misuse.
    pub fn read(&self) -> Result<Found, Failure> {
        let file = match &self.config {
            _ if self.isolated => None,
            Some(file) => Some(file.clone()),
            None => nearest(),
        };
        let Some(file) = file else { return Ok(Found::default()) };
        let text = settings::read(&file, project::MAX_SIZE).map_err(Failure::misuse)?;
        let project = Project::parse(&text, &file).map_err(Failure::misuse)?;
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Found { project, file, folder })
    }
}

impl Found {
    /// The inputs that it names.
    pub fn inputs(&self) -> Vec<String> {
        let plain = |path: &PathBuf| self.folder.join(path).components().collect::<PathBuf>();
        let shown = |path: &PathBuf| plain(path).to_string_lossy().into_owned();
        self.project.inputs.iter().map(shown).collect()
    }

    /// The policy files that it names. A link that leads out of the folder is misuse.
    pub fn policies(&self) -> Result<Vec<PathBuf>, Failure> {
        let home = self.real_folder();
        let mut files = Vec::new();
        for path in &self.project.policies {
            let file = self.folder.join(path);
            let real = fs::canonicalize(&file).map_err(|source| {
                self.misuse(
                    anyhow::Error::new(source).context(format!("cannot read {}", file.display())),
                )
            })?;
            if !home.as_ref().is_some_and(|home| real.starts_with(home)) {
                let text = format!("policy: {} leads out of the repository", file.display());
                return Err(self.misuse(anyhow::anyhow!(text)));
            }
            files.push(file);
        }
        Ok(files)
    }

    /// Its folder as an absolute path, for the patterns that count from there.
    pub fn real_folder(&self) -> Option<PathBuf> {
        let folder = if self.folder.as_os_str().is_empty() { Path::new(".") } else { &self.folder };
        fs::canonicalize(folder).ok()
    }

    /// Something in it that cannot be used.
    pub fn misuse(&self, error: impl Into<anyhow::Error>) -> Failure {
        Failure::misuse(error.into().context(format!("{} is not usable", self.file.display())))
    }
}

/// The nearest one upwards, within the repository that the working directory lies in.
fn nearest() -> Option<PathBuf> {
    let start = std::env::current_dir().ok()?;
    let mut up = PathBuf::new();
    for folder in start.ancestors() {
        if folder.join(project::NAME).is_file() {
            return Some(up.join(project::NAME));
        }
        if folder.join(".git").exists() {
            return None;
        }
        up.push("..");
    }
    None
}
