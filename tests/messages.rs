//! Runs a table of real messages, one JSON object a line: `message`, `waiting_reason`,
//! `event_reason`, `cause`, `alt_causes`, `image_pull_failure`. Such a table is not part of the
//! project; `PULLPROOF_TABLES` names the folder of one.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use pullproof::diagnosis::kubelet::{Text, read};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Case {
    id: String,
    message: String,
    waiting_reason: Option<String>,
    event_reason: Option<String>,
    cause: String,
    alt_causes: Vec<String>,
    image_pull_failure: bool,
}

impl Case {
    /// What is read first, where that is not what the table says.
    fn difference(&self) -> Option<String> {
        let reading = read(&Text {
            message: &self.message,
            waiting_reason: self.waiting_reason.as_deref(),
            event_reason: self.event_reason.as_deref(),
        });
        let got = reading.cause().map_or("none", |cause| cause.id());
        let is_right = got == self.cause
            || self.alt_causes.iter().any(|other| other == got)
            || (!self.image_pull_failure && got == "none");
        let shown: String = self.message.chars().take(300).collect();
        (!is_right).then(|| format!("{}: {got}, not {}: {shown}", self.id, self.cause))
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the number of cases is shown")]
fn real_messages_are_read_as_people_read_them() {
    let folder = std::env::var_os("PULLPROOF_TABLES").map(PathBuf::from);
    let file = folder.map(|folder| folder.join("messages.jsonl")).filter(|file| file.exists());
    let Some(file) = file else {
        println!("messages: not there");
        return;
    };
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let cases: Vec<Case> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    println!("messages: {} cases", cases.len());
    assert!(!cases.is_empty(), "the table has no cases");
    let differences: Vec<String> = cases.iter().filter_map(Case::difference).collect();
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}
