//! The project's own image as `make image` built it: the file that `make test-node` names, and what is
//! in it for this machine. A test fails where there is none; no other build of the program stands in.

use std::io::Read as _;
use std::path::PathBuf;

use serde_json::Value;

use super::node::architecture;

#[path = "../../../examples/image/elf.rs"]
pub mod elf;
#[path = "../../../examples/image/layout.rs"]
mod layout;
#[path = "../../../examples/image/tar.rs"]
mod tar;

/// The file of the image, an OCI layout.
#[track_caller]
pub fn file() -> PathBuf {
    let named = std::env::var_os("PULLPROOF_IMAGE").filter(|named| !named.is_empty());
    let path = PathBuf::from(named.expect(
        "PULLPROOF_IMAGE names no image of pullproof: `make test-node` builds one and names it",
    ));
    assert!(path.is_file(), "{} is missing: `make image` builds it", path.display());
    path
}

/// The digest of the index, which a node tells of what it runs.
pub fn digest() -> String {
    let layout = std::fs::read(file()).unwrap();
    top(&layout)["digest"].as_str().unwrap().to_owned()
}

/// The files of the image for this machine, by their names without a slash in front.
pub fn files() -> Vec<(String, Vec<u8>)> {
    let layout = std::fs::read(file()).unwrap();
    let index = json(&layout, &top(&layout));
    let here = |image: &&Value| image["platform"]["architecture"] == architecture();
    let image =
        index["manifests"].as_array().unwrap().iter().find(here).expect("an image for here");
    let manifest = json(&layout, image);
    let [layer] = manifest["layers"].as_array().unwrap().as_slice() else {
        panic!("{manifest:#}");
    };
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(blob(&layout, layer)).read_to_end(&mut unpacked).unwrap();
    let files = tar::files(&unpacked).unwrap();
    files.into_iter().map(|(name, content)| (name, content.to_vec())).collect()
}

fn top(layout: &[u8]) -> Value {
    let index: Value = serde_json::from_slice(named(layout, "index.json")).unwrap();
    index["manifests"][0].clone()
}

fn json(layout: &[u8], descriptor: &Value) -> Value {
    serde_json::from_slice(blob(layout, descriptor)).unwrap()
}

fn blob<'l>(layout: &'l [u8], descriptor: &Value) -> &'l [u8] {
    named(layout, &layout::blob(descriptor["digest"].as_str().unwrap()))
}

fn named<'l>(layout: &'l [u8], name: &str) -> &'l [u8] {
    let files = tar::files(layout).unwrap();
    files.into_iter().find(|(file, _)| file == name).expect(name).1
}
