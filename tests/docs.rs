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

#[test]
fn every_flag_of_the_long_running_roles_is_in_their_page() {
    const PAGE: &str = include_str!("../docs/webhook.md");
    for role in ["serve", "controller"] {
        let help = std::process::Command::new(env!("CARGO_BIN_EXE_pullproof"))
            .args([role, "--help"])
            .output()
            .unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let (_, table) = PAGE.split_once(&format!("| `pullproof {role}` |")).expect("a table");
        let table = table.split("\n\n").next().unwrap();
        let flags = help.lines().filter_map(|line| line.trim().strip_prefix("--"));
        let flags = flags.filter_map(|rest| rest.split([' ', '\n']).next());
        let own: Vec<&str> = flags.filter(|flag| *flag != "color").collect();
        assert!(own.len() > 5, "{help}");
        for flag in own {
            assert!(table.contains(&format!("`--{flag}")), "{role} --{flag} is not in its table");
        }
    }
}
