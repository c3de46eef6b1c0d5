//! Runs helm and reads what it renders.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pullproof::manifest::yaml;
use serde_json::Value;
use tempfile::TempDir;

pub const RELEASE: &str = "check";
pub const NAMESPACE: &str = "pullproof-system";
/// How the chart calls its objects in this release.
pub const NAME: &str = "check-pullproof";

pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/pullproof")
}

pub fn read(file: &str) -> String {
    std::fs::read_to_string(chart().join(file)).unwrap()
}

/// Values files that stand for the ways people install it.
pub fn kinds_of_install() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(chart().join("ci")).unwrap();
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 5, "{files:?}");
    files
}

/// Runs helm with nothing of the person who runs the tests.
pub fn helm(arguments: &[&str]) -> Output {
    let folder = TempDir::new().unwrap();
    let program = std::env::var_os("PULLPROOF_HELM").unwrap_or("helm".into());
    let mut command = Command::new(&program);
    for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HOME"] {
        command.env(name, folder.path());
    }
    command.env_remove("KUBECONFIG").args(arguments);
    command
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; see `make chart`", program.display()))
}

/// Renders the chart in `NAMESPACE` with these further arguments; what helm refuses is the error.
pub fn try_render(arguments: &[&str]) -> Result<Vec<Value>, String> {
    let chart = chart();
    let all = ["template", RELEASE, chart.to_str().unwrap(), "--namespace", NAMESPACE];
    let all = [&all[..], &["--kube-version", "1.36.3", "--include-crds"], arguments].concat();
    let output = helm(&all);
    if !output.status.success() {
        return Err(String::from_utf8(output.stderr).unwrap());
    }
    let text = String::from_utf8(output.stdout).unwrap();
    let parsed = yaml::parse(&text);
    assert!(parsed.errors.is_empty(), "{:?}", parsed.errors);
    assert!(parsed.notes.is_empty(), "keys that are there twice: {:?}", parsed.notes);
    let objects = parsed.documents.iter().map(|document| document.root().to_json());
    Ok(objects.filter(|object| !object.is_null()).collect())
}

/// The objects of a chart with these values set, each as `--set-json` takes it.
pub fn render(values: &[&str]) -> Vec<Value> {
    let arguments: Vec<&str> = values.iter().flat_map(|value| ["--set-json", value]).collect();
    try_render(&arguments).unwrap_or_else(|error| panic!("{values:?}: {error}"))
}

/// The objects of one kind of install.
pub fn render_file(values: &Path) -> Vec<Value> {
    try_render(&["--values", values.to_str().unwrap()])
        .unwrap_or_else(|error| panic!("{}: {error}", values.display()))
}

pub fn of_kind<'o>(objects: &'o [Value], kind: &str) -> Vec<&'o Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// The one object of this kind and name.
#[track_caller]
pub fn object<'o>(objects: &'o [Value], kind: &str, name: &str) -> &'o Value {
    let found: Vec<&Value> =
        of_kind(objects, kind).into_iter().filter(|it| it["metadata"]["name"] == name).collect();
    assert_eq!(found.len(), 1, "{kind} {name}");
    found[0]
}

/// A list of strings.
#[track_caller]
pub fn strings(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap_or_else(|| panic!("a list, not {list}"));
    list.iter().map(|it| it.as_str().unwrap()).collect()
}
