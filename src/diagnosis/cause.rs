//! The closed list of causes. Ids are stable, kebab-case, and the same in JSON, metrics, messages
//! and docs. The class decides what a cause seen from a registry may become: `image` and `credential`
//! causes are findings, `environment` causes make an answer inconclusive, `node` causes only come from
//! kubelets, `hygiene` rules stand beside an outcome and never are one.

use std::fmt;
use std::str::FromStr;

/// Which kind of trouble a cause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    Image,
    Credential,
    Environment,
    Node,
    Hygiene,
}

impl Class {
    /// The name used in JSON and docs.
    pub fn id(self) -> &'static str {
        match self {
            Class::Image => "image",
            Class::Credential => "credential",
            Class::Environment => "environment",
            Class::Node => "node",
            Class::Hygiene => "hygiene",
        }
    }
}

/// Whether a node's pull would fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Certainty {
    /// The node may know better (its own login, a mirror that was not asked): never denied.
    Likely,
    Certain,
}

impl Certainty {
    /// The name used in JSON.
    pub fn id(self) -> &'static str {
        match self {
            Certainty::Likely => "likely",
            Certainty::Certain => "certain",
        }
    }
}

/// What `explain` and the docs know of a cause.
struct Entry {
    cause: Cause,
    id: &'static str,
    class: Class,
    means: &'static str,
    cure: &'static [&'static str],
}

/// Why an image does not pull, or what is unwise about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    InvalidReference,
    UnresolvedPlaceholder,
    TagNotFound,
    DigestNotFound,
    RepositoryNotFound,
    AbsentOrPrivate,
    LocalImageNotLoaded,
    PlatformMissing,
    PlatformPartial,
    PlatformWrong,
    UnsupportedManifest,
    CorruptImage,
    BlockedByRegistry,
    CredentialsMissing,
    CredentialsRejected,
    AccessDenied,
    Unauthorized,
    SecretMissing,
    SecretInvalid,
    SecretRegistryMismatch,
    CredentialProviderFailed,
    RateLimited,
    DnsFailure,
    ConnectionRefused,
    Unreachable,
    Timeout,
    TlsUntrusted,
    TlsExpired,
    TlsHandshake,
    SchemeMismatch,
    ProxyFailure,
    RegistryError,
    BadAnswer,
    SignatureRejected,
    NeverPulled,
    PullThrottled,
    PullInterrupted,
    NodeDiskFull,
    NodeRuntime,
    SandboxImageFailed,
    UnparsableManifest,
    Unknown,
    LatestTag,
    Unpinned,
    RegistryNotAllowed,
    TagMoved,
    PullPolicyUnfit,
    CredentialUnused,
}

/// The catalogue, in the order of the variants.
const CATALOGUE: &[Entry] = &[
    Entry {
        cause: Cause::InvalidReference,
        id: "invalid-reference",
        class: Class::Image,
        means: "the text is no image reference, so the kubelet answers InvalidImageName and never asks a registry",
        cure: &[
            "Write it as [registry/]repository[:tag][@digest]: the repository in lower case, no scheme such as https:// or docker://, no blanks.",
        ],
    },
    Entry {
        cause: Cause::UnresolvedPlaceholder,
        id: "unresolved-placeholder",
        class: Class::Hygiene,
        means: "a placeholder such as ${X}, $(params.x) or {{ }} is left where a built-in kind takes its image from",
        cure: &[
            "Render the manifest first (envsubst, kustomize, helm template) and validate the result.",
        ],
    },
    Entry {
        cause: Cause::TagNotFound,
        id: "tag-not-found",
        class: Class::Image,
        means: "the repository is there and readable, the tag is not",
        cure: &[
            "Use a tag that exists, or push this one before the manifest is applied.",
            "A tag may have been removed by a clean-up rule of the registry; pin what you run by digest.",
        ],
    },
    Entry {
        cause: Cause::DigestNotFound,
        id: "digest-not-found",
        class: Class::Image,
        means: "the repository is there and readable, but holds nothing with this digest",
        cure: &[
            "Check that the digest was pushed to this repository and not to another one.",
            "A clean-up of untagged manifests removes images that only a digest names; keep a tag on them.",
        ],
    },
    Entry {
        cause: Cause::RepositoryNotFound,
        id: "repository-not-found",
        class: Class::Image,
        means: "the registry knows no such repository",
        cure: &[
            "Check the spelling of the path, also the organisation or project before the last slash.",
        ],
    },
    Entry {
        cause: Cause::AbsentOrPrivate,
        id: "absent-or-private",
        class: Class::Image,
        means: "the registry refuses and does not say whether the image is absent or private",
        cure: &[
            "Check the spelling.",
            "If it is private, give the Pod a pull secret for this registry.",
        ],
    },
    Entry {
        cause: Cause::LocalImageNotLoaded,
        id: "local-image-not-loaded",
        class: Class::Image,
        means: "the name only exists on a developer's machine (kind, minikube, k3d)",
        cure: &["Load the image into the cluster, or push it to a registry and use its full name."],
    },
    Entry {
        cause: Cause::PlatformMissing,
        id: "platform-missing",
        class: Class::Image,
        means: "the image has nothing for any platform that this Pod may land on",
        cure: &[
            "Build and push the image for the platform of the nodes (docker buildx build --platform).",
            "Or keep the Pod to nodes that the image was built for, with a nodeSelector on kubernetes.io/arch.",
        ],
    },
    Entry {
        cause: Cause::PlatformPartial,
        id: "platform-partial",
        class: Class::Image,
        means: "the image has something for some of the platforms that this Pod may land on, but not for all",
        cure: &[
            "Build the missing platforms, or keep the Pod to the nodes the image was built for.",
        ],
    },
    Entry {
        cause: Cause::PlatformWrong,
        id: "platform-wrong",
        class: Class::Image,
        means: "the image is built for one other platform only: it pulls and then fails with `exec format error`",
        cure: &["Build and push the image for the platform of the nodes."],
    },
    Entry {
        cause: Cause::UnsupportedManifest,
        id: "unsupported-manifest",
        class: Class::Image,
        means: "what the reference names is no image that a node can run (schema 1, an artifact, an encrypted or unknown media type)",
        cure: &[
            "Rebuild and push the image in the OCI or Docker schema 2 format.",
            "A Helm chart or another artifact cannot be the image of a container.",
        ],
    },
    Entry {
        cause: Cause::CorruptImage,
        id: "corrupt-image",
        class: Class::Image,
        means: "the content does not have the digest that names it, or a part of it is missing",
        cure: &[
            "Push the image again; if the registry is a mirror or cache, drop the image there first.",
        ],
    },
    Entry {
        cause: Cause::BlockedByRegistry,
        id: "blocked-by-registry",
        class: Class::Image,
        means: "the registry's own policy refuses the image (scan result, quarantine, quota, address rule)",
        cure: &["Ask who runs the registry why the image is blocked; its text is shown above."],
    },
    Entry {
        cause: Cause::CredentialsMissing,
        id: "credentials-missing",
        class: Class::Credential,
        means: "the registry demands a login from everyone and no credential of the Pod matches",
        cure: &[
            "Create a pull secret for this registry (kubectl create secret docker-registry) and name it in imagePullSecrets or in the ServiceAccount.",
        ],
    },
    Entry {
        cause: Cause::CredentialsRejected,
        id: "credentials-rejected",
        class: Class::Credential,
        means: "a matching credential was refused as wrong or expired; a kubelet has no other try, so this breaks public images too",
        cure: &[
            "Renew the login in the pull secret named above.",
            "If the image is public, remove the entry for this registry from the secret.",
        ],
    },
    Entry {
        cause: Cause::AccessDenied,
        id: "access-denied",
        class: Class::Credential,
        means: "the login is good but has no right to pull this repository",
        cure: &["Give the user the right to pull (read) in the registry, or use another login."],
    },
    Entry {
        cause: Cause::Unauthorized,
        id: "unauthorized",
        class: Class::Credential,
        means: "a login problem; the registry does not say which",
        cure: &["Check the login with the registry's own client, then renew the pull secret."],
    },
    Entry {
        cause: Cause::SecretMissing,
        id: "secret-missing",
        class: Class::Credential,
        means: "a pull secret named by the Pod does not exist in its namespace",
        cure: &[
            "Create the secret in the Pod's namespace, or remove its name from imagePullSecrets.",
        ],
    },
    Entry {
        cause: Cause::SecretInvalid,
        id: "secret-invalid",
        class: Class::Credential,
        means: "a pull secret has the wrong type, key or content; one bad entry stops every image of the Pod",
        cure: &["Create the secret anew with kubectl create secret docker-registry."],
    },
    Entry {
        cause: Cause::SecretRegistryMismatch,
        id: "secret-registry-mismatch",
        class: Class::Credential,
        means: "the pull secret has no entry for the image's registry",
        cure: &[
            "Add an entry for this registry to the secret, or name the secret that has one.",
            "The key must be the host as the image writes it, with its port; a path in the key must be a prefix of the image's path.",
        ],
    },
    Entry {
        cause: Cause::CredentialProviderFailed,
        id: "credential-provider-failed",
        class: Class::Credential,
        means: "the node's credential plugin gave nothing",
        cure: &[
            "Look into the kubelet's log on that node, and at the plugin's configuration and cloud permissions.",
        ],
    },
    Entry {
        cause: Cause::RateLimited,
        id: "rate-limited",
        class: Class::Environment,
        means: "the registry answers 429: this address or login has used up its limit",
        cure: &["Wait until the limit is renewed, log in, or pull through a mirror."],
    },
    Entry {
        cause: Cause::DnsFailure,
        id: "dns-failure",
        class: Class::Environment,
        means: "the name of the registry (or of its token service) was not resolved",
        cure: &[
            "Check the spelling of the host; if it is an internal name, run where it resolves.",
        ],
    },
    Entry {
        cause: Cause::ConnectionRefused,
        id: "connection-refused",
        class: Class::Environment,
        means: "nothing listens at the registry's address",
        cure: &["Check host and port, and whether the registry runs."],
    },
    Entry {
        cause: Cause::Unreachable,
        id: "unreachable",
        class: Class::Environment,
        means: "the registry was not reached, or the connection broke",
        cure: &["Check routes, firewalls and the registry itself."],
    },
    Entry {
        cause: Cause::Timeout,
        id: "timeout",
        class: Class::Environment,
        means: "the registry did not answer in time; a node waits longer, so this proves nothing about it",
        cure: &["Try again; if it stays, look at the registry and the network between."],
    },
    Entry {
        cause: Cause::TlsUntrusted,
        id: "tls-untrusted",
        class: Class::Environment,
        means: "the registry's certificate is signed by an authority that is not trusted here",
        cure: &[
            "Name the authority's certificate as `ca` in registries.toml; the nodes need it too.",
        ],
    },
    Entry {
        cause: Cause::TlsExpired,
        id: "tls-expired",
        class: Class::Environment,
        means: "the registry's certificate is not valid now (dates, or this machine's clock)",
        cure: &["Renew the registry's certificate, or set the clock."],
    },
    Entry {
        cause: Cause::TlsHandshake,
        id: "tls-handshake",
        class: Class::Environment,
        means: "the TLS handshake failed (name, alert or protocol)",
        cure: &["Compare the certificate's names with the host in the image."],
    },
    Entry {
        cause: Cause::SchemeMismatch,
        id: "scheme-mismatch",
        class: Class::Environment,
        means: "https was spoken to a plain http port, or the other way round",
        cure: &[
            "If the registry really speaks plain http, say `plain_http = true` in registries.toml; the nodes need the same setting.",
        ],
    },
    Entry {
        cause: Cause::ProxyFailure,
        id: "proxy-failure",
        class: Class::Environment,
        means: "the HTTP proxy refused or is dead",
        cure: &["Check HTTPS_PROXY and NO_PROXY, and the proxy's rules for this host."],
    },
    Entry {
        cause: Cause::RegistryError,
        id: "registry-error",
        class: Class::Environment,
        means: "the registry answered with an error of its own (5xx)",
        cure: &["Try again later; look at the registry's status page or log."],
    },
    Entry {
        cause: Cause::BadAnswer,
        id: "bad-answer",
        class: Class::Environment,
        means: "something that is no registry answered, or a registry that breaks the protocol",
        cure: &[
            "Open the address shown above by hand: a captive portal, a proxy or a wrong port often answers there.",
        ],
    },
    Entry {
        cause: Cause::SignatureRejected,
        id: "signature-rejected",
        class: Class::Node,
        means: "the node's signature policy refuses the image",
        cure: &["Sign the image as the policy asks, or change the policy."],
    },
    Entry {
        cause: Cause::NeverPulled,
        id: "never-pulled",
        class: Class::Node,
        means: "the Pod says imagePullPolicy Never and the image is not on the node",
        cure: &["Load the image onto the node, or use IfNotPresent."],
    },
    Entry {
        cause: Cause::PullThrottled,
        id: "pull-throttled",
        class: Class::Node,
        means: "the kubelet's own limit of pulls held this one back; it heals by itself",
        cure: &["Wait; raise registryPullQPS if it stays."],
    },
    Entry {
        cause: Cause::PullInterrupted,
        id: "pull-interrupted",
        class: Class::Node,
        means: "the pull was cancelled or cut off on the node",
        cure: &["The kubelet tries again; look at the node if it repeats."],
    },
    Entry {
        cause: Cause::NodeDiskFull,
        id: "node-disk-full",
        class: Class::Node,
        means: "the node has no room for the image",
        cure: &["Free or add disk on the node; check image garbage collection."],
    },
    Entry {
        cause: Cause::NodeRuntime,
        id: "node-runtime",
        class: Class::Node,
        means: "the container runtime of the node is in trouble",
        cure: &["Look into the runtime's log on that node."],
    },
    Entry {
        cause: Cause::SandboxImageFailed,
        id: "sandbox-image-failed",
        class: Class::Node,
        means: "the node could not pull its sandbox (pause) image",
        cure: &[
            "Check the sandbox image setting of the runtime and the node's way to that registry.",
        ],
    },
    Entry {
        cause: Cause::UnparsableManifest,
        id: "unparsable-manifest",
        class: Class::Image,
        means: "a file that should hold manifests does not parse",
        cure: &["Mend the file at the place shown."],
    },
    Entry {
        cause: Cause::Unknown,
        id: "unknown",
        class: Class::Image,
        means: "none of the known causes; the text is shown as it came",
        cure: &["Read the text; tell us if a cause is missing."],
    },
    Entry {
        cause: Cause::LatestTag,
        id: "latest-tag",
        class: Class::Hygiene,
        means: "no tag or `latest`: what runs changes whenever somebody pushes",
        cure: &["Name a version, or pin by digest."],
    },
    Entry {
        cause: Cause::Unpinned,
        id: "unpinned",
        class: Class::Hygiene,
        means: "no digest: the tag may be moved",
        cure: &["Pin the image by digest."],
    },
    Entry {
        cause: Cause::RegistryNotAllowed,
        id: "registry-not-allowed",
        class: Class::Hygiene,
        means: "the registry is not in the policy's list",
        cure: &["Use an image from an allowed registry, or ask for this one to be added."],
    },
    Entry {
        cause: Cause::TagMoved,
        id: "tag-moved",
        class: Class::Hygiene,
        means: "the tag names another digest than the lock file or the running Pods have",
        cure: &["Update the lock on purpose, or pin by digest."],
    },
    Entry {
        cause: Cause::PullPolicyUnfit,
        id: "pull-policy-unfit",
        class: Class::Hygiene,
        means: "the pull policy does not fit: a local name with Always, or a moving tag with IfNotPresent",
        cure: &["Use IfNotPresent with fixed tags and Always with moving ones."],
    },
    Entry {
        cause: Cause::CredentialUnused,
        id: "credential-unused",
        class: Class::Hygiene,
        means: "a pull secret that no image of the Pod needs",
        cure: &["Remove it from imagePullSecrets."],
    },
];

impl Cause {
    /// Every cause, in the order of the catalogue.
    pub fn all() -> impl Iterator<Item = Cause> {
        CATALOGUE.iter().map(|entry| entry.cause)
    }

    fn entry(self) -> &'static Entry {
        &CATALOGUE[self as usize]
    }

    /// The stable id, for example `tag-not-found`.
    pub fn id(self) -> &'static str {
        self.entry().id
    }

    /// Which kind of trouble it is; decides what it may become.
    pub fn class(self) -> Class {
        self.entry().class
    }

    /// Whether another login could make it go away.
    pub fn is_about_login(self) -> bool {
        self.class() == Class::Credential || self == Cause::AbsentOrPrivate
    }

    /// What the cause means, one phrase.
    pub fn means(self) -> &'static str {
        self.entry().means
    }

    /// How to cure it, best first.
    pub fn cure(self) -> &'static [&'static str] {
        self.entry().cure
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl FromStr for Cause {
    type Err = ();

    fn from_str(id: &str) -> Result<Self, ()> {
        CATALOGUE.iter().find(|entry| entry.id == id).map(|entry| entry.cause).ok_or(())
    }
}

/// Why it could not be told: an `environment` cause seen from here, or a reason of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// An `environment` cause.
    Seen(Cause),
    /// The address may not be connected to.
    AddressRefused,
    /// Only a secret could have helped, and the realm may not see it.
    RealmNotTrusted,
    /// A right in the cluster is missing.
    NoPermission,
    OutOfTime,
    BreakerOpen,
    /// Our own token bucket.
    Throttled,
    TooManyImages,
    TooManyRedirects,
    TooLarge,
    /// `ask = false`, `--offline` or pull policy Never.
    NotAsked,
    /// The runtimes in use choose differently from this index.
    RuntimeUnknown,
}

/// What `explain` knows of a reason of our own.
struct Own {
    reason: Reason,
    id: &'static str,
    means: &'static str,
    /// Only the webhook gives it.
    webhook: bool,
}

/// The reasons of our own, in the order in which they are listed.
const OWN: &[Own] = &[
    Own {
        reason: Reason::AddressRefused,
        id: "address-refused",
        means: "the host resolves to an address that is not connected to: link-local, cloud metadata, unspecified or multicast ones never, private ones not with `public_only` in registries.toml, and loopback and the API server from the webhook only where `allow_addresses` names them; check what the name resolves to",
        webhook: false,
    },
    Own {
        reason: Reason::RealmNotTrusted,
        id: "realm-not-trusted",
        means: "the registry sends logins to a token service on another host, which was not given the secret; name it as `token_realms` in registries.toml if it is yours",
        webhook: false,
    },
    Own {
        reason: Reason::NoPermission,
        id: "no-permission",
        means: "a right in the cluster is missing; the message names the rule to add",
        webhook: true,
    },
    Own {
        reason: Reason::OutOfTime,
        id: "out-of-time",
        means: "the time for the whole answer was used up before the registry of this image had answered; ask again",
        webhook: false,
    },
    Own {
        reason: Reason::BreakerOpen,
        id: "breaker-open",
        means: "the registry failed several times in a row and is left alone for a moment; ask again later",
        webhook: false,
    },
    Own {
        reason: Reason::Throttled,
        id: "throttled",
        means: "too many new questions came from this namespace at once",
        webhook: true,
    },
    Own {
        reason: Reason::TooManyImages,
        id: "too-many-images",
        means: "more images than are checked in one review",
        webhook: true,
    },
    Own {
        reason: Reason::TooManyRedirects,
        id: "too-many-redirects",
        means: "the registry redirects more often than is followed",
        webhook: false,
    },
    Own {
        reason: Reason::TooLarge,
        id: "too-large",
        means: "the manifest is larger than a runtime accepts, or an answer larger than is read",
        webhook: false,
    },
    Own {
        reason: Reason::NotAsked,
        id: "not-asked",
        means: "nothing was asked: `--offline`, `ask = false` in registries.toml, a name that only exists on developers' machines, or imagePullPolicy Never",
        webhook: false,
    },
    Own {
        reason: Reason::RuntimeUnknown,
        id: "runtime-unknown",
        means: "container runtimes choose differently from this index, and it is not known which one the nodes use; narrow it with --runtime",
        webhook: false,
    },
];

impl Reason {
    fn own_entry(self) -> Option<&'static Own> {
        OWN.iter().find(|own| own.reason == self)
    }

    /// The stable id.
    pub fn id(self) -> &'static str {
        match self {
            Reason::Seen(cause) => cause.id(),
            own => own.own_entry().map_or("", |own| own.id),
        }
    }

    /// What the reason means and what to do, for `explain`; causes have their own text.
    pub fn means(self) -> &'static str {
        match self {
            Reason::Seen(cause) => cause.means(),
            own => own.own_entry().map_or("", |own| own.means),
        }
    }

    /// Whether only the webhook gives this reason.
    pub fn is_of_webhook(self) -> bool {
        self.own_entry().is_some_and(|own| own.webhook)
    }

    /// The reasons of our own, without the environment causes.
    pub fn own() -> impl Iterator<Item = Reason> {
        OWN.iter().map(|own| own.reason)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalogue_stands_in_the_order_of_the_variants() {
        for (at, entry) in CATALOGUE.iter().enumerate() {
            assert_eq!(entry.cause as usize, at, "{}", entry.id);
            assert_eq!(entry.id.parse(), Ok(entry.cause));
        }
    }

    /// The compiler names this match when a reason is added; the list is to have it, too.
    #[test]
    fn every_reason_of_our_own_is_listed_once_with_an_id_and_a_meaning() {
        let number = |reason: Reason| match reason {
            Reason::Seen(_) => 0,
            Reason::AddressRefused => 1,
            Reason::RealmNotTrusted => 2,
            Reason::NoPermission => 3,
            Reason::OutOfTime => 4,
            Reason::BreakerOpen => 5,
            Reason::Throttled => 6,
            Reason::TooManyImages => 7,
            Reason::TooManyRedirects => 8,
            Reason::TooLarge => 9,
            Reason::NotAsked => 10,
            Reason::RuntimeUnknown => 11,
        };
        assert!(Reason::own().map(number).eq(1..=11));
        assert!(Reason::own().all(|reason| !reason.id().is_empty() && !reason.means().is_empty()));
    }

    #[test]
    fn ids_are_kebab_case_and_have_a_meaning_and_a_cure() {
        for cause in Cause::all() {
            assert!(cause.id().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{cause}");
            assert!(!cause.means().is_empty() && !cause.cure().is_empty(), "{cause}");
        }
    }
}
