//! What a node accepts and prefers: for containerd the matchers of `containerd/platforms`
//! v1.0.0-rc.5 (`compare.go`, `platforms.go`, `platform_windows_compat.go`), for CRI-O the wanted
//! platforms of containers/image (`internal/image` picks, `internal/pkg/platform` lists).

use std::cmp::Reverse;

use super::Platform;

/// Windows Server 2022, the first with a stable container ABI.
const LTSC_2022: u16 = 20348;
/// A feature that never counted when Windows platforms are compared.
const WIN32K: &str = "win32k";
/// Variants above these are no hardware; a label is no reason to build a long list.
const HIGHEST_AMD64: u32 = 9;
const HIGHEST_ARM: u32 = 99;

/// The platforms a containerd node accepts, best first.
pub(super) struct Preference {
    /// In normal form, all of one operating system, version and feature set.
    accepted: Vec<(String, String)>,
    os: String,
    features: Vec<String>,
    /// `None` on other systems, where versions are not compared.
    windows: Option<Version>,
}

/// How well a platform suits; the least is taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    position: usize,
    /// Windows takes the highest version by string order.
    version: Reverse<String>,
}

impl Preference {
    /// The node and what its processor is taken to run as well. Windows has no such fallbacks.
    pub(super) fn with_fallbacks(node: &Platform) -> Preference {
        let mut preference = Preference::exact(node);
        if preference.windows.is_none() {
            let node = node.normalize();
            preference.accepted = fallbacks(&node.architecture, &node.variant);
        }
        preference
    }

    /// The node's own platform alone.
    pub(super) fn exact(node: &Platform) -> Preference {
        let node = node.normalize();
        let windows = (node.os == "windows").then(|| Version::parse(&node.os_version));
        Preference {
            accepted: vec![(node.architecture, node.variant)],
            os: node.os,
            features: node.os_features,
            windows,
        }
    }

    /// Where the platform stands among the accepted ones, `None` if it is none of them.
    pub(super) fn rank(&self, platform: &Platform) -> Option<Rank> {
        let mut platform = platform.clone();
        if self.windows.is_some()
            && let Some(at) = platform.os_features.iter().position(|f| f == WIN32K)
        {
            platform.os_features.remove(at);
        }
        let platform = platform.normalize();
        // An empty operating system is read as that of the node.
        let fits = (platform.os.is_empty() || platform.os == self.os)
            && self.windows.is_none_or(|host| host.runs(&platform.os_version))
            && platform.os_features.iter().all(|feature| self.features.contains(feature));
        if !fits {
            return None;
        }
        let position = self.accepted.iter().position(|(arch, variant)| {
            *arch == platform.architecture && *variant == platform.variant
        })?;
        let version = if self.windows.is_some() { platform.os_version } else { String::new() };
        Some(Rank { position, version: Reverse(version) })
    }

    pub(super) fn accepts(&self, platform: &Platform) -> bool {
        self.rank(platform).is_some()
    }
}

/// Architecture and variant, both in normal form, then what is taken in their place.
fn fallbacks(architecture: &str, variant: &str) -> Vec<(String, String)> {
    let own = || (architecture.to_owned(), variant.to_owned());
    match architecture {
        "amd64" => {
            let below = (2..number(variant, HIGHEST_AMD64)).rev().map(|n| format!("v{n}"));
            let baseline =
                (!variant.is_empty() && number(variant, HIGHEST_AMD64) > 1).then(String::new);
            let mut list = vec![own()];
            list.extend(below.chain(baseline).map(|v| ("amd64".to_owned(), v)));
            list.push(("386".to_owned(), String::new()));
            list
        }
        "arm" => {
            let below = (5..number(variant, HIGHEST_ARM)).rev().map(|n| format!("v{n}"));
            let mut list = vec![own()];
            list.extend(below.map(|v| ("arm".to_owned(), v)));
            list
        }
        "arm64" => arm64_fallbacks(variant),
        _ => vec![own()],
    }
}

/// v9.x runs v8.(x+5) and below, v8.x all below it, and both the 32-bit variants; a variant that is
/// not in upstream's table matches nothing at all.
fn arm64_fallbacks(variant: &str) -> Vec<(String, String)> {
    let Some((major, minor)) = arm64_version(variant) else { return Vec::new() };
    let nine = (major == 9).then_some((9, minor));
    let eight = (8, if major == 9 { (minor + 5).min(9) } else { minor });
    let mut list = Vec::new();
    for (major, highest) in nine.into_iter().chain([eight]) {
        for minor in (0..=highest).rev() {
            let variant = match (major, minor) {
                (8, 0) => String::new(),
                (_, 0) => format!("v{major}"),
                _ => format!("v{major}.{minor}"),
            };
            list.push(("arm64".to_owned(), variant));
        }
    }
    list.extend(fallbacks("arm", "v8"));
    list
}

fn arm64_version(variant: &str) -> Option<(u32, u32)> {
    match variant {
        "" => Some((8, 0)),
        "v9" => Some((9, 0)),
        _ => {
            let (major, highest, minor) =
                match (variant.strip_prefix("v8."), variant.strip_prefix("v9.")) {
                    (Some(minor), _) => (8, 9, minor),
                    (_, Some(minor)) => (9, 7, minor),
                    _ => return None,
                };
            let [digit @ b'1'..=b'9'] = minor.as_bytes() else { return None };
            let minor = u32::from(digit - b'0');
            (minor <= highest).then_some((major, minor))
        }
    }
}

/// The number of `vN` or `N`; 0 when it is none or beyond any hardware.
fn number(variant: &str, highest: u32) -> u32 {
    let digits = variant.strip_prefix('v').unwrap_or(variant);
    digits.parse().ok().filter(|&n| n <= highest).unwrap_or(0)
}

/// The parts of a Windows version that decide compatibility.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Version {
    major: u8,
    minor: u8,
    build: u16,
}

impl Version {
    /// Reads `major.minor.build[.more]`; anything else is all zero.
    fn parse(text: &str) -> Version {
        let mut parts = text.splitn(4, '.');
        let mut next = || parts.next().filter(|part| part.bytes().all(|b| b.is_ascii_digit()));
        let (Some(major), Some(minor), Some(build)) = (next(), next(), next()) else {
            return Version::default();
        };
        match (major.parse(), minor.parse(), build.parse()) {
            (Ok(major), Ok(minor), Ok(build)) => Version { major, minor, build },
            _ => Version::default(),
        }
    }

    /// Whether this host takes an image of that version; an unknown version on either side passes.
    fn runs(self, image: &str) -> bool {
        if self == Version::default() || image.is_empty() {
            return true;
        }
        let image = Version::parse(image);
        if (self.major, self.minor) != (image.major, image.minor) {
            return false;
        }
        if self.build < LTSC_2022 {
            return self.build == image.build;
        }
        // The floor is the long-term release before the host's own, and 2022 for 2022 itself; while
        // 2025 is the newest, that is 2022 for every host.
        (LTSC_2022..=self.build).contains(&image.build)
    }
}

/// The platforms CRI-O asks for, best first; spelling counts, features and versions do not.
pub(super) fn crio_wanted(node: &Platform) -> Vec<Platform> {
    // CRI-O reads the processor where the node's variant is not given.
    let variant = match (node.architecture.as_str(), node.variant.as_str()) {
        ("arm64", "") => "v8",
        ("arm", "") => "v7",
        (_, variant) => variant,
    };
    let known: &[&str] = match node.architecture.as_str() {
        "arm" => &["v8", "v7", "v6", "v5"],
        _ => &[],
    };
    let mut variants: Vec<&str> = match known.iter().position(|v| *v == variant) {
        Some(at) => known[at..].to_vec(),
        None => vec![variant],
    };
    if !variant.is_empty() {
        variants.push("");
    }
    let with = |variant: &str| Platform {
        variant: variant.to_owned(),
        ..Platform::new(&node.os, &node.architecture)
    };
    variants.into_iter().map(with).collect()
}

/// Whether an entry is the wanted platform by CRI-O's exact comparison.
pub(super) fn crio_matches(entry: &Platform, wanted: &Platform) -> bool {
    entry.os == wanted.os
        && entry.architecture == wanted.architecture
        && entry.variant == wanted.variant
}
