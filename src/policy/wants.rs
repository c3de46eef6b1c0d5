//! What must be known before the registry is asked: the platforms a Pod may land on, and where each
//! wish comes from.

mod nodes;

use std::collections::{BTreeMap, BTreeSet};

pub use nodes::{Landing, NodeView, Taint, holds_image, landing};

use super::ImageCheckPolicy;
use super::matching::Subject;
use crate::diagnosis::Lacking;
use crate::image::Platform;
use crate::image::usage::{NodeConstraints, NodeRequirement};

const ARCH_LABELS: [&str; 2] = ["kubernetes.io/arch", "beta.kubernetes.io/arch"];
const OS_LABELS: [&str; 2] = ["kubernetes.io/os", "beta.kubernetes.io/os"];

/// Who wants a platform; the one who has more say comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// The Pod: its nodes, its constraints, or a flag where no nodes are known.
    Pod,
    /// A flag, for nodes that are still to come.
    ToCome,
    /// Policies alone.
    Policy,
}

/// Why a platform is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// In words, for example `--platform`.
    pub origin: String,
    pub whose: Whose,
}

/// The platforms wanted of an image; empty: they are not asked.
pub type Wanted = BTreeMap<Platform, Wish>;

/// Platforms that a person asks for by a flag.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    pub platforms: &'a [Platform],
    /// They count instead of those of the nodes; else beside them.
    pub instead: bool,
}

/// The platforms wanted of an image: those of the nodes that the Pod may land on, where they are
/// known, and what flags and policies ask for. A Pod that fits no node is judged by what it says.
pub fn platforms(
    policies: &[ImageCheckPolicy],
    subject: &Subject<'_>,
    constraints: &NodeConstraints,
    asked: Asked<'_>,
    landing: Option<&Landing>,
) -> Wanted {
    let landing = landing.filter(|_| !asked.instead || asked.platforms.is_empty());
    let of = |whose| move |(platform, origin)| (platform, Wish { origin, whose });
    let mut wanted: Wanted = match landing {
        Some(landing) => landing.platforms.clone().into_iter().map(of(Whose::Pod)).collect(),
        None => constrained(constraints, asked.platforms).into_iter().map(of(Whose::Pod)).collect(),
    };
    if landing.is_some() {
        for (platform, origin) in flagged(&told_by(constraints), asked.platforms) {
            let wish = || Wish { origin, whose: Whose::ToCome };
            wanted.entry(platform).or_insert_with(wish);
        }
    }
    for policy in policies.iter().filter(|policy| policy.matches(subject)) {
        for platform in &policy.spec.require_platforms {
            let origin = || format!("policy {}", policy.name);
            let wish = || Wish { origin: origin(), whose: Whose::Policy };
            wanted.entry(platform.0.clone()).or_insert_with(wish);
        }
    }
    wanted
}

/// Whom it concerns that an image is not there for some of what is wanted.
pub fn weigh(wanted: &Wanted, lacking: &mut Lacking) {
    let is_lacking = |platform: &Platform| lacking.platforms.contains(platform);
    let concerns_pod = wanted.iter().any(|(it, wish)| wish.whose < Whose::Policy && is_lacking(it));
    let mut met = wanted.iter().filter(|(_, wish)| wish.whose == Whose::Pod).peekable();
    lacking.everywhere = met.peek().is_some() && met.all(|(platform, _)| is_lacking(platform));
    lacking.concerns_pod = concerns_pod;
}

/// `--platform`, as far as the constraints allow it.
fn flagged(told: &Told, asked_for: &[Platform]) -> BTreeMap<Platform, String> {
    let fits = |platform: &&Platform| told.allows(platform);
    let flag = |platform: &Platform| (platform.clone(), "--platform".to_owned());
    asked_for.iter().filter(fits).map(flag).collect()
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
    let kept = flagged(&told, asked_for);
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

    #[test]
    fn a_flag_stands_beside_the_nodes_and_can_not_make_a_good_image_miss() {
        let platform = |text: &str| Platform::parse(text).unwrap();
        let [amd, arm] = [platform("linux/amd64"), platform("linux/arm64")];
        let landing = Landing {
            platforms: BTreeMap::from([(amd.clone(), "node a".to_owned())]),
            ..Landing::default()
        };
        let subject = Subject {
            namespace: "shop",
            namespace_labels: None,
            service_account: "default",
            ownership: crate::image::usage::Ownership::Workload,
            reference: None,
        };
        let wanted = |instead: bool, constraints: &NodeConstraints| {
            let asked = Asked { platforms: std::slice::from_ref(&arm), instead };
            platforms(&[], &subject, constraints, asked, Some(&landing))
        };
        let any = NodeConstraints::default();
        let beside = wanted(false, &any);
        assert_eq!((beside[&amd].whose, beside[&arm].whose), (Whose::Pod, Whose::ToCome));
        let weighed = |missing: &Platform| {
            let mut lacking = Lacking { platforms: vec![missing.clone()], ..Lacking::default() };
            weigh(&beside, &mut lacking);
            (lacking.concerns_pod, lacking.everywhere)
        };
        assert_eq!((weighed(&arm), weighed(&amd)), ((true, false), (true, true)));
        let instead = wanted(true, &any);
        assert_eq!(instead.keys().collect::<Vec<_>>(), [&arm]);
        assert_eq!(instead[&arm].whose, Whose::Pod);
        let kept_away = wanted(false, &selector(&[("kubernetes.io/arch", "amd64")]));
        assert_eq!(kept_away.keys().collect::<Vec<_>>(), [&amd]);
    }
}
