//! Image texts: no panic, errors placed inside the text, the normal form parses to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pullproof::image::Reference;

fuzz_target!(|text: &str| {
    match Reference::parse(text) {
        Ok(reference) => {
            let again = Reference::parse(&reference.pull_ref()).expect("the normal form parses");
            assert_eq!(again, reference);
            let _ = (reference.familiar(), reference.endpoint_host(), reference.cri_image());
        }
        Err(error) => {
            let _ = error.describe(text);
            assert!(error.position(text).is_none_or(|at| at <= text.len()));
        }
    }
});
