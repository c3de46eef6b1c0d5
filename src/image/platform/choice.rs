//! Which manifest of an index a node takes, as a pure function: containerd's local pull and its
//! transfer service (`core/images/image.go`, `core/transfer/image/imagestore.go`), and CRI-O
//! (`internal/manifest/oci_index.go` of containers/image). What has to be read first is asked for,
//! not fetched.

use super::Platform;
use super::preference::{Preference, crio_matches, crio_wanted};

/// What a manifest reference leads to, as far as it has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// An OCI or Docker image manifest, with the platform of its config once that is known.
    Manifest { config: Option<Platform> },
    /// An index or manifest list, its entries in order.
    Index(Vec<Entry>),
    /// An index that has not been read yet.
    UnreadIndex,
    /// A Docker schema 1 manifest.
    Schema1,
    /// Any other media type.
    Other,
}

/// One entry of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The descriptor's platform, `None` when it has no such field.
    pub platform: Option<Platform>,
    pub content: Content,
}

/// The ways of choosing that nodes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Runtime {
    /// containerd 1.x and 2.0, and later ones set to pull locally.
    ContainerdLocal,
    /// containerd 2.1 and later by default.
    ContainerdTransfer,
    Crio,
}

impl Runtime {
    pub const ALL: [Self; 3] = [Self::ContainerdLocal, Self::ContainerdTransfer, Self::Crio];
}

/// What a node does with an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Takes the entry at these positions, outermost first; no position means the image itself.
    Chosen(Vec<usize>),
    Refused(Refusal),
    /// The config of the manifest at this path decides; put it in and ask again.
    NeedsConfig(Vec<usize>),
    /// The nested index at this path decides; put its entries in and ask again.
    NeedsIndex(Vec<usize>),
}

/// Why a node takes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// `no match for platform in manifest`.
    NoMatch,
    /// The transfer service did not download what it then chose: `content digest ..: not found`.
    ContentMissing,
    /// Neither an image manifest nor an index stands where one is needed.
    UnexpectedMediaType,
}

impl Refusal {
    /// The stable name.
    pub fn id(self) -> &'static str {
        match self {
            Refusal::NoMatch => "no_match",
            Refusal::ContentMissing => "content_missing",
            Refusal::UnexpectedMediaType => "unexpected_media_type",
        }
    }
}

/// What a node of this platform takes from an image. A plain manifest is taken whatever its
/// platform; see [`runs`].
pub fn choose(runtime: Runtime, node: &Platform, image: &Content) -> Choice {
    match runtime {
        Runtime::ContainerdLocal => containerd(node, image, None),
        Runtime::ContainerdTransfer => containerd(node, image, Some(&Preference::exact(node))),
        Runtime::Crio => crio(node, image),
    }
}

/// `downloaded` tells which entries the transfer service fetches; the choice among all entries is
/// made only afterwards, with fallbacks, and may fall on one that is not there.
fn containerd(node: &Platform, image: &Content, downloaded: Option<&Preference>) -> Choice {
    let preference = Preference::with_fallbacks(node);
    let mut path = Vec::new();
    let mut content = image;
    let mut trusted = true;
    let mut present = true;
    loop {
        match content {
            Content::Schema1 | Content::Other => {
                return Choice::Refused(Refusal::UnexpectedMediaType);
            }
            _ if !present => return Choice::Refused(Refusal::ContentMissing),
            Content::Manifest { .. } if trusted => return Choice::Chosen(path),
            Content::Manifest { config: None } => return Choice::NeedsConfig(path),
            Content::Manifest { config: Some(config) }
                if preference.accepts(&config.normalize()) =>
            {
                return Choice::Chosen(path);
            }
            Content::Manifest { .. } => return Choice::Refused(Refusal::NoMatch),
            Content::UnreadIndex => return Choice::NeedsIndex(path),
            Content::Index(entries) => {
                let Some((at, entry)) = preferred(&preference, entries) else {
                    return Choice::Refused(Refusal::NoMatch);
                };
                path.push(at);
                content = &entry.content;
                trusted = entry.platform.is_some();
                present = match (downloaded, &entry.platform) {
                    (Some(filter), Some(platform)) => filter.accepts(platform),
                    _ => true,
                };
            }
        }
    }
}

/// The first of the best entries, or the first without a platform when none is accepted.
fn preferred<'a>(preference: &Preference, entries: &'a [Entry]) -> Option<(usize, &'a Entry)> {
    let accepted = entries.iter().enumerate().filter_map(|(at, entry)| {
        let rank = preference.rank(entry.platform.as_ref()?)?;
        Some((rank, at, entry))
    });
    match accepted.min_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1))) {
        Some((_, at, entry)) => Some((at, entry)),
        None => entries.iter().enumerate().find(|(_, entry)| entry.platform.is_none()),
    }
}

/// One level only: an index inside the chosen entry is refused, and no config is looked at.
fn crio(node: &Platform, image: &Content) -> Choice {
    let entries = match image {
        Content::Manifest { .. } | Content::Schema1 => return Choice::Chosen(Vec::new()),
        Content::Other => return Choice::Refused(Refusal::UnexpectedMediaType),
        Content::UnreadIndex => return Choice::NeedsIndex(Vec::new()),
        Content::Index(entries) => entries,
    };
    let wanted = crio_wanted(node);
    let find = |wanted: &Platform| {
        entries.iter().position(|e| e.platform.as_ref().is_some_and(|p| crio_matches(p, wanted)))
    };
    let chosen = wanted
        .iter()
        .find_map(find)
        .or_else(|| entries.iter().position(|entry| entry.platform.is_none()));
    match chosen.map(|at| (at, &entries[at].content)) {
        None => Choice::Refused(Refusal::NoMatch),
        Some((at, Content::Manifest { .. } | Content::Schema1)) => Choice::Chosen(vec![at]),
        Some(_) => Choice::Refused(Refusal::UnexpectedMediaType),
    }
}

/// Whether a plain manifest with this config can be expected to run on the node: the pull itself
/// does not ask. Operating system and architecture count, variants do not; amd64 runs 386.
pub fn runs(node: &Platform, config: &Platform) -> bool {
    let (node, config) = (node.normalize(), config.normalize());
    let os = config.os.is_empty() || config.os == node.os;
    let (host, image) = (node.architecture.as_str(), config.architecture.as_str());
    os && !image.is_empty() && (host == image || (host, image) == ("amd64", "386"))
}

/// The platforms an image offers, in order, in normal form, each once; attestations are left out.
pub fn offered(image: &Content) -> Vec<Platform> {
    let mut found = Vec::new();
    collect(image, &mut found);
    found
}

fn collect(content: &Content, found: &mut Vec<Platform>) {
    match content {
        Content::Manifest { config: Some(platform) } => add(platform, found),
        Content::Index(entries) => {
            for entry in entries {
                match &entry.platform {
                    Some(platform) => add(platform, found),
                    None => collect(&entry.content, found),
                }
            }
        }
        _ => {}
    }
}

fn add(platform: &Platform, found: &mut Vec<Platform>) {
    let platform = platform.normalize();
    if !platform.is_unknown() && !found.contains(&platform) {
        found.push(platform);
    }
}

/// What several runtimes say about one image on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreement {
    /// Each takes something, though not always the same entry.
    All,
    /// None takes anything.
    None,
    /// Some do and some do not.
    Differ,
    /// Undecided until the config at this path is known.
    NeedsConfig(Vec<usize>),
    /// Undecided until the nested index at this path is read.
    NeedsIndex(Vec<usize>),
}

/// Compares what the runtimes choose; of no runtimes all agree.
pub fn agreed(runtimes: &[Runtime], node: &Platform, image: &Content) -> Agreement {
    let mut taken = 0;
    let mut refused = 0;
    let mut needed = None;
    for &runtime in runtimes {
        match choose(runtime, node, image) {
            Choice::Chosen(_) => taken += 1,
            Choice::Refused(_) => refused += 1,
            Choice::NeedsConfig(path) => needed = needed.or(Some(Agreement::NeedsConfig(path))),
            Choice::NeedsIndex(path) => needed = needed.or(Some(Agreement::NeedsIndex(path))),
        }
    }
    match (taken, refused, needed) {
        (1.., 1.., _) => Agreement::Differ,
        (_, _, Some(needed)) => needed,
        (_, 0, None) => Agreement::All,
        (_, _, None) => Agreement::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(platform: Option<&str>, config: Option<&str>) -> Entry {
        let parse = |text: &str| Platform::parse(text).unwrap();
        let content = Content::Manifest { config: config.map(parse) };
        Entry { platform: platform.map(parse), content }
    }

    #[test]
    fn asks_for_the_config_only_when_it_decides() {
        let node = Platform::new("linux", "amd64");
        let unread = Content::Index(vec![entry(Some("linux/arm64"), None), entry(None, None)]);
        assert_eq!(agreed(&Runtime::ALL, &node, &unread), Agreement::NeedsConfig(vec![1]));
        assert_eq!(choose(Runtime::Crio, &node, &unread), Choice::Chosen(vec![1]));
        let read = |config| Content::Index(vec![entry(None, Some(config))]);
        assert_eq!(agreed(&Runtime::ALL, &node, &read("linux/amd64")), Agreement::All);
        assert_eq!(agreed(&Runtime::ALL, &node, &read("linux/arm64")), Agreement::Differ);
        let labelled = Content::Index(vec![entry(Some("linux/amd64"), None)]);
        assert_eq!(agreed(&Runtime::ALL, &node, &labelled), Agreement::All);
    }

    #[test]
    fn asks_for_a_nested_index_and_then_descends() {
        let node = Platform::new("linux", "arm64");
        let nest = |content| Content::Index(vec![Entry { platform: None, content }]);
        let unread = nest(Content::UnreadIndex);
        assert_eq!(choose(Runtime::ContainerdLocal, &node, &unread), Choice::NeedsIndex(vec![0]));
        let read = nest(Content::Index(vec![entry(Some("linux/arm64"), None)]));
        assert_eq!(choose(Runtime::ContainerdTransfer, &node, &read), Choice::Chosen(vec![0, 0]));
        let refused = Choice::Refused(Refusal::UnexpectedMediaType);
        assert_eq!(choose(Runtime::Crio, &node, &read), refused);
    }

    #[test]
    fn a_type_nobody_knows_is_refused_before_it_is_missed() {
        let node = Platform::new("linux", "amd64");
        let old = Entry { platform: Some(Platform::new("linux", "386")), content: Content::Other };
        let index = Content::Index(vec![old]);
        let refused = Choice::Refused(Refusal::UnexpectedMediaType);
        assert_eq!(choose(Runtime::ContainerdTransfer, &node, &index), refused);
        assert_eq!(choose(Runtime::ContainerdLocal, &node, &Content::Schema1), refused);
        assert_eq!(choose(Runtime::Crio, &node, &Content::Schema1), Choice::Chosen(vec![]));
    }

    #[test]
    fn offers_each_platform_once_without_attestations() {
        let unknown = Platform::new("unknown", "unknown");
        let attestation =
            Entry { platform: Some(unknown), content: Content::Manifest { config: None } };
        let index = Content::Index(vec![
            entry(Some("linux/arm64/v8"), None),
            attestation,
            entry(Some("linux/arm64"), None),
            entry(None, Some("linux/amd64")),
        ]);
        let shown: Vec<String> = offered(&index).iter().map(Platform::to_string).collect();
        assert_eq!(shown, ["linux/arm64", "linux/amd64"]);
    }

    #[test]
    fn no_entry_is_no_match() {
        let node = Platform::new("linux", "amd64");
        assert_eq!(agreed(&Runtime::ALL, &node, &Content::Index(Vec::new())), Agreement::None);
        assert_eq!(agreed(&[], &node, &Content::Index(Vec::new())), Agreement::All);
    }
}
