//! YAML and JSON manifests: no panic, and every span lies inside the text.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use pullproof::image::usage::Source;
use pullproof::manifest::extract_source;

fuzz_target!(|text: &str| {
    let source = Arc::new(Source { name: "fuzz.yaml".to_owned(), text: text.to_owned() });
    for found in extract_source(&source).uses {
        if let Some(place) = found.site.place {
            assert!(place.source.text.get(place.span).is_some());
        }
    }
});
