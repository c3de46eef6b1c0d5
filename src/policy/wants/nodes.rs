//! Which nodes of a cluster a Pod may land on, and so which platforms and runtimes it meets.
//!
//! Follows the scheduler: `nodeName`, else `nodeSelector` and required affinity (terms are
//! alternatives, what stands in one term must all hold), taints against tolerations, cordons. What
//! comes and goes by itself (a node that is not ready, under pressure) is no reason to rule it out.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use crate::image::platform::Runtime;
use crate::image::usage::{NodeConstraints, NodeRequirement, Toleration};
use crate::image::{Platform, Reference};

/// What is kept of a Node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeView {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub taints: Vec<Taint>,
    /// Cordoned.
    pub unschedulable: bool,
    /// `status.nodeInfo.operatingSystem`.
    pub os: String,
    /// `status.nodeInfo.architecture`.
    pub architecture: String,
    /// `status.nodeInfo.containerRuntimeVersion`, for example `containerd://2.1.4`.
    pub runtime: String,
    /// Names of images the node says it holds, in no order; a bounded part of them.
    pub images: BTreeSet<String>,
}

/// A taint of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taint {
    pub key: String,
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

impl NodeView {
    /// Whether Pods land on both alike: all but the images they hold is the same.
    pub fn lands_like(&self, other: &Self) -> bool {
        let Self { name, labels, taints, unschedulable, os, architecture, runtime, images: _ } =
            self;
        (name, labels, taints) == (&other.name, &other.labels, &other.taints)
            && (unschedulable, os) == (&other.unschedulable, &other.os)
            && (architecture, runtime) == (&other.architecture, &other.runtime)
    }
}

/// What a Pod meets where it may land.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Landing {
    /// Each with the nodes it comes from, in words.
    pub platforms: BTreeMap<Platform, String>,
    /// Ways of choosing from an index that the nodes may have; empty: not known.
    pub runtimes: Vec<Runtime>,
}

/// Taints that the control plane puts on and takes off by the state of a node.
const PASSING: &str = "node.kubernetes.io/";
const CORDON: &str = "node.kubernetes.io/unschedulable";
const WINDOWS_BUILD: &str = "node.kubernetes.io/windows-build";

/// What a Pod meets on the nodes it may land on; `None`: it fits none of them, which a pool that
/// grows on demand may change.
pub fn landing<N: Borrow<NodeView>>(nodes: &[N], constraints: &NodeConstraints) -> Option<Landing> {
    let fitting: Vec<&NodeView> = candidates(nodes, constraints).collect();
    // Thousands of nodes are of a few sorts, and only a sort is parsed.
    let mut sorts: BTreeMap<(&str, &str, Option<&String>), Vec<&NodeView>> = BTreeMap::new();
    for node in &fitting {
        let build = node.labels.get(WINDOWS_BUILD);
        sorts.entry((&node.os, &node.architecture, build)).or_default().push(node);
    }
    let mut by_platform: BTreeMap<Platform, Vec<&str>> = BTreeMap::new();
    for nodes in sorts.values() {
        if let Some(platform) = nodes.first().and_then(|node| platform(node)) {
            by_platform
                .entry(platform)
                .or_default()
                .extend(nodes.iter().map(|it| it.name.as_str()));
        }
    }
    let platforms: BTreeMap<Platform, String> =
        by_platform.into_iter().map(|(platform, names)| (platform, words(&names))).collect();
    (!platforms.is_empty()).then(|| Landing { platforms, runtimes: runtimes(&fitting) })
}

/// Whether a node that the Pod may land on says that it holds the image.
pub fn holds_image<N: Borrow<NodeView>>(
    nodes: &[N],
    constraints: &NodeConstraints,
    reference: &Reference,
) -> bool {
    let name = reference.keyring_lookup();
    let wanted: Vec<String> = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => vec![format!("{name}@{digest}")],
        (None, tag) => vec![format!("{name}:{}", tag.unwrap_or("latest"))],
    };
    candidates(nodes, constraints).any(|node| wanted.iter().any(|name| node.images.contains(name)))
}

fn candidates<'n, N: Borrow<NodeView>>(
    nodes: &'n [N],
    constraints: &'n NodeConstraints,
) -> impl Iterator<Item = &'n NodeView> {
    nodes.iter().map(Borrow::borrow).filter(move |node| may_land(node, constraints))
}

fn may_land(node: &NodeView, constraints: &NodeConstraints) -> bool {
    if let Some(name) = &constraints.node_name {
        return node.name == *name;
    }
    let fits_os = constraints.os_name.as_ref().is_none_or(|os| *os == node.os);
    fits_os
        && constraints.node_selector.iter().all(|(key, value)| node.labels.get(key) == Some(value))
        && (constraints.affinity_terms.is_empty()
            || constraints
                .affinity_terms
                .iter()
                .any(|term| term.iter().all(|requirement| holds(requirement, node))))
        && tolerates(node, &constraints.tolerations)
}

fn holds(requirement: &NodeRequirement, node: &NodeView) -> bool {
    let value = match (requirement.is_field, requirement.key.as_str()) {
        (true, "metadata.name") => Some(node.name.as_str()),
        (true, _) => None,
        (false, key) => node.labels.get(key).map(String::as_str),
    };
    let listed = || value.is_some_and(|value| requirement.values.iter().any(|it| it == value));
    let numbers = || {
        let wanted: i64 = requirement.values.first()?.parse().ok()?;
        Some((value?.parse::<i64>().ok()?, wanted))
    };
    match requirement.operator.as_str() {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => numbers().is_some_and(|(has, wanted)| has > wanted),
        "Lt" => numbers().is_some_and(|(has, wanted)| has < wanted),
        _ => false,
    }
}

fn tolerates(node: &NodeView, tolerations: &[Toleration]) -> bool {
    if node.taints.is_empty() && !node.unschedulable {
        return true;
    }
    let cordon = node.unschedulable.then(|| Taint {
        key: CORDON.to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    });
    node.taints
        .iter()
        .chain(&cordon)
        .filter(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute"))
        .filter(|taint| taint.key == CORDON || !taint.key.starts_with(PASSING))
        .all(|taint| tolerations.iter().any(|toleration| is_tolerated(taint, toleration)))
}

fn is_tolerated(taint: &Taint, toleration: &Toleration) -> bool {
    let fits_effect = toleration.effect.is_empty() || toleration.effect == taint.effect;
    let fits = match (toleration.operator.as_str(), toleration.key.as_str()) {
        ("Exists", "") => true,
        ("Exists", key) => key == taint.key,
        ("" | "Equal", key) => key == taint.key && toleration.value == taint.value,
        _ => false,
    };
    fits_effect && fits
}

fn platform(node: &NodeView) -> Option<Platform> {
    let mut platform = Platform::parse(&format!("{}/{}", node.os, node.architecture)).ok()?;
    if platform.os == "windows"
        && let Some(build) = node.labels.get(WINDOWS_BUILD)
    {
        platform.os_version.clone_from(build);
    }
    Some(platform)
}

/// The runtimes of some nodes; none where one of them is not known.
fn runtimes(nodes: &[&NodeView]) -> Vec<Runtime> {
    let mut all = BTreeSet::new();
    for node in nodes {
        match of_version(&node.runtime) {
            [] => return Vec::new(),
            some => all.extend(some),
        }
    }
    all.into_iter().copied().collect()
}

/// From containerd 2.1 on a node may pull in both ways, and does not say in which it does.
fn of_version(version: &str) -> &'static [Runtime] {
    if version.starts_with("cri-o://") {
        return &[Runtime::Crio];
    }
    let Some(version) = version.strip_prefix("containerd://") else { return &[] };
    let mut parts = version.trim_start_matches('v').split(['.', '-', '+', '~']);
    let mut number = || parts.next().and_then(|part| part.parse::<u32>().ok());
    match (number(), number()) {
        (Some(major), Some(minor)) if (major, minor) < (2, 1) => &[Runtime::ContainerdLocal],
        _ => &[Runtime::ContainerdLocal, Runtime::ContainerdTransfer],
    }
}

fn words(names: &[&str]) -> String {
    let shown = |name: &str| crate::text::clean(name, 80);
    match names {
        [] => String::new(),
        [one] => format!("node {}", shown(one)),
        [first, rest @ ..] => format!("node {} and {} more", shown(first), rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, platform: &str) -> NodeView {
        let (os, architecture) = platform.split_once('/').unwrap();
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        NodeView {
            name: name.into(),
            labels: BTreeMap::from([
                label("kubernetes.io/arch", architecture),
                label("kubernetes.io/os", os),
                label("pool", name),
                label("cores", "8"),
            ]),
            os: os.into(),
            architecture: architecture.into(),
            runtime: "containerd://1.7.27".into(),
            ..NodeView::default()
        }
    }

    fn taint(key: &str, effect: &str) -> Taint {
        Taint { key: key.into(), value: "yes".into(), effect: effect.into() }
    }

    fn cluster() -> Vec<NodeView> {
        let mut gpu = node("gpu", "linux/arm64");
        gpu.taints.push(taint("gpu", "NoSchedule"));
        let mut win = node("win", "windows/amd64");
        win.labels.insert(WINDOWS_BUILD.into(), "10.0.20348".into());
        win.taints.push(taint("os", "NoExecute"));
        let mut away = node("away", "linux/s390x");
        away.unschedulable = true;
        let mut ill = node("ill", "linux/amd64");
        ill.taints.push(taint("node.kubernetes.io/not-ready", "NoExecute"));
        ill.taints.push(taint("soft", "PreferNoSchedule"));
        vec![ill, gpu, win, away]
    }

    fn toleration(key: &str, operator: &str, value: &str, effect: &str) -> Toleration {
        let [key, operator, value, effect] = [key, operator, value, effect].map(str::to_owned);
        Toleration { key, operator, value, effect }
    }

    fn tolerating(toleration: Toleration) -> NodeConstraints {
        NodeConstraints { tolerations: vec![toleration], ..NodeConstraints::default() }
    }

    fn requirement(key: &str, operator: &str, values: &[&str]) -> NodeRequirement {
        NodeRequirement {
            key: key.into(),
            operator: operator.into(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            is_field: false,
        }
    }

    fn affine(terms: Vec<Vec<NodeRequirement>>) -> NodeConstraints {
        // Every taint is tolerated, so that affinity alone decides.
        let tolerations = vec![toleration("", "Exists", "", "")];
        NodeConstraints { affinity_terms: terms, tolerations, ..NodeConstraints::default() }
    }

    fn platforms(constraints: &NodeConstraints) -> Vec<String> {
        let landing = landing(&cluster(), constraints).unwrap_or_default();
        landing.platforms.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn taints_and_cordons_keep_pods_away_and_what_passes_does_not() {
        assert_eq!(platforms(&NodeConstraints::default()), ["linux/amd64"]);
        for (tolerated, expected) in [
            (toleration("gpu", "Equal", "yes", "NoSchedule"), vec!["linux/amd64", "linux/arm64"]),
            (toleration("gpu", "", "yes", ""), vec!["linux/amd64", "linux/arm64"]),
            (toleration("gpu", "Equal", "no", ""), vec!["linux/amd64"]),
            (toleration("gpu", "Exists", "", "NoExecute"), vec!["linux/amd64"]),
            (toleration("gpu", "Exists", "", ""), vec!["linux/amd64", "linux/arm64"]),
            (toleration(CORDON, "Exists", "", "NoSchedule"), vec!["linux/amd64", "linux/s390x"]),
            (toleration("os", "Near", "yes", ""), vec!["linux/amd64"]),
            (toleration("", "Equal", "yes", ""), vec!["linux/amd64"]),
        ] {
            assert_eq!(platforms(&tolerating(tolerated.clone())), expected, "{tolerated:?}");
        }
        let all = platforms(&tolerating(toleration("", "Exists", "", "")));
        assert_eq!(all, ["linux/amd64", "linux/arm64", "linux/s390x", "windows(10.0.20348)/amd64"]);
    }

    #[test]
    fn terms_are_alternatives_and_all_of_a_term_must_hold() {
        for (terms, expected) in [
            (
                vec![vec![requirement("pool", "In", &["gpu", "away"])]],
                vec!["linux/arm64", "linux/s390x"],
            ),
            (
                vec![vec![
                    requirement("pool", "In", &["gpu", "away"]),
                    requirement("kubernetes.io/arch", "NotIn", &["s390x"]),
                ]],
                vec!["linux/arm64"],
            ),
            (
                vec![
                    vec![requirement("pool", "In", &["gpu"])],
                    vec![requirement("pool", "In", &["ill"])],
                ],
                vec!["linux/amd64", "linux/arm64"],
            ),
            (
                vec![vec![requirement(WINDOWS_BUILD, "Exists", &[])]],
                vec!["windows(10.0.20348)/amd64"],
            ),
            (
                vec![vec![
                    requirement(WINDOWS_BUILD, "DoesNotExist", &[]),
                    requirement("cores", "Gt", &["7"]),
                    requirement("cores", "Lt", &["9"]),
                    requirement("pool", "In", &["ill"]),
                ]],
                vec!["linux/amd64"],
            ),
            (vec![vec![requirement("cores", "Gt", &["8"])]], vec![]),
            (vec![vec![requirement("cores", "Gt", &["x"])]], vec![]),
            (vec![vec![requirement("cores", "Like", &["8"])]], vec![]),
        ] {
            assert_eq!(platforms(&affine(terms.clone())), expected, "{terms:?}");
        }
        let field = |name: &str| {
            let named = requirement("metadata.name", "In", &[name]);
            affine(vec![vec![NodeRequirement { is_field: true, ..named }]])
        };
        assert_eq!(platforms(&field("gpu")), ["linux/arm64"]);
        assert!(platforms(&field("nobody")).is_empty());
    }

    #[test]
    fn a_node_that_is_named_counts_alone_whatever_its_taints() {
        let named = |name: &str| NodeConstraints {
            node_name: Some(name.into()),
            node_selector: BTreeMap::from([("no".into(), "such".into())]),
            ..NodeConstraints::default()
        };
        assert_eq!(platforms(&named("away")), ["linux/s390x"]);
        assert_eq!(landing(&cluster(), &named("nobody")), None);
    }

    #[test]
    fn a_selector_and_the_system_of_the_pod_narrow_the_nodes() {
        let mut constraints = affine(Vec::new());
        constraints.node_selector.insert("kubernetes.io/arch".into(), "amd64".into());
        assert_eq!(platforms(&constraints), ["linux/amd64", "windows(10.0.20348)/amd64"]);
        constraints.os_name = Some("linux".into());
        assert_eq!(platforms(&constraints), ["linux/amd64"]);
    }

    #[test]
    fn the_runtimes_are_those_of_the_nodes_that_fit() {
        use Runtime::{ContainerdLocal, ContainerdTransfer, Crio};
        for (version, expected) in [
            ("containerd://1.7.27", vec![ContainerdLocal]),
            ("containerd://2.0.5-k3s1", vec![ContainerdLocal]),
            ("containerd://2.1.0-rc.1", vec![ContainerdLocal, ContainerdTransfer]),
            ("containerd://3.0", vec![ContainerdLocal, ContainerdTransfer]),
            ("containerd://built-by-hand", vec![ContainerdLocal, ContainerdTransfer]),
            ("cri-o://1.34.1", vec![Crio]),
            ("docker://27", vec![]),
            ("", vec![]),
        ] {
            let mut one = node("a", "linux/amd64");
            one.runtime = version.into();
            let found = landing(&[one], &NodeConstraints::default()).unwrap();
            assert_eq!(found.runtimes, expected, "{version}");
        }
        let mut other = node("b", "linux/amd64");
        other.runtime = "cri-o://1.34".into();
        let found = landing(&[node("a", "linux/amd64"), other], &NodeConstraints::default());
        let found = found.unwrap();
        assert_eq!(found.runtimes, [ContainerdLocal, Crio]);
        assert_eq!(found.platforms.values().next().unwrap(), "node a and 1 more");
    }

    #[test]
    fn an_image_is_held_only_by_a_node_the_pod_may_land_on() {
        let mut nodes = cluster();
        nodes[0].images.insert("docker.io/library/nginx:1.27".into());
        nodes[1].images.insert("ghcr.io/acme/web:1".into());
        let holds = |text: &str, constraints: &NodeConstraints| {
            holds_image(&nodes, constraints, &Reference::parse(text).unwrap())
        };
        let anywhere = NodeConstraints::default();
        assert!(holds("nginx:1.27", &anywhere) && !holds("nginx", &anywhere));
        assert!(!holds("ghcr.io/acme/web:1", &anywhere));
        assert!(holds("ghcr.io/acme/web:1", &affine(Vec::new())));
    }
}
