//! A folder of its own for each run of the program, an environment that holds nothing of the person
//! who runs the tests, and what came out of a run.

#![allow(dead_code, reason = "each including binary uses its own part")]

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// No run may take longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A working directory and a home; both go when dropped.
pub struct Sandbox {
    folder: TempDir,
    runs: AtomicUsize,
}

impl Sandbox {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for name in ["work", "home"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder, runs: AtomicUsize::new(0) }
    }

    /// One with this file in it.
    pub fn with(name: &str, text: impl AsRef<[u8]>) -> Self {
        let sandbox = Self::new();
        sandbox.write(name, text);
        sandbox
    }

    /// The directory the program runs in.
    pub fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Writes a file below the working directory.
    pub fn write(&self, name: impl AsRef<Path>, text: impl AsRef<[u8]>) -> PathBuf {
        put(&self.work().join(name), text)
    }

    /// Writes a file below the home.
    pub fn write_home(&self, name: impl AsRef<Path>, text: impl AsRef<[u8]>) -> PathBuf {
        put(&self.home().join(name), text)
    }

    /// The program with a scrubbed environment, and a cache that no other run has seen.
    pub fn command(&self) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_pullproof"));
        let none = self.folder.path().join("none");
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        command
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", &none)
            .env("DOCKER_CONFIG", &none)
            .env("XDG_CONFIG_HOME", &none)
            .env("XDG_CACHE_HOME", self.folder.path().join(format!("cache-{run}")))
            .env("NO_COLOR", "1")
            .current_dir(self.work())
            .timeout(PATIENCE);
        command
    }

    /// Runs it with these arguments.
    pub fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        Run::of(self.command().args(arguments))
    }

    /// `validate . -o json` and these arguments, read.
    pub fn validate(&self, arguments: &[&str]) -> Report {
        self.run(["validate", ".", "-o", "json"].iter().chain(arguments)).report()
    }
}

fn put(file: &Path, text: impl AsRef<[u8]>) -> PathBuf {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
    file.to_owned()
}

/// What came out of one run.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn of(command: &mut assert_cmd::Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code().expect("an exit code, not a signal or a timeout"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Fails unless the run ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let read = serde_json::from_str(&self.stdout);
        read.unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }

    #[track_caller]
    pub fn report(self) -> Report {
        Report { json: self.json(), code: self.code, stderr: self.stderr }
    }

    /// Both outputs, for looking for what must not be there.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// A `pullproof.report.v1` that was read.
#[derive(Debug)]
pub struct Report {
    pub json: Value,
    pub code: i32,
    pub stderr: String,
}

impl Report {
    pub fn results(&self) -> &[Value] {
        self.json["results"].as_array().unwrap()
    }

    /// The one result of an image that ends in this.
    #[track_caller]
    pub fn of(&self, image: &str) -> &Value {
        let fits = |it: &&Value| it["image"].as_str().is_some_and(|text| text.ends_with(image));
        let found: Vec<&Value> = self.results().iter().filter(fits).collect();
        assert_eq!(found.len(), 1, "results of {image} in {:#}", self.json);
        found[0]
    }

    /// One line a result: repository and tag, outcome, cause, certainty, verdict.
    pub fn told(&self) -> Vec<String> {
        self.results().iter().map(line).collect()
    }

    /// Whether any text of a result holds this.
    #[track_caller]
    pub fn says(&self, image: &str, words: &str) {
        let result = self.of(image).to_string();
        assert!(result.contains(words), "{words:?} is not in {result}");
    }
}

fn line(result: &Value) -> String {
    let image = result["image"].as_str().unwrap_or("-");
    let image = image.split_once('/').map_or(image, |(_, rest)| rest);
    let fields = ["outcome", "cause", "certainty", "verdict"].map(|field| &result[field]);
    let words = fields.iter().filter_map(|value| value.as_str());
    words.fold(image.to_owned(), |line, word| line + " " + word)
}
