//! Trouble of the node, pull secrets, and what is no failure of a pull at all.

use pullproof::diagnosis::Cause;
use pullproof::diagnosis::kubelet::{Text, read};

use super::{check, first, spelt};

#[test]
fn trouble_of_the_node() {
    check(&[
        ("Container image \"{X}\" is not present with pull policy of Never", "never-pulled"),
        (
            "container \"web\" in pod \"web-1\" is waiting to start: ErrImageNeverPull",
            "never-pulled",
        ),
        ("pull QPS exceeded", "pull-throttled"),
        (
            "Failed to pull image \"{X}\": rpc error: code = Unknown desc = SignatureValidationFailed: Source image rejected: None of the signatures were accepted, reasons: Required email \"a@acme.example\" not found (got \"b@acme.example\")",
            "signature-rejected",
        ),
        (
            "image pull failed for {X} because the signature validation failed: Source image rejected: A signature was required, but no signature exists",
            "signature-rejected",
        ),
        (
            "image verifier cosign blocked pull of {X} with digest sha256:0123 for reason: no signature",
            "signature-rejected",
        ),
        (
            "Source image rejected: Running image docker://{X} is rejected by policy.",
            "signature-rejected",
        ),
        (
            "failed to pull and unpack image \"{X}\": failed to extract layer sha256:0123: write /var/lib/containerd/x: no space left on device: unknown",
            "node-disk-full",
        ),
        (
            "failed to register layer: Error processing tar file(exit status 1): write /usr/lib/x.so: no space left on device",
            "node-disk-full",
        ),
        (
            "Failed to pull image \"{X}\": rpc error: code = Canceled desc = failed to pull and unpack image \"{X}\": context canceled",
            "pull-interrupted",
        ),
        (
            "Failed to pull image \"{X}\": rpc error: code = Unknown desc = context deadline exceeded",
            "pull-interrupted",
        ),
        ("cancel pulling image {X} because of no progress in 5m0s", "pull-interrupted"),
        (
            "Failed to pull image \"{X}\": rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial unix /run/containerd/containerd.sock: connect: connection refused\"",
            "node-runtime",
        ),
        (
            "Failed to pull image \"{X}\": Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            "node-runtime",
        ),
        (
            "Failed getting credential from external registry credential provider: error execing credential provider plugin acme-provider for image {X}: exit status 1",
            "credential-provider-failed",
        ),
        (
            "plugin binary executable /opt/bin/acme-provider did not exist",
            "credential-provider-failed",
        ),
        (
            "Failed to record image pull intent for container image \"{X}\": open /var/lib/kubelet/image_manager/pulling/x: permission denied",
            "node-runtime",
        ),
    ]);
}

#[test]
fn sandbox_images() {
    check(&[
        (
            "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox image \"registry.k8s.io/pause:3.9\": failed to pull image \"registry.k8s.io/pause:3.9\": failed to pull and unpack image \"registry.k8s.io/pause:3.9\": failed to resolve reference \"registry.k8s.io/pause:3.9\": failed to do request: Head \"https://registry.k8s.io/v2/pause/manifests/3.9\": dial tcp 203.0.113.7:443: i/o timeout",
            "sandbox-image-failed",
        ),
        (
            "Failed create pod sandbox: rpc error: code = Unknown desc = failed pulling image \"k8s.gcr.io/pause:3.1\": Error response from daemon: Get https://k8s.gcr.io/v2/: x509: certificate signed by unknown authority",
            "sandbox-image-failed",
        ),
        (
            "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to inspect sandbox image \"registry.k8s.io/pause:3.9\": no such image",
            "sandbox-image-failed",
        ),
        (
            "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \"0123\": plugin type=\"calico\" failed (add): connection is unauthorized: Unauthorized",
            "",
        ),
        (
            "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to reserve sandbox name \"web-1_shop_0123_0\": name is reserved",
            "",
        ),
        (
            "Failed to create pod sandbox: rpc error: code = DeadlineExceeded desc = context deadline exceeded",
            "",
        ),
    ]);
    let inner = read(&Text {
        message: "failed pulling image \"k8s.gcr.io/pause:3.1\": Get https://k8s.gcr.io/v2/: net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
        event_reason: Some("FailedCreatePodSandBox"),
        waiting_reason: None,
    });
    assert_eq!(inner.causes, [Cause::SandboxImageFailed, Cause::Timeout]);
}

#[test]
fn pull_secrets() {
    check(&[
        (
            "Unable to retrieve some image pull secrets (ghcr-pull); attempting to pull the image may not succeed.",
            "secret-missing",
        ),
        (
            "Unable to retrieve pull secret shop/ghcr-pull for shop/web-1 due to secrets \"ghcr-pull\" not found.  The image pull may not succeed.",
            "secret-missing",
        ),
        ("illegal base64 data at input byte 0", "secret-invalid"),
        (
            "unable to parse auth field, must be formatted as base64(username:password)",
            "secret-invalid",
        ),
        (
            "Unable to retrieve some image pull secrets (ghcr-pull); attempting to pull the image may not succeed.\nFailed to pull image \"{X}\": failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://registry.acme.example/token: 401 Unauthorized",
            "secret-missing",
        ),
        (
            "Unable to retrieve some image pull secrets (ghcr-pull); attempting to pull the image may not succeed.\nFailed to pull image \"{X}\": failed to resolve reference \"{X}\": {X}: not found",
            "tag-not-found",
        ),
    ]);
}

#[test]
fn a_pull_that_failed_and_nobody_says_why() {
    check(&[
        ("Back-off pulling image \"{X}\"", "unknown"),
        ("Error: ErrImagePull", "unknown"),
        ("Error: ImagePullBackOff", "unknown"),
        (
            "container \"web\" in pod \"web-1\" is waiting to start: trying and failing to pull image",
            "unknown",
        ),
        (
            "container \"web\" in pod \"web-1\" is waiting to start: image can't be pulled",
            "unknown",
        ),
        ("Failed to pull image \"{X}\": the moon stands in the wrong house", "unknown"),
    ]);
}

#[test]
fn what_is_no_failure_of_a_pull() {
    check(&[
        ("Back-off restarting failed container", ""),
        ("Back-off restarting failed container web in pod web-1_shop(0123)", ""),
        ("Pulling image \"{X}\"", ""),
        ("Pulling image \"nginx\"", ""),
        (
            "Successfully pulled image \"{X}\" in 1.2s (3.4s including waiting). Image size: 1234567 bytes.",
            "",
        ),
        ("Container image \"{X}\" already present on machine", ""),
        ("Container image \"{X}\" already present on machine and can be accessed by the pod", ""),
        ("Error: secret \"db\" not found", ""),
        ("Error: configmap \"settings\" not found", ""),
        ("Error: couldn't find key password in Secret shop/db", ""),
        ("MountVolume.SetUp failed for volume \"tls\" : secret \"tls\" not found", ""),
        (
            "MountVolume.SetUp failed for volume \"data\" : rpc error: code = DeadlineExceeded desc = context deadline exceeded",
            "",
        ),
        (
            "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[data]: timed out waiting for the condition",
            "",
        ),
        (
            "Liveness probe failed: Get \"http://10.0.0.5:8080/healthz\": dial tcp 10.0.0.5:8080: connect: connection refused",
            "",
        ),
        ("Readiness probe failed: HTTP probe failed with statuscode: 503", ""),
        (
            "Error: failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"start\": executable file not found in $PATH: unknown",
            "",
        ),
        (
            "Error: failed to generate container \"0123\" spec: failed to generate spec: no command specified",
            "",
        ),
        ("0/3 nodes are available: 3 Insufficient cpu.", ""),
        ("Successfully assigned shop/web-1 to node-1", ""),
        ("The node was low on resource: memory.", ""),
        ("Pod sandbox changed, it will be killed and re-created.", ""),
        (
            "network is not ready: container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:cni plugin not initialized",
            "",
        ),
        (
            "Internal error occurred: failed calling webhook \"check.acme.example\": Post \"https://check.acme.svc:443/validate?timeout=10s\": dial tcp 10.0.0.7:443: connect: connection refused",
            "",
        ),
        ("pods \"web-1\" is forbidden: exceeded quota: small, requested: pods=1", ""),
        ("Started container web", ""),
        (
            "Get \"https://10.0.0.1:6443/api/v1/namespaces/shop\": dial tcp 10.0.0.1:6443: connect: connection refused",
            "",
        ),
        ("Unable to connect to the server: x509: certificate signed by unknown authority", ""),
        ("", ""),
        ("a text about something else", ""),
    ]);
}

#[test]
fn reasons_speak_where_texts_do_not() {
    for (waiting, event, message, cause) in [
        (Some("ErrImageNeverPull"), None, "", "never-pulled"),
        (Some("InvalidImageName"), None, "", "invalid-reference"),
        (Some("RegistryUnavailable"), None, "", "connection-refused"),
        (Some("SignatureValidationFailed"), None, "", "signature-rejected"),
        (Some("ImageInspectError"), None, "", "node-runtime"),
        (Some("ImagePullBackOff"), None, "", "unknown"),
        (None, Some("FailedPullImage"), "", "unknown"),
        (Some("ErrImagePull"), None, "connect: connection refused", "connection-refused"),
        (
            Some("CreateContainerError"),
            None,
            "parent snapshot sha256:01 does not exist: not found",
            "",
        ),
        (Some("CrashLoopBackOff"), Some("BackOff"), "connection refused", ""),
        (None, Some("FailedMount"), "dial tcp 10.0.0.7:2049: i/o timeout", ""),
        (None, Some("Unhealthy"), "403 Forbidden", ""),
        (None, Some("FailedToRetrieveImagePullSecret"), "", "secret-missing"),
    ] {
        let reading = read(&Text { message, waiting_reason: waiting, event_reason: event });
        let got = reading.cause().map_or("", |cause| cause.id());
        assert_eq!(got, cause, "{waiting:?} {event:?} {message}");
    }
}

#[test]
fn the_name_of_an_image_says_nothing() {
    for name in [
        "unauthorized",
        "team/toomanyrequests:429",
        "acme.example/no/such/host:x509",
        "proxyconnect:v1",
    ] {
        let text = format!(
            "Failed to pull image \"{name}\": failed to pull and unpack image \"{name}\": the moon is wrong"
        );
        assert_eq!(first(&text), "unknown", "{name}");
    }
    assert_eq!(first(&spelt("Back-off pulling image \"{X}\"")), "unknown");
}
