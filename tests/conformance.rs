//! Runs the tables of upstream behaviour: every field of every case is compared. Another folder of
//! tables in the same form can be named in `PULLPROOF_TABLES`.

mod challenge;
mod keyring;
mod platform;
mod pullpolicy;
mod reference;

use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Compares one table and tells what is wrong, by the ids of the cases.
type Check = fn(&Value) -> Vec<String>;

const TABLES: &[(&str, Check)] = &[
    ("reference", reference::reference),
    ("pullpolicy", pullpolicy::pullpolicy),
    ("platform", platform::platform),
    ("keyring", keyring::check),
    ("challenge", challenge::check),
];

#[test]
fn conformance() {
    let failures: Vec<String> = TABLES.iter().flat_map(|(name, check)| run(name, *check)).collect();
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), failures.join("\n"));
}

#[expect(clippy::print_stdout, reason = "the number of cases is shown")]
fn run(name: &str, check: Check) -> Vec<String> {
    let table = match read(name) {
        Ok(table) => table,
        Err(why) => return vec![format!("{name}: {why}")],
    };
    println!("{name}: {} cases", cases(&table).len());
    if cases(&table).is_empty() {
        return vec![format!("{name}: the table has no cases")];
    }
    check(&table)
}

/// A table of the folder that is named, or of the project.
pub fn read(name: &str) -> Result<Value, String> {
    let named = std::env::var_os("PULLPROOF_TABLES").map(PathBuf::from);
    read_in(&named.unwrap_or_else(|| OWN.into()), name)
}

/// A table of the project itself, whatever folder is named: for tests written case by case.
pub fn read_own(name: &str) -> Result<Value, String> {
    read_in(Path::new(OWN), name)
}

const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tables");

fn read_in(folder: &Path, name: &str) -> Result<Value, String> {
    let path = folder.join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}

pub fn cases(table: &Value) -> &[Value] {
    table["cases"].as_array().map_or(&[], Vec::as_slice)
}

/// The differences found in one case.
struct Case<'a> {
    case: &'a Value,
    failures: Vec<String>,
}

impl<'a> Case<'a> {
    fn new(case: &'a Value) -> Case<'a> {
        Case { case, failures: Vec::new() }
    }

    /// Compares a field; one that is absent counts as null.
    fn field(&mut self, name: &str, got: impl Into<Value>) {
        let got = got.into();
        let wanted = &self.case[name];
        if got != *wanted {
            self.fail(format!("{name} is {got}, not {wanted}"));
        }
    }

    /// Compares a field only where the case has it.
    fn field_if_there(&mut self, name: &str, got: impl Into<Value>) {
        if self.case.get(name).is_some() {
            self.field(name, got);
        }
    }

    /// Tells of fields that nothing here compares; the case still counts.
    #[expect(clippy::print_stdout, reason = "a note beside the number of cases")]
    fn only(&self, known: &[&str]) {
        let fields = self.case.as_object().into_iter().flat_map(|fields| fields.keys());
        for name in fields.filter(|name| !known.contains(&name.as_str())) {
            println!("{}: the field {name} is not compared", self.case["id"]);
        }
    }

    fn fail(&mut self, what: impl Display) {
        self.failures.push(format!("{}: {what}", self.case["id"]));
    }
}
