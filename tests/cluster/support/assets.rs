//! Where the real servers lie. One that is missing fails the test that wants it, and says how to get
//! it; no test passes by leaving it out.

use std::path::{Path, PathBuf};

/// The path of one of the programs that `tests/cluster/build.sh` builds.
pub fn program(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(
        path.is_file(),
        "{} is missing: `make test-cluster` and `make test-node` build it (needs Go), or name the \
         folder that holds it in KUBEBUILDER_ASSETS",
        path.display()
    );
    path
}

/// `KUBEBUILDER_ASSETS`, or the folder that the Makefile fills.
pub fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty())
    {
        return folder.into();
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_pullproof"));
    let target = binary.ancestors().nth(2).expect("a binary lies in a profile's folder");
    target.join("cluster-assets")
}

/// A script of `tests/cluster`.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster").join(name)
}
