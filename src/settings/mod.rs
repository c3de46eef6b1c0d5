//! Flags, environment and files become one checked [`Settings`]. Nothing else reads the environment.

pub mod limits;
pub mod registries;

use std::path::{Path, PathBuf};

pub use limits::Limits;
pub use registries::{HostSettings, NodeCredentials, Registries};

use crate::credential::docker_config::{self, DockerConfig};

/// Everything a run is told from outside, checked.
#[derive(Debug, Default)]
pub struct Settings {
    pub registries: Registries,
    pub limits: Limits,
    /// The login of the person or pipeline that runs pullproof.
    pub own_login: Option<DockerConfig>,
    /// Things about the settings worth telling, for example a login that is not used.
    pub notes: Vec<String>,
}

/// Why the settings cannot be used: misuse, exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {file}: {source}", file = file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error("{file} is not usable: {reason}", file = file.display())]
    Invalid { file: PathBuf, reason: String },
}

/// The paths a person may give; `None` means the usual place, which may be absent.
#[derive(Debug, Default)]
pub struct Paths {
    pub registries: Option<PathBuf>,
    pub authfile: Option<PathBuf>,
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
        if let Some((file, text)) = own_login(paths)? {
            let login = DockerConfig::own(file.as_str(), text.as_bytes()).map_err(|error| {
                Error::Invalid { file: file.into(), reason: error.reason.to_string() }
            })?;
            settings.notes.extend(login.notes().iter().map(ToString::to_string));
            settings.own_login = Some(login);
        }
        Ok(settings)
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn config_folder() -> Option<PathBuf> {
    variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")))
}

/// The variable that CI systems put a docker configuration into.
const AUTH_CONFIG: &str = "DOCKER_AUTH_CONFIG";

/// The docker configuration of the person who runs us, and what it is called: `--authfile`,
/// REGISTRY_AUTH_FILE, Docker's `config.json` (in DOCKER_CONFIG or `~/.docker`), DOCKER_AUTH_CONFIG,
/// podman's `auth.json`; the first that is named or there.
fn own_login(paths: &Paths) -> Result<Option<(String, String)>, Error> {
    if let Some(file) = paths.authfile.clone().or_else(|| variable("REGISTRY_AUTH_FILE")) {
        return read_login(&file).map(Some);
    }
    let docker =
        variable("DOCKER_CONFIG").or_else(|| variable("HOME").map(|home| home.join(".docker")));
    if let Some(file) = docker.map(|folder| folder.join("config.json")).filter(|it| it.is_file()) {
        return read_login(&file).map(Some);
    }
    if let Some(text) = std::env::var(AUTH_CONFIG).ok().filter(|text| !text.is_empty()) {
        return Ok(Some((AUTH_CONFIG.to_owned(), text)));
    }
    let podman = variable("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json"));
    podman.filter(|file| file.is_file()).map(|file| read_login(&file)).transpose()
}

fn read_login(file: &Path) -> Result<(String, String), Error> {
    Ok((file.display().to_string(), read(file, docker_config::MAX_FILE)?))
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
