//! `imagePullPolicy` and the API server's default for it.

/// When a kubelet pulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}
