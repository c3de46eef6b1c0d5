//! What several commands share: the manifests to read, the files that tell how, and the registries as
//! a command asks them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::Failure;
use super::project::{Found, Which};
use crate::baseline::Baseline;
use crate::image::usage::{Role, Site, Workload};
use crate::image::{ImageUse, Reference};
use crate::manifest::{self, Extraction, Extractor, SourceOptions, yaml};
use crate::policy::ImageCheckPolicy;
use crate::registry::{Door, Guard, Registry};
use crate::settings::{self, Paths, Settings};

/// Which manifests are read.
#[derive(Debug, Args)]
pub(super) struct Inputs {
    /// Files and folders with manifests; `-` reads standard input
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// Read the names of more files and folders from FILE, one a line or ended by NUL; `-` is standard
    /// input
    #[arg(long, value_name = "FILE")]
    files_from: Option<PathBuf>,
    /// Leave out files and folders that match, as in .gitignore (repeatable)
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Read only files that match, instead of *.yaml, *.yml and *.json (repeatable)
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Read what .gitignore names, too
    #[arg(long)]
    no_ignore: bool,
    /// Look for images in environment values, arguments and texts, too; all of them guesses
    #[arg(long)]
    deep: bool,
    #[command(flatten)]
    which: Which,
}

impl Inputs {
    /// Whether neither a flag nor an argument names any.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.files_from.is_none()
    }

    /// The configuration of the repository.
    pub fn project(&self) -> Result<Found, Failure> {
        self.which.read()
    }

    /// The names given and those in `--files-from`.
    fn paths(&self) -> Result<Vec<String>, Failure> {
        let mut paths = self.paths.clone();
        let Some(file) = &self.files_from else { return Ok(paths) };
        let is_stdin = file == Path::new("-");
        if is_stdin && paths.iter().any(|path| path == "-") {
            let text = "standard input cannot hold both manifests and the names of files";
            return Err(Failure::misuse(anyhow::anyhow!(text)));
        }
        let text = if is_stdin {
            read_stdin().map_err(Failure::misuse)?
        } else {
            settings::read(file, MAX_FILE).map_err(Failure::misuse)?
        };
        let end = if text.contains('\0') { '\0' } else { '\n' };
        let names = text.split(end).map(|name| name.strip_suffix('\r').unwrap_or(name));
        paths.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
        Ok(paths)
    }

    /// Reads and extracts what the person names, as the person and the repository say; an input that
    /// is not there is misuse.
    pub fn extract(&self, found: &Found) -> Result<Extraction, Failure> {
        self.extract_from(&self.paths()?, found)
    }

    /// The same for what the repository names.
    pub fn extract_named(&self, found: &Found) -> Result<Extraction, Failure> {
        self.extract_from(&found.inputs(), found)
    }

    fn extract_from(&self, paths: &[String], found: &Found) -> Result<Extraction, Failure> {
        let Found { project, .. } = found;
        let either = |own: &Vec<String>, named: &Vec<String>| {
            if own.is_empty() { named.clone() } else { own.clone() }
        };
        let rules = Extractor::with_rules(project.extract.clone());
        let extractor = rules.map_err(|error| found.misuse(error))?;
        let options = SourceOptions {
            exclude: either(&self.exclude, &project.exclude),
            include: either(&self.include, &project.include),
            no_ignore: self.no_ignore,
            patterns_from: found.real_folder().filter(|_| !found.file.as_os_str().is_empty()),
            extractor: extractor.deep(self.deep || project.deep),
        };
        manifest::extract(paths, &options).map_err(Failure::misuse)
    }
}

/// Inputs without any image: nothing to do is misuse.
pub(super) fn nothing_found(extraction: &Extraction) -> Failure {
    Failure::misuse(match extraction.files {
        0 => anyhow::anyhow!("no Kubernetes manifest found"),
        1 => anyhow::anyhow!("no image found in 1 manifest file"),
        files => anyhow::anyhow!("no image found in {files} manifest files"),
    })
}

/// A use that a flag names.
pub(super) fn named(text: &str) -> ImageUse {
    ImageUse {
        text: text.to_owned(),
        reference: Reference::parse(text),
        site: Site { place: None, path: String::new() },
        role: Role::Container,
        pull_policy: None,
        workload: Arc::new(Workload::default()),
        guess: false,
    }
}

fn read_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().lock().take(MAX_FILE as u64 + 1).read_to_string(&mut text)?;
    anyhow::ensure!(text.len() <= MAX_FILE, "more than {} MiB of names", MAX_FILE >> 20);
    Ok(text)
}

/// Largest file of policies, secrets, names or known findings, in bytes.
const MAX_FILE: usize = 16 << 20;

/// Reads every document of a YAML or JSON file as a JSON value, lists taken apart.
pub(super) fn objects(file: &Path) -> Result<Vec<serde_json::Value>, Failure> {
    let text = settings::read(file, MAX_FILE).map_err(Failure::misuse)?;
    objects_in(&file.display().to_string(), &text)
}

/// Every document of a YAML or JSON text as a JSON value, lists taken apart.
pub(super) fn objects_in(name: &str, text: &str) -> Result<Vec<serde_json::Value>, Failure> {
    let parsed = yaml::parse(text);
    if let Some(error) = parsed.errors.first() {
        let (line, column, reason) = (error.line, error.column, &error.reason);
        return Err(Failure::misuse(anyhow::anyhow!("{name}:{line}:{column}: {reason}")));
    }
    let mut objects = Vec::new();
    for document in &parsed.documents {
        flatten(document.root().to_json(), &mut objects);
    }
    Ok(objects)
}

/// Kubernetes lists and plain arrays become their items.
pub(super) fn flatten(value: serde_json::Value, into: &mut Vec<serde_json::Value>) {
    use serde_json::Value;
    match value {
        Value::Null => {}
        Value::Array(items) => items.into_iter().for_each(|item| flatten(item, into)),
        Value::Object(mut object) => match object.remove("items") {
            Some(Value::Array(items)) => items.into_iter().for_each(|item| flatten(item, into)),
            other => {
                object.extend(other.map(|other| ("items".to_owned(), other)));
                into.push(Value::Object(object));
            }
        },
        scalar => into.push(scalar),
    }
}

/// The baseline in a file.
pub(super) fn baseline(file: &Path) -> Result<Baseline, Failure> {
    let text = settings::read(file, MAX_FILE).map_err(Failure::misuse)?;
    Baseline::parse(&text).map_err(|error| {
        Failure::misuse(anyhow::Error::new(error).context(format!("{}", file.display())))
            .hint("--write-baseline FILE writes one")
    })
}

/// The policies of some files; a file without one, or with a wrong one, is misuse.
pub(super) fn policies(files: &[PathBuf]) -> Result<Vec<ImageCheckPolicy>, Failure> {
    let mut policies = Vec::new();
    for file in files {
        let before = policies.len();
        for object in objects(file)? {
            let read = ImageCheckPolicy::from_value(&object);
            policies.extend(read.map_err(|error| {
                Failure::misuse(anyhow::Error::new(error).context(format!("{}", file.display())))
            })?);
        }
        if policies.len() == before {
            return Err(Failure::misuse(anyhow::anyhow!(
                "{} holds no ImageCheckPolicy",
                file.display()
            )));
        }
    }
    Ok(policies)
}

/// How registries are reached, and with whose logins.
#[derive(Debug, Args)]
pub(super) struct Reach {
    /// How registries are reached; default: pullproof/registries.toml in your config folder
    #[arg(long, value_name = "FILE")]
    pub registries: Option<PathBuf>,
    /// Your own logins; default: REGISTRY_AUTH_FILE, or else Docker's config.json,
    /// DOCKER_AUTH_CONFIG and podman's auth.json
    #[arg(long, value_name = "FILE")]
    pub authfile: Option<PathBuf>,
}

impl Reach {
    /// The settings that these name, and what is worth telling about them. Logins of the person's own
    /// are left where they are when none is wanted.
    pub fn settings(&self, with_own_logins: bool) -> Result<Settings, Failure> {
        let settings = Settings::load(&Paths {
            registries: self.registries.clone(),
            authfile: self.authfile.clone(),
            without_own_logins: !with_own_logins,
        })
        .map_err(Failure::misuse)?;
        for note in &settings.notes {
            super::note(&format!("note: {note}"));
        }
        Ok(settings)
    }
}

/// The registries, with what the command line may connect to.
pub(super) fn registry(settings: &Settings) -> Registry {
    let guard = Guard {
        door: Door::CommandLine,
        allow: settings.registries.allow_addresses.clone(),
        public_only: settings.registries.public_only,
        refuse: Vec::new(),
    };
    Registry::new(settings, guard)
}

/// What a command that asks runs on.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::fault)
}
