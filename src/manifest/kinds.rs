//! The catalogue of kinds whose image fields are known: one row a kind.
//!
//! A kind counts by API group, whatever its version. Kinds that are not here are walked generically
//! by [`walk`](super::walk).

/// Where one kind names its images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// API group; empty for the core group.
    pub group: &'static str,
    pub kind: &'static str,
    pub field: Field,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// A Pod spec.
    PodSpec(&'static str),
}

const fn row(group: &'static str, kind: &'static str, path: &'static str) -> Row {
    Row { group, kind, field: Field::PodSpec(path) }
}

const TEMPLATE: &str = "spec.template.spec";

/// Built-in kinds of Kubernetes (with the groups they had once) and OpenShift.
pub const BUILT_IN: &[Row] = &[
    row("", "Pod", "spec"),
    row("apps", "Deployment", TEMPLATE),
    row("apps", "StatefulSet", TEMPLATE),
    row("apps", "DaemonSet", TEMPLATE),
    row("apps", "ReplicaSet", TEMPLATE),
    row("batch", "Job", TEMPLATE),
    row("batch", "CronJob", "spec.jobTemplate.spec.template.spec"),
    row("", "ReplicationController", TEMPLATE),
    row("", "PodTemplate", "template.spec"),
    row("extensions", "Deployment", TEMPLATE),
    row("extensions", "DaemonSet", TEMPLATE),
    row("extensions", "ReplicaSet", TEMPLATE),
    row("extensions", "Job", TEMPLATE),
    row("apps.openshift.io", "DeploymentConfig", TEMPLATE),
    row("", "DeploymentConfig", TEMPLATE),
];

/// The rows for a kind; none when the catalogue does not know it.
pub fn find(api_version: &str, kind: &str) -> impl Iterator<Item = &'static Row> {
    let group = group(api_version);
    BUILT_IN.iter().filter(move |row| row.kind == kind && row.group == group)
}

/// The group of an `apiVersion`: empty for `v1`.
pub fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_counts_by_group_in_any_version() {
        assert_eq!(find("apps/v1beta2", "Deployment").count(), 1);
        assert_eq!(find("v1", "Pod").count(), 1);
        assert_eq!(find("example.com/v1", "Deployment").count(), 0);
        assert_eq!(find("v1", "Deployment").count(), 0);
    }

    #[test]
    fn no_row_is_written_twice() {
        for (i, row) in BUILT_IN.iter().enumerate() {
            assert!(!BUILT_IN[..i].contains(row), "{row:?}");
        }
    }
}
