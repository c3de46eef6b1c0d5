//! What kubelets and runtimes say: no panic, whatever the reasons beside it, and what is shown holds
//! nothing that drives a terminal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pullproof::diagnosis::kubelet::{self, Text};

fuzz_target!(|text: &str| {
    // The first line may be a reason; the kubelet puts free text there, too.
    let (reason, message) = text.split_once('\n').unwrap_or(("", text));
    let reason = (!reason.is_empty()).then_some(reason);
    for said in [
        Text { message, ..Text::default() },
        Text { message, waiting_reason: reason, event_reason: None },
        Text { message, waiting_reason: None, event_reason: reason },
    ] {
        let _ = kubelet::read(&said);
    }
    assert!(!kubelet::shown(message).contains(['\u{1b}', '\u{7}', '\u{202e}']));
});
