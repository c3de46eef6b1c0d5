//! The `Chart.yaml` beside a file with values: its `appVersion` is the tag of images without one.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::manifest::Chart;
use crate::manifest::values::is_values_file;

/// Longest `Chart.yaml` that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// Charts by folder, each read once.
#[derive(Default)]
pub(super) struct Charts {
    known: HashMap<PathBuf, Option<Chart>>,
}

impl Charts {
    /// The chart whose values a file holds, when it lies beside it.
    pub fn of(&mut self, name: &str) -> Option<&Chart> {
        let folder = Path::new(name).parent().filter(|_| is_values_file(name))?;
        let known = self.known.entry(folder.to_owned());
        known.or_insert_with(|| read(&folder.join("Chart.yaml"))).as_ref()
    }
}

fn read(path: &Path) -> Option<Chart> {
    if !path.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return None;
    }
    let mut text = String::new();
    File::open(path).ok()?.take(LIMIT).read_to_string(&mut text).ok()?;
    Chart::parse(&text)
}
