//! The logins of the person who runs pullproof: where they are read, helpers, identity tokens, where
//! they go and where they never go, and `auth check`.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic where they broke")]

mod check;
mod helpers;
mod leaks;
mod program;
mod sources;
mod tokens;
mod whose;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::FakeRegistry;

/// No run may take longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A home, a folder to check and a folder of helpers, gone when dropped; and how many commands there
/// were.
struct Place(TempDir, AtomicUsize);

impl Place {
    fn new() -> Self {
        let place = Self(TempDir::new().unwrap(), AtomicUsize::new(0));
        for name in ["work", "home", "bin"] {
            fs::create_dir(place.path(name)).unwrap();
        }
        place
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let file = self.path(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        file
    }

    /// A helper that counts its runs and keeps what it was asked.
    fn helper(&self, name: &str, script: &str) {
        let log = self.path(format!("{name}.log"));
        let script = format!(
            "#!/bin/sh\nserver=$(cat)\necho \"$1 $server\" >> '{}'\n{script}\n",
            log.display()
        );
        let file = self.path(format!("bin/docker-credential-{name}"));
        // Written by another process: a program that is open for writing here would not start.
        let mut shell = Command::new("/bin/sh")
            .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
            .arg(file)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
    }

    /// What a helper was asked, one line a run.
    fn asked(&self, name: &str) -> Vec<String> {
        let log = fs::read_to_string(self.path(format!("{name}.log"))).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// The program in the folder to check, with an environment and a cache of its own.
    fn command(&self) -> assert_cmd::Command {
        let cache = self.path(format!("cache-{}", self.1.fetch_add(1, Ordering::Relaxed)));
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_pullproof"));
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("XDG_CACHE_HOME", cache)
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()))
            .env("NO_COLOR", "1")
            .current_dir(self.path("work"))
            .timeout(PATIENCE);
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command().args(arguments))
    }
}

/// What came out of a run.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Run {
    fn of(command: &mut assert_cmd::Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{}", self.all()))
    }

    /// Outcome, cause and verdict of the first result.
    #[track_caller]
    fn told(&self) -> String {
        let result = &self.json()["results"][0];
        let words = ["outcome", "cause", "certainty", "verdict"].map(|it| result[it].as_str());
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// A docker configuration with one login.
fn config(host: &str, user: &str, password: &str) -> String {
    json!({"auths": {host: {"auth": STANDARD.encode(format!("{user}:{password}"))}}}).to_string()
}

/// What a helper answers.
fn answer(user: &str, secret: &str) -> String {
    format!("echo '{}'", json!({"ServerURL": "x", "Username": user, "Secret": secret}))
}

/// A Pod that names this pull secret, which is there with this configuration where one is given.
fn pod(image: &str, secret: Option<&str>) -> String {
    let mut text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: web, namespace: shop}}\nspec:\n  \
         imagePullSecrets: [{{name: pull}}]\n  containers: [{{name: web, image: \"{image}\"}}]\n"
    );
    if let Some(document) = secret {
        text += &format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: pull, namespace: shop}}\n\
             type: kubernetes.io/dockerconfigjson\ndata: {{.dockerconfigjson: {}}}\n",
            STANDARD.encode(document)
        );
    }
    text
}

/// A registry with the image `team/app:1`.
fn registry(config: crate::support::Config) -> FakeRegistry {
    let registry = FakeRegistry::start_blocking(config);
    registry.push_image("team/app", "1", "linux/amd64");
    registry
}

fn image(registry: &FakeRegistry) -> String {
    format!("{}/team/app:1", registry.host())
}

/// The users that logged in by Basic, each once in a row.
fn users(registry: &FakeRegistry) -> Vec<String> {
    let requests = registry.requests();
    let mut users: Vec<String> = requests.iter().filter_map(|it| Some(it.basic()?.0)).collect();
    users.dedup();
    users
}
