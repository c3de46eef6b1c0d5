//! Rows of what happens on the node, before a registry is asked or after it has answered well: the
//! kubelet (`pkg/kubelet/images`, `pkg/kubelet/kuberuntime`, `pkg/credentialprovider`), signature
//! policies (containers/image `signature`, containerd's image verifiers), disk, runtime, and pulls
//! that were cut off.

use super::Text;
use super::rows::Mark::{Ends, Words};
use super::rows::{Row, first_match, row};
use super::text::Part;
use crate::diagnosis::Cause::*;

/// An image of one other platform was pulled, and its first process did not start.
pub(super) const WRONG_BINARY: &[Row] = &[row(
    &[PlatformWrong],
    &[
        Words("exec format error"),
        Words("container operating system does not match the host operating system"),
    ],
)];

/// Texts that nothing else in them can overrule.
pub(super) const BEFORE_ALL: &[Row] = &[
    row(&[PlatformWrong], WRONG_BINARY[0].marks),
    row(
        &[CredentialProviderFailed],
        &[
            Words("credential provider"),
            Words("credential-provider"),
            Words("credentials from plugin"),
            Words("register cri auth plugins"),
            Words("plugin binary executable*did not exist"),
            Words("error getting credentials"),
        ],
    ),
    row(
        &[NeverPulled],
        &[Words("not present with pull policy of never"), Words("errimageneverpull")],
    ),
    row(
        &[Unauthorized, CredentialsMissing],
        &[Words("is present with pull policy*proper auth"), Words("errimagenotensured")],
    ),
    row(&[PullThrottled], &[Words("pull qps exceeded")]),
    row(
        &[SignatureRejected],
        &[
            Words("signaturevalidationfailed"),
            Words("signature validation failed"),
            Words("source image rejected"),
            Words("signature was required"),
            Words("signatures were accepted"),
            Words("rejected by policy"),
            Words("required email*not found"),
            Words("image verifier*blocked pull"),
            Words("no matching signatures"),
            Words("remote trust data does not exist"),
            Words("no trust data"),
            Words("invalid gpg signature"),
            Words("cryptographic signature verification failed"),
            Words("signature verification failed"),
            Words("signature by key * is not accepted"),
            Words("signature for identity * is not accepted"),
        ],
    ),
];

/// A pull secret that the Pod names is not there. A warning, unless the pull then fails.
pub(super) const SECRET_MISSING: &[Row] = &[row(
    &[SecretMissing],
    &[
        Words("unable to retrieve some image pull secrets"),
        Words("unable to retrieve pull secret"),
        Words("failedtoretrieveimagepullsecret"),
        Words("pull secret*not found"),
        Words("imagepullsecret*not found"),
    ],
)];

/// A pull secret that cannot be decoded: the kubelet shows the decoder's own words.
pub(super) const SECRET_INVALID: &[Row] = &[row(
    &[SecretInvalid],
    &[
        Words("illegal base64 data"),
        Words("unable to parse auth field"),
        Words("must be formatted as base64(username:password)"),
        Words("expected username and password concatenated with a colon"),
        Words("dockerconfigjson*invalid"),
        Words("invalid*dockerconfigjson"),
        Words("dockerconfigjson*required value"),
        Words("reading*dockerconfigjson"),
        Words("dockercfg*invalid"),
        Words("cannot unmarshal*dockerconfig"),
    ],
)];

/// Words of a decoder, which mean a pull secret only where they stand in place of a reason.
pub(super) const DECODER: &[Row] = &[row(
    &[SecretInvalid],
    &[
        Words("invalid character"),
        Words("unexpected end of json input"),
        Words("cannot unmarshal"),
        Words("illegal base64 data"),
    ],
)];

/// No room on the node.
pub(super) const DISK: &[Row] = &[row(
    &[NodeDiskFull],
    &[
        Words("no space left on device"),
        Words("not enough space on the disk"),
        Words("disk quota exceeded"),
        Words("insufficient disk space"),
        Words("not enough disk space"),
        Words("no free inodes"),
        Words("use of*exceeds minimum free space"),
    ],
)];

/// The pull was cut off, by nobody who says why.
pub(super) const CANCELLED: &[Row] = &[
    row(
        &[PullInterrupted],
        &[
            Words("context canceled"),
            Words("context cancelled"),
            Words("operation was canceled"),
            Words("because of no progress"),
            Words("pull cancelled"),
            Words("pull canceled"),
            Words("code = canceled"),
            Words("received signal"),
            Words("signal: killed"),
            Words("unexpectedly closed"),
        ],
    ),
    // With the address of a request these are timeouts first.
    row(
        &[PullInterrupted, Timeout],
        &[
            Words("context deadline exceeded"),
            Words("request canceled"),
            Words("code = deadlineexceeded"),
        ],
    ),
];

/// The runtime itself is in trouble.
pub(super) const RUNTIME: &[Row] = &[row(
    &[NodeRuntime],
    &[
        Words("dial unix"),
        Words("containerd.sock"),
        Words("dockershim.sock"),
        Words("crio.sock"),
        Words("connect to the docker daemon"),
        Words("is the docker daemon running"),
        Words("unknown service runtime."),
        Words("snapshotter*not found"),
        Words("snapshotter*was not found"),
        Words("unknown snapshotter"),
        Words("read-only file system"),
        Words("input/output error"),
        Words("structure needs cleaning"),
        Words("cannot allocate memory"),
        Words("too many open files"),
        Words("ref*locked"),
        Words("record image pull intent"),
        Words("id or size of image"),
        Words("failed to inspect image"),
        Words("imageinspecterror"),
        Words("layer does not exist"),
        Words("layer not known"),
        Words("image not known"),
        Words("mount through procfd"),
    ],
)];

/// Words of many troubles, which mean the runtime where a pull is known to have failed.
pub(super) const RUNTIME_DURING_A_PULL: &[Row] = &[row(
    &[NodeRuntime],
    &[
        Words("database*corrupt"),
        Words("permission denied"),
        Words("operation not permitted"),
        Words("device or resource busy"),
        Words("driver \"*failed"),
        Words("no such file or directory"),
        Words("code = unavailable"),
    ],
)];

/// A pull failed: enough to say `unknown` where nothing says why.
pub(super) const PULL_FAILED: &[Row] = &[row(
    &[Unknown],
    &[
        Words("errimagepull"),
        Words("imagepullbackoff"),
        Words("errimageneverpull"),
        Words("invalidimagename"),
        Words("back-off pulling image"),
        Words("backoff pulling image"),
        Words("failed to pull"),
        Words("failed pulling"),
        Words("failing to pull"),
        Words("error pulling"),
        Words("unable to pull"),
        Words("cannot pull"),
        Words("could not pull"),
        Words("can't be pulled"),
        Words("image pull failed"),
        Words("image pull err"),
        Words("pull image err"),
        Words("pulling image failed"),
        Words("pulling image error"),
        Words("pulling image:"),
        Words("pullimage*failed"),
        Words("from image service failed"),
        Words("continuing with pull after error"),
        Words("failed to resolve reference"),
        Words("failed to resolve image"),
        Words("unexpected status from"),
        Words("unexpected status code _"),
        Words("initializing source"),
    ],
)];

const SANDBOX: &[&str] = &[
    "create pod sandbox",
    "createpodsandbox",
    "run pod sandbox",
    "sandbox image",
    "pod infra container image",
];

/// A sandbox that was to be made.
pub(super) fn is_sandbox(whole: &Part, said: &Text) -> bool {
    said.event_reason == Some("FailedCreatePodSandBox")
        || SANDBOX.iter().any(|words| whole.has(words))
}

/// A sandbox that was not made since its own image was not pulled.
pub(super) fn is_sandbox_image(whole: &Part, said: &Text) -> bool {
    const OF_AN_IMAGE: &[Row] = &[row(
        &[SandboxImageFailed],
        &[
            Words("sandbox image"),
            Words("pulling image"),
            Words("pull image"),
            Words("pull and unpack image"),
            Words("image pull"),
            Words("infra container image"),
            Words("initializing source"),
            Words("reading manifest"),
            Words("pinging container registry"),
            Words("resolve reference"),
            Words("no such image"),
            Words("pause image"),
            Words("ensure that the image"),
            Ends("image not known"),
        ],
    )];
    is_sandbox(whole, said) && first_match(&[OF_AN_IMAGE], whole).is_some()
}
