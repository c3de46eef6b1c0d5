//! WWW-Authenticate values of a response, one a line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pullproof::registry::challenge;

fuzz_target!(|bytes: &[u8]| {
    let values: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let _ = challenge::choose(&challenge::parse(&values));
});
