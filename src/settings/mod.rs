//! Flags, environment and files become one checked [`Settings`]. Nothing else reads the environment.

mod disk_cache;
pub mod hosts_toml;
pub mod limits;
pub mod mirrors;
mod own_logins;
pub mod pod;
pub mod project;
pub mod registries;
pub mod schema;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use disk_cache::DiskCache;
pub use limits::Limits;
pub use project::Project;
pub use registries::{HostSettings, NodeCredentials, Registries};

use crate::credential::helper::{Bounds, Helpers};
use crate::credential::{DockerConfig, OwnLogins};

/// Everything a run is told from outside, checked.
#[derive(Debug, Default)]
pub struct Settings {
    pub registries: Registries,
    pub limits: Limits,
    /// Where a host name without a port is dialled instead of where it resolves to, as curl's
    /// `--resolve` does; judged like any other address. No file, flag or variable sets it.
    pub addresses: BTreeMap<String, SocketAddr>,
    /// The logins of the person or pipeline that runs pullproof, in the order they are tried.
    pub own_logins: Vec<DockerConfig>,
    /// Where credential helpers are looked for.
    pub helper_folders: Vec<PathBuf>,
    /// Where facts are kept for the next run; `None`: nowhere.
    pub disk_cache: Option<DiskCache>,
    /// Things about the settings worth telling, for example a login that is not used.
    pub notes: Vec<String>,
}

/// Why the settings cannot be used: misuse, exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {file}", file = file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error("{file} is not usable: {reason}", file = file.display())]
    Invalid { file: PathBuf, reason: String },
}

/// The paths a person may give; `None` means the usual place, which may be absent.
#[derive(Debug, Default)]
pub struct Paths {
    pub registries: Option<PathBuf>,
    pub authfile: Option<PathBuf>,
    /// Leave the person's logins where they are.
    pub without_own_logins: bool,
}

impl Settings {
    /// Reads what the flags and the environment name. A file named by a flag must exist.
    pub fn load(paths: &Paths) -> Result<Self, Error> {
        let registries = match &paths.registries {
            Some(file) => Registries::read(file)?,
            None => match config_folder().map(|folder| folder.join("pullproof/registries.toml")) {
                Some(file) if file.is_file() => Registries::read(&file)?,
                _ => Registries::default(),
            },
        };
        let mut settings = Settings { registries, ..Settings::default() };
        if !paths.without_own_logins {
            settings.read_own_logins(paths)?;
        }
        Ok(settings)
    }

    /// The person's logins with the helpers they name.
    pub fn own_logins(&self) -> OwnLogins {
        let bounds = Bounds { deadline: self.limits.helper, output: self.limits.helper_bytes };
        OwnLogins::new(&self.own_logins, Helpers::new(self.helper_folders.clone(), bounds))
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn config_folder() -> Option<PathBuf> {
    variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")))
}

/// Reads a text file of at most `cap` bytes.
pub fn read(file: &Path, cap: usize) -> Result<String, Error> {
    use std::io::Read;
    let failed = |source| Error::Read { file: file.to_owned(), source };
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(failed)?;
    opened.take(cap as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > cap {
        return Err(Error::Invalid {
            file: file.to_owned(),
            reason: format!("larger than {cap} bytes"),
        });
    }
    String::from_utf8(bytes)
        .map_err(|_| Error::Invalid { file: file.to_owned(), reason: "not UTF-8".to_owned() })
}
