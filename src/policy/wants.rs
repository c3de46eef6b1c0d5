//! What must be known before the registry is asked: the platforms a Pod may land on, and where each
//! wish comes from.

mod nodes;

use std::collections::{BTreeMap, BTreeSet};

pub use nodes::{Landing, NodeView, Taint, holds_image, landing};

use super::ImageCheckPolicy;
use super::matching::Subject;
use crate::image::Platform;
use crate::image::usage::{NodeConstraints, NodeRequirement};

const ARCH_LABELS: [&str; 2] = ["kubernetes.io/arch", "beta.kubernetes.io/arch"];
const OS_LABELS: [&str; 2] = ["kubernetes.io/os", "beta.kubernetes.io/os"];

/// The platforms wanted of an image, each with the origin of the wish; empty: they are not asked.
pub fn platforms(
    policies: &[ImageCheckPolicy],
    subject: &Subject<'_>,
    constraints: &NodeConstraints,
    asked_for: &[Platform],
) -> BTreeMap<Platform, String> {
    platforms_on(policies, subject, constraints, asked_for, None)
}

/// The same for a cluster whose nodes are known: where nobody asked for platforms, those of the nodes
/// that the Pod may land on are wanted. A Pod that fits none of them is judged by what it says.
pub fn platforms_on(
    policies: &[ImageCheckPolicy],
    subject: &Subject<'_>,
    constraints: &NodeConstraints,
    asked_for: &[Platform],
    landing: Option<&Landing>,
) -> BTreeMap<Platform, String> {
    let mut wanted: BTreeMap<Platform, String> = match landing {
        Some(landing) if asked_for.is_empty() => landing.platforms.clone(),
        _ => constrained(constraints, asked_for),
    };
    for policy in policies.iter().filter(|policy| policy.matches(subject)) {
        for platform in &policy.spec.require_platforms {
            wanted.entry(platform.0.clone()).or_insert_with(|| format!("policy {}", policy.name));
        }
    }
    wanted
}

/// `--platform` narrowed by the constraints, or what the constraints alone tell.
fn constrained(
    constraints: &NodeConstraints,
    asked_for: &[Platform],
) -> BTreeMap<Platform, String> {
    let told = told_by(constraints);
    if asked_for.is_empty() {
        return told
            .platforms()
            .into_iter()
            .map(|platform| (platform, told.origin.to_owned()))
            .collect();
    }
    let fits = |platform: &&Platform| told.allows(platform);
    let kept: BTreeMap<_, _> = asked_for
        .iter()
        .filter(fits)
        .map(|platform| (platform.clone(), "--platform".to_owned()))
        .collect();
    if kept.is_empty() {
        // The Pod lands on none of the platforms asked for: its own constraints are what counts.
        return told
            .platforms()
            .into_iter()
            .map(|platform| (platform, told.origin.to_owned()))
            .collect();
    }
    kept
}

/// The architectures and systems that the constraints leave; `None`: they say nothing of it.
struct Told {
    architectures: Option<BTreeSet<String>>,
    systems: Option<BTreeSet<String>>,
    origin: &'static str,
}

impl Told {
    fn platforms(&self) -> Vec<Platform> {
        let Some(architectures) = &self.architectures else { return Vec::new() };
        let linux = BTreeSet::from(["linux".to_owned()]);
        let systems = self.systems.as_ref().unwrap_or(&linux);
        let pairs = systems.iter().flat_map(|os| architectures.iter().map(move |arch| (os, arch)));
        pairs.filter_map(|(os, arch)| Platform::parse(&format!("{os}/{arch}")).ok()).collect()
    }

    fn allows(&self, platform: &Platform) -> bool {
        let holds = |set: &Option<BTreeSet<String>>, value: &str| {
            set.as_ref().is_none_or(|set| set.contains(value))
        };
        holds(&self.architectures, &platform.architecture) && holds(&self.systems, &platform.os)
    }
}

fn told_by(constraints: &NodeConstraints) -> Told {
    let selector = |labels: &[&str]| {
        labels
            .iter()
            .find_map(|label| constraints.node_selector.get(*label))
            .map(|value| BTreeSet::from([value.clone()]))
    };
    let (by_selector_arch, by_selector_os) = (selector(&ARCH_LABELS), selector(&OS_LABELS));
    let by_affinity_arch = affinity(constraints, &ARCH_LABELS);
    let by_affinity_os = affinity(constraints, &OS_LABELS);
    let by_pod_os = constraints.os_name.as_ref().map(|os| BTreeSet::from([os.clone()]));
    Told {
        origin: if by_selector_arch.is_some() { "nodeSelector" } else { "node affinity" },
        architectures: both(by_selector_arch, by_affinity_arch),
        systems: both(both(by_selector_os, by_affinity_os), by_pod_os),
    }
}

/// The values that required affinity leaves for a label: terms are alternatives, so one term that
/// lists none leaves it open.
fn affinity(constraints: &NodeConstraints, labels: &[&str]) -> Option<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for term in &constraints.affinity_terms {
        all.extend(left_by(term, labels)?);
    }
    (!all.is_empty()).then_some(all)
}

/// The values that one term leaves: all its requirements must hold.
fn left_by(term: &[NodeRequirement], labels: &[&str]) -> Option<BTreeSet<String>> {
    let of = |operator: &'static str| {
        term.iter().filter(move |requirement| {
            !requirement.is_field
                && labels.contains(&requirement.key.as_str())
                && requirement.operator == operator
        })
    };
    let sets = of("In").map(|listed| listed.values.iter().cloned().collect::<BTreeSet<_>>());
    let mut left = sets.reduce(|a, b| a.intersection(&b).cloned().collect())?;
    for refused in of("NotIn").flat_map(|listed| &listed.values) {
        left.remove(refused);
    }
    Some(left)
}

/// Both must hold.
fn both(a: Option<BTreeSet<String>>, b: Option<BTreeSet<String>>) -> Option<BTreeSet<String>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.intersection(&b).cloned().collect()),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(constraints: &NodeConstraints, asked_for: &[&str]) -> Vec<String> {
        let asked_for: Vec<Platform> =
            asked_for.iter().map(|text| Platform::parse(text).unwrap()).collect();
        constrained(constraints, &asked_for).keys().map(ToString::to_string).collect()
    }

    fn selector(pairs: &[(&str, &str)]) -> NodeConstraints {
        let node_selector =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        NodeConstraints { node_selector, ..NodeConstraints::default() }
    }

    #[test]
    fn nothing_tells_nothing() {
        assert!(names(&NodeConstraints::default(), &[]).is_empty());
        assert!(names(&selector(&[("disk", "ssd")]), &[]).is_empty());
    }

    #[test]
    fn a_selector_or_an_affinity_tells_the_platforms() {
        assert_eq!(names(&selector(&[("kubernetes.io/arch", "arm64")]), &[]), ["linux/arm64"]);
        assert_eq!(
            names(
                &selector(&[("kubernetes.io/arch", "amd64"), ("kubernetes.io/os", "windows")]),
                &[]
            ),
            ["windows/amd64"]
        );
        let requirement = |values: &[&str]| NodeRequirement {
            key: "kubernetes.io/arch".into(),
            operator: "In".into(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            ..NodeRequirement::default()
        };
        let either = NodeConstraints {
            affinity_terms: vec![vec![requirement(&["amd64"])], vec![requirement(&["arm64"])]],
            ..NodeConstraints::default()
        };
        assert_eq!(names(&either, &[]), ["linux/amd64", "linux/arm64"]);
        let open = NodeConstraints {
            affinity_terms: vec![vec![requirement(&["amd64"])], vec![]],
            ..NodeConstraints::default()
        };
        assert!(names(&open, &[]).is_empty());
    }

    #[test]
    fn a_flag_is_narrowed_by_what_the_pod_asks_for() {
        assert_eq!(
            names(&selector(&[("kubernetes.io/arch", "arm64")]), &["linux/amd64", "linux/arm64"]),
            ["linux/arm64"]
        );
        assert_eq!(
            names(&selector(&[("kubernetes.io/arch", "s390x")]), &["linux/amd64"]),
            ["linux/s390x"]
        );
        assert_eq!(names(&NodeConstraints::default(), &["linux/amd64"]), ["linux/amd64"]);
    }
}
