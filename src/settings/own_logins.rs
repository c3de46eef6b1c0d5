//! Where the logins of a person or pipeline are written: the file a flag or REGISTRY_AUTH_FILE names,
//! alone, or else all the places Docker, GitLab CI and podman use, in that order. Nothing is read
//! from the working directory or the folders that are checked.

use std::path::{Path, PathBuf};

use super::{Error, Paths, Settings, config_folder, read, variable};
use crate::credential::docker_config::{self, DockerConfig};

/// The variable that holds a configuration itself, as GitLab CI sets it.
const DOCKER_AUTH_CONFIG: &str = "DOCKER_AUTH_CONFIG";

impl Settings {
    /// Reads the logins. What a flag or a variable names must be usable; a file in a usual place that
    /// is not is noted, and the others are used.
    pub(super) fn read_own_logins(&mut self, paths: &Paths) -> Result<(), Error> {
        let folders = variable("PATH").unwrap_or_default();
        self.helper_folders = std::env::split_paths(&folders).collect();
        if let Some(file) = paths.authfile.clone().or_else(|| variable("REGISTRY_AUTH_FILE")) {
            self.add_login(from_file(&file)?);
            return Ok(());
        }
        let [docker, podman @ ..] = usual_files();
        self.add_usual(docker);
        if let Some(text) = variable(DOCKER_AUTH_CONFIG) {
            let text = text.as_os_str().as_encoded_bytes();
            self.add_login(from_text(Path::new(DOCKER_AUTH_CONFIG), text)?);
        }
        podman.into_iter().for_each(|file| self.add_usual(file));
        Ok(())
    }

    fn add_usual(&mut self, file: Option<PathBuf>) {
        match file.filter(|file| file.is_file()).map(|file| from_file(&file)) {
            None => {}
            Some(Ok(login)) => self.add_login(login),
            Some(Err(error)) => self.notes.push(format!("no login is taken from there: {error}")),
        }
    }

    fn add_login(&mut self, login: DockerConfig) {
        let notes = login.notes().iter().map(|note| format!("{}: {note}", login.source()));
        self.notes.extend(notes);
        self.own_logins.push(login);
    }
}

/// Docker's file, then podman's two.
fn usual_files() -> [Option<PathBuf>; 3] {
    let docker =
        variable("DOCKER_CONFIG").or_else(|| variable("HOME").map(|home| home.join(".docker")));
    let podman = |folder: PathBuf| folder.join("containers/auth.json");
    [
        docker.map(|folder| folder.join("config.json")),
        variable("XDG_RUNTIME_DIR").map(podman),
        config_folder().map(podman),
    ]
}

fn from_file(file: &Path) -> Result<DockerConfig, Error> {
    from_text(file, read(file, docker_config::MAX_FILE)?.as_bytes())
}

fn from_text(name: &Path, text: &[u8]) -> Result<DockerConfig, Error> {
    DockerConfig::own(name.display().to_string(), text)
        .map_err(|error| Error::Invalid { file: name.into(), reason: error.reason.to_string() })
}
