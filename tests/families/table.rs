//! The table: one row a situation, written from the documents on registries before any code.
//! Columns: family, situation, image, login, `pullable` or the cause or reason, certainty, pulls.

use std::fmt::Write as _;

use pullproof::diagnosis::{Diagnosis, Outcome};
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Row(String, String, String, String, String, String, Option<bool>);

fn rows() -> Vec<Row> {
    serde_json::from_str(include_str!("table.json")).unwrap()
}

fn certainty(diagnosis: &Diagnosis) -> &'static str {
    match diagnosis.outcome {
        Outcome::Pullable => "",
        Outcome::Finding { certainty, .. } => certainty.id(),
        Outcome::Inconclusive { .. } => "inconclusive",
    }
}

/// What is wrong with an answer to a row, if anything.
fn failure(row: &Row, diagnosis: &Diagnosis) -> Option<String> {
    let Row(family, situation, _, _, outcome, sure, pulls) = row;
    let expected = (outcome.as_str(), sure.as_str(), *pulls);
    let got = (id(diagnosis), certainty(diagnosis), diagnosis.pulls);
    (expected != got).then(|| {
        let seen: Vec<&str> = diagnosis.evidence.iter().map(|seen| seen.text.as_str()).collect();
        format!(
            "{family}: {situation}: expected {expected:?}, got {got:?}\n    {}",
            seen.join("\n    ")
        )
    })
}

fn password(row: &Row) -> Option<&str> {
    Some(row.3.as_str()).filter(|login| *login != "none")
}

async fn failures(fresh: bool) -> String {
    let rows = rows();
    let mut failures = String::new();
    for family in families::all() {
        let name = family.name;
        let world = World::start(family).await;
        let mut client = world.client();
        for row in rows.iter().filter(|row| row.0 == name) {
            if fresh || row.4 == "rate-limited" {
                client = world.client();
            }
            let diagnosis = world.ask(&client, &row.2, password(row)).await;
            if let Some(text) = failure(row, &diagnosis) {
                writeln!(failures, "{text}").unwrap();
            }
            if row.4 == "rate-limited" {
                client = world.client();
            }
        }
    }
    failures
}

#[test]
fn the_table_names_families_that_exist_and_no_situation_twice() {
    let rows = rows();
    assert!(rows.len() >= 90, "{} rows", rows.len());
    let names: Vec<&str> = families::all().iter().map(|family| family.name).collect();
    let mut seen = std::collections::BTreeSet::new();
    for row in &rows {
        assert!(names.contains(&row.0.as_str()), "{}", row.0);
        assert!(seen.insert((&row.0, &row.1)), "{}: {} twice", row.0, row.1);
    }
}

#[tokio::test]
async fn every_row_of_the_table_holds_for_a_client_that_knows_nothing() {
    let failures = failures(true).await;
    assert!(failures.is_empty(), "\n{failures}");
}

#[tokio::test]
async fn every_row_of_the_table_holds_for_a_client_that_has_asked_the_others_before() {
    let failures = failures(false).await;
    assert!(failures.is_empty(), "\n{failures}");
}
