//! What is no failed pull although it looks like one: volumes, probes, sandboxes without an image,
//! starts, schedulers, webhooks, and the events of success. A text that says that a pull failed is
//! never turned away by words, since people paste several events at once. Reasons are those of
//! kubelet `pkg/kubelet/events` and `pkg/kubelet/images`.

use super::Text;
use super::rows::first_match;
use super::text::Part;
use super::{content, node};
use crate::diagnosis::Cause;

/// Reasons of a waiting container or an event that speak of an image, with what they mean alone.
const IMAGE_REASONS: &[(&str, Cause)] = &[
    ("ErrImagePull", Cause::Unknown),
    ("ImagePullBackOff", Cause::Unknown),
    ("FailedPullImage", Cause::Unknown),
    ("ImageVolumeMountFailed", Cause::Unknown),
    ("ImageInspectError", Cause::NodeRuntime),
    ("ErrImageNeverPull", Cause::NeverPulled),
    ("InvalidImageName", Cause::InvalidReference),
    ("RegistryUnavailable", Cause::ConnectionRefused),
    ("SignatureValidationFailed", Cause::SignatureRejected),
    ("ErrImageNotEnsured", Cause::Unauthorized),
    ("FailedToRetrieveImagePullSecret", Cause::SecretMissing),
];

/// Reasons that never speak of a failed pull.
const OTHER_REASONS: &[&str] = &[
    "ContainerStatusUnknown",
    "CrashLoopBackOff",
    "Created",
    "CreateContainerConfigError",
    "CreateContainerError",
    "CreatePodSandboxError",
    "Completed",
    "Evicted",
    "FailedAttachVolume",
    "FailedKillPod",
    "FailedMapVolume",
    "FailedMount",
    "FailedPostStartHook",
    "FailedPreStopHook",
    "FailedScheduling",
    "Killing",
    "NetworkNotReady",
    "NodeNotReady",
    "OOMKilled",
    "PostStartHookError",
    "PreCreateHookError",
    "PreStartHookError",
    "ProbeWarning",
    "Pulled",
    "Pulling",
    "RunContainerError",
    "SandboxChanged",
    "Scheduled",
    "StartError",
    "Started",
    "Unhealthy",
];

/// Words of others. `*` stands for any text.
const OTHER_WORDS: &[&str] = &[
    "back-off restarting",
    "probe failed",
    "probe errored",
    "probe warning",
    "mountvolume",
    "attachvolume",
    "mapvolume",
    "unable to attach or mount volumes",
    "unmounted volumes",
    "failed to sync configmap cache",
    "failed to sync secret cache",
    "couldn't find key",
    "references non-existent secret key",
    "configmap \"",
    "configmaps \"",
    "networkplugin",
    "network plugin",
    "networkpluginnotready",
    "network is not ready",
    "cni plugin",
    "cni config",
    "plugin type=",
    "set up sandbox container network",
    "setup network for sandbox",
    "destroy network for sandbox",
    "reserve sandbox name",
    "start sandbox container",
    "pod sandbox changed",
    "oci runtime",
    "runc create failed",
    "runc run failed",
    "create containerd task",
    "create shim task",
    "container process",
    "container init caused",
    "start container \"",
    "no command specified",
    "posthook",
    "poststarthook",
    "prestophook",
    "lifecycle hook",
    "low on resource",
    "nodes are available",
    "oomkilled",
    "out of memory",
    "unable to connect to the server",
    "error dialing backend",
    "updating node status",
    "provision volume",
    "failed to update lease",
    "failed calling webhook",
    "admission webhook",
    "pods \"*is forbidden",
    "exceeded quota:",
    "failed to create secret",
    "already present on machine",
    "successfully pulled image",
    "successfully assigned",
    "exceeded its progress deadline",
    "failed to garbage collect",
    "free disk space failed",
    "imagegcfailed",
    "kill pod",
    "readiness gate",
    "job was active longer",
];

/// What a reason means when nothing else is said; `None` when it does not speak of an image.
pub(super) fn of_image_trouble(reason: &str) -> Option<Cause> {
    IMAGE_REASONS.iter().find(|(known, _)| *known == reason).map(|(_, cause)| *cause)
}

/// Whether a reason belongs to other troubles, or to none.
pub(super) fn is_of_others(reason: &str) -> bool {
    OTHER_REASONS.contains(&reason)
}

/// Whether the text is no failure of a pull.
pub(super) fn is(whole: &Part, said: &Text) -> bool {
    let of_others = |reason: Option<&str>| reason.is_some_and(is_of_others);
    let of_images = |reason: Option<&str>| reason.and_then(of_image_trouble).is_some();
    if first_match(&[node::WRONG_BINARY], whole).is_some() {
        return false;
    }
    if of_others(said.event_reason) || of_others(said.waiting_reason) {
        return true;
    }
    if of_images(said.event_reason) || of_images(said.waiting_reason) {
        return false;
    }
    if first_match(&[node::PULL_FAILED, node::SECRET_MISSING, content::REFERENCE], whole).is_some()
    {
        return false;
    }
    let of_a_secret = || {
        let named = whole.has("secret \"*not found") || whole.has("secrets \"*not found");
        named && !whole.has("pull")
    };
    let sandbox = || node::is_sandbox(whole, said) && !node::is_sandbox_image(whole, said);
    OTHER_WORDS.iter().any(|words| whole.has(words))
        || of_a_secret()
        || sandbox()
        || whole.words().trim() == "error: context deadline exceeded"
        || whole.has_api_url()
        || is_start_of_a_pull(whole)
}

/// `Pulling image "X"`, the event of a pull that begins.
fn is_start_of_a_pull(whole: &Part) -> bool {
    let image = whole.words().trim().strip_prefix("pulling image \"");
    image.and_then(|it| it.strip_suffix('"')).is_some_and(|it| !it.contains(char::is_whitespace))
}
