//! Bodies of reviews: no panic, as many uses as there are image texts, and an answer that is JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pullproof::admission::object::{Admitted, Shape};
use pullproof::admission::review::{self, Answer};

fuzz_target!(|body: &[u8]| {
    let Ok(request) = review::parse(body) else { return };
    let answer = Answer::warn("x").to_bytes(&request.uid);
    let answer: serde_json::Value = serde_json::from_slice(&answer).expect("the answer is JSON");
    assert_eq!(answer["response"]["uid"], *request.uid);
    let Some(shape) = Shape::of(&request.kind) else { return };
    if let Some(Ok(object)) = &request.object {
        let object = Admitted::new(shape, object);
        let uses = object.uses(&request);
        assert!(uses.len() <= object.texts().count());
        for found in &uses {
            assert!(object.texts().any(|text| text == found.text));
            object.name_at(&found.site.path);
        }
    }
});
