//! The pages below `docs` say of causes what the program says of them.

use std::collections::{BTreeMap, BTreeSet};

use pullproof::diagnosis::{Cause, Reason};

const CAUSES: &str = include_str!("../docs/causes.md");
const REGISTRIES: &str = include_str!("../docs/registries.md");

/// The text of each section by its heading.
fn sections(page: &str) -> BTreeMap<&str, &str> {
    let sections = page.split("\n### ").skip(1).map(|section| {
        let (heading, text) = section.split_once('\n').expect("a heading has a text");
        (heading.trim(), text.split("\n## ").next().unwrap_or_default())
    });
    sections.collect()
}

/// A phrase as a sentence of the page.
fn sentence(phrase: &str) -> String {
    let mut chars = phrase.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

#[test]
fn every_cause_has_a_section_with_its_meaning_and_cure() {
    let sections = sections(CAUSES);
    for cause in Cause::all() {
        let section = sections.get(cause.id()).unwrap_or_else(|| panic!("no section {cause}"));
        let means = sentence(cause.means());
        assert!(section.contains(&means), "{cause}: {means}");
        for cure in cause.cure() {
            assert!(section.contains(cure), "{cause}: {cure}");
        }
    }
}

#[test]
fn every_reason_of_our_own_has_a_section_with_its_meaning() {
    let sections = sections(CAUSES);
    for reason in Reason::own() {
        let section = sections.get(reason.id()).unwrap_or_else(|| panic!("no section {reason}"));
        let means = sentence(reason.means());
        assert!(section.contains(&means), "{reason}: {means}");
    }
}

#[test]
fn every_section_is_about_an_id_once() {
    let headings: Vec<&str> = CAUSES.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let ids = Cause::all().map(Cause::id).chain(Reason::own().map(Reason::id));
    assert_eq!(headings.iter().collect::<BTreeSet<_>>().len(), headings.len());
    assert_eq!(BTreeSet::from_iter(headings), BTreeSet::from_iter(ids));
}

#[test]
fn links_to_causes_lead_somewhere() {
    let known = sections(CAUSES);
    for (page, start) in [(CAUSES, "](#"), (REGISTRIES, "](causes.md#")] {
        let mut links = page.split(start).skip(1).filter_map(|rest| rest.split(')').next());
        assert!(links.all(|link| known.contains_key(link)), "a link {start}...) of no section");
        assert!(page.contains(start));
    }
}
