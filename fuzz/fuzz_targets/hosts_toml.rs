//! containerd's hosts.toml files.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use pullproof::settings::hosts_toml;

fuzz_target!(|text: &str| {
    let folder = Path::new("certs.d/r.io");
    if let Ok(file) = hosts_toml::parse(text, folder) {
        for entry in file.hosts.iter().chain([&file.server]) {
            assert!(entry.api.is_empty() || entry.api.starts_with('/'));
            assert!(!entry.api.ends_with('/'));
        }
    }
});
