//! What the project says of itself holds: the map names the rooms that are there, rooms know only
//! what the map allows, commands in the documents exist.

// Helpers of tests: what is not there should fail the test where it is missed.
#![allow(clippy::unwrap_used)]

mod documents;
mod rooms;

use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A text file of the project; one that is missing fails the test that wants it.
fn read(file: impl AsRef<Path>) -> String {
    let path = root().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file below `src`, relative to it, sorted.
fn sources() -> Vec<PathBuf> {
    let src = root().join("src");
    let mut folders = vec![src.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path.strip_prefix(&src).unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}
