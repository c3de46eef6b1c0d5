//! The catalogue is consistent: no kind twice, every path can be parsed, every field is found.

use super::*;
use crate::manifest::path;

fn all() -> impl Iterator<Item = &'static Row> {
    BUILT_IN.iter().chain(CUSTOM.iter().copied().flatten())
}

#[test]
fn a_kind_counts_by_group_in_any_version() {
    assert!(built_in("apps/v1beta2", "Deployment").is_some());
    assert!(built_in("v1", "Pod").is_some());
    assert!(built_in("example.com/v1", "Deployment").is_none());
    assert!(built_in("v1", "Deployment").is_none());
    assert!(custom("argoproj.io/v9", "Workflow").is_some());
    assert!(holds_no_images("kyverno.io/v1", "ClusterPolicy"));
    assert!(holds_no_images("v1", "ConfigMap") && !holds_no_images("x.io/v1", "ConfigMap"));
}

#[test]
fn no_kind_is_listed_twice() {
    let mut seen = std::collections::HashSet::new();
    for row in all() {
        for kind in row.kinds {
            assert!(seen.insert((row.group, kind)), "{} {kind}", row.group);
        }
    }
}

#[test]
fn every_row_has_paths_that_parse_and_says_where_they_are_from() {
    for row in all() {
        assert!(!row.fields.is_empty() && !row.from.is_empty(), "{:?}", row.kinds);
        for field in row.fields {
            assert_eq!(path::parse(field.path()).err(), None, "{:?}", row.kinds);
        }
    }
}
