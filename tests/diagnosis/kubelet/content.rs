//! Images that have nothing for the node, are none, are damaged, or have a name nobody can read.

use super::check;

#[test]
fn nothing_for_the_platform() {
    check(&[
        (
            "rpc error: code = NotFound desc = failed to pull and unpack image \"{X}\": no match for platform in manifest: not found",
            "platform-missing",
        ),
        (
            "failed to pull and unpack image \"{X}\": get image config descriptor: no match for platform in manifest sha256:0123456789abcdef: not found",
            "platform-missing",
        ),
        (
            "no matching manifest for linux/arm64/v8 in the manifest list entries",
            "platform-missing",
        ),
        (
            "no matching manifest for windows/amd64 10.0.20348 in the manifest list entries: no match for platform in manifest: not found",
            "platform-missing",
        ),
        (
            "copying system image from manifest list: choosing image instance: no image found in image index for architecture \"arm64\", variant \"v8\", OS \"linux\"",
            "platform-missing",
        ),
        (
            "Error choosing image instance: no image found in manifest list for architecture s390x, variant , OS linux",
            "platform-missing",
        ),
        ("image operating system \"windows\" cannot be used on this platform", "platform-missing"),
        ("exec /usr/local/bin/start: exec format error", "platform-wrong"),
        (
            "OCI runtime create failed: runc create failed: unable to start container process: exec /start: exec format error",
            "platform-wrong",
        ),
    ]);
}

#[test]
fn no_image_for_a_container() {
    check(&[
        (
            "failed to pull and unpack image \"{X}\": media type \"application/vnd.docker.distribution.manifest.v1+prettyjws\" is no longer supported since containerd v2.1, please rebuild the image as \"application/vnd.docker.distribution.manifest.v2+json\" or \"application/vnd.oci.image.manifest.v1+json\"",
            "unsupported-manifest",
        ),
        (
            "rpc error: code = InvalidArgument desc = failed to pull and unpack image \"{X}\": schema 1 image manifests are no longer supported: invalid argument",
            "unsupported-manifest",
        ),
        (
            "failed to pull and unpack image \"{X}\": number of layers and diffIDs don't match: 1 != 2",
            "unsupported-manifest",
        ),
        (
            "failed to pull and unpack image \"{X}\": failed to extract layer sha256:0123: failed to get stream processor for application/vnd.oci.image.layer.v1.tar+encrypted: exec: \"ctd-decoder\": executable file not found in $PATH: unknown",
            "unsupported-manifest",
        ),
        (
            "failed to pull and unpack image \"{X}\": failed to copy: rejecting 5000000 byte manifest for {X}: not found",
            "unsupported-manifest",
        ),
        (
            "unsupported manifest media type and no default available: application/vnd.docker.plugin.v1+json",
            "unsupported-manifest",
        ),
        (
            "failed to pull and unpack image \"{X}\": failed to resolve image: unexpected media type text/html for sha256:0123: not found",
            "bad-answer",
        ),
        (
            "failed to pull and unpack image \"{X}\": failed to copy: httpReadSeeker: failed open: could not fetch content descriptor sha256:0123 () from remote: not found",
            "bad-answer",
        ),
        (
            "failed to unpack image on snapshotter overlayfs: mismatched image rootfs and manifest layers",
            "unsupported-manifest",
        ),
        (
            "manifest unknown: OCI index found, but Accept header does not support OCI indexes",
            "unsupported-manifest",
        ),
    ]);
}

#[test]
fn damaged_images() {
    check(&[
        (
            "failed to pull and unpack image \"{X}\": failed commit on ref \"layer-sha256:0123\": unexpected commit size 5, expected 7: failed precondition",
            "corrupt-image",
        ),
        (
            "failed to pull and unpack image \"{X}\": failed commit on ref \"layer-sha256:0123\": unexpected commit digest sha256:0123, expected sha256:4567: failed precondition",
            "corrupt-image",
        ),
        (
            "failed to pull and unpack image \"{X}\": failed commit on ref \"manifest-sha256:0123\": \"manifest-sha256:0123\" failed size validation: 529 != 1361: failed precondition",
            "corrupt-image",
        ),
        (
            "failed to pull and unpack image \"{X}\": failed to copy: short read: expected 4096 bytes but got 1024: unexpected EOF",
            "corrupt-image",
        ),
        (
            "failed to pull and unpack image \"{X}\": failed to extract layer (application/vnd.oci.image.layer.v1.tar+gzip sha256:0123) to overlayfs as \"extract-1-x sha256:0123\": wrong diff id \"sha256:0123\" calculated on extraction \"sha256:4567\", desc \"sha256:89ab\"",
            "corrupt-image",
        ),
        (
            "failed to pull and unpack image \"{X}\": failed to extract layer sha256:0123: gzip: invalid header: unknown",
            "corrupt-image",
        ),
        (
            "rpc error: code = NotFound desc = failed to pull and unpack image \"{X}\": get image config descriptor: content digest sha256:0123: not found",
            "corrupt-image",
        ),
        (
            "failed to pull and unpack image \"{X}\": failed to copy: httpReadSeeker: failed open: content at https://registry.acme.example/v2/team/web/blobs/sha256:0123 not found: not found",
            "corrupt-image",
        ),
        (
            "reading blob sha256:0123: Digest did not match, expected sha256:0123, got sha256:4567",
            "corrupt-image",
        ),
        (
            "parsing image configuration: digest mismatch, expected \"sha256:0123\", got \"sha256:4567\"",
            "corrupt-image",
        ),
        ("filesystem layer verification failed for digest sha256:0123", "corrupt-image"),
        (
            "hcsshim::ImportLayer failed in Win32: The system cannot find the path specified. (0x3)",
            "corrupt-image",
        ),
        ("error pulling image configuration: unknown blob", "corrupt-image"),
    ]);
}

#[test]
fn names_nobody_can_read() {
    check(&[
        (
            "Failed to apply default image tag \"Acme/Web:1\": couldn't parse image reference \"Acme/Web:1\": invalid reference format: repository name must be lowercase",
            "invalid-reference",
        ),
        (
            "Failed to apply default image tag \"https://acme/web\": couldn't parse image name \"https://acme/web\": invalid reference format",
            "invalid-reference",
        ),
        (
            "failed to parse image reference \"web@sha256:12\": invalid checksum digest length",
            "invalid-reference",
        ),
        ("Error response from daemon: invalid reference format", "invalid-reference"),
        (
            "Failed to inspect image \"\": rpc error: code = Unknown desc = short name mode is enforcing, but image name team/web:1 returns ambiguous list",
            "invalid-reference",
        ),
        (
            "Failed to inspect image \"web:1\": rpc error: code = Unknown desc = short-name \"web:1\" did not resolve to an alias and no unqualified-search registries are defined in \"/etc/containers/registries.conf\"",
            "invalid-reference",
        ),
        ("unknown: bad request: invalid repository name: web", "invalid-reference"),
        (
            "Failed to inspect image \"{X}\": rpc error: code = Unknown desc = layer not known",
            "node-runtime",
        ),
        (
            "container \"web\" in pod \"web-1\" is waiting to start: InvalidImageName",
            "invalid-reference",
        ),
    ]);
}
