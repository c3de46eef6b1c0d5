//! Image manifests, indexes and configs as a registry sends them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pullproof::image::media_type::Kind;
use pullproof::registry::content;

fuzz_target!(|bytes: &[u8]| {
    for kind in [Kind::Manifest, Kind::Index] {
        let _ = content::parse(kind, bytes, 512);
    }
    let _ = content::parse_config(bytes);
});
