//! The ImageCheckPolicies to judge by: those of the cluster, kept up to date, or those of a folder.
//! One that can not be understood is left out and named; it takes no other with it.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use kube::Api;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};

use super::Cluster;
use super::follow::{Failure, News, follow};
use crate::manifest::yaml;
use crate::policy::ImageCheckPolicy;
use crate::policy::image_check_policy::{GROUP, Invalid, KIND, VERSION};

/// The policies as they are now.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    shared: Arc<ArcSwap<Seen>>,
}

/// What is known of the policies.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Those that can be used, in order of name.
    pub usable: Arc<Vec<ImageCheckPolicy>>,
    /// Those that can not.
    pub invalid: Vec<Invalid>,
    /// They were listed once, or their kind is known not to be installed.
    pub ready: bool,
    /// What an operator should know, for example that the kind is not installed.
    pub warning: Option<&'static str>,
}

const NOT_INSTALLED: &str = "ImageCheckPolicy is not installed in this cluster, so there are no policies (pullproof crds prints it)";
const FORBIDDEN: &str = "ImageCheckPolicies may not be read: give list and watch on imagecheckpolicies in pullproof.dev";
const UNREACHABLE: &str = "the API server gives no list of ImageCheckPolicies";

impl Policies {
    /// The policies of the cluster, and the work that keeps them up to date.
    pub fn watch(cluster: &Cluster) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let policies = Self::default();
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, VERSION, KIND));
        let api: Api<DynamicObject> = Api::all_with(cluster.client.clone(), &kind);
        let shared = Arc::clone(&policies.shared);
        let work = async move { keep(api, &shared).await };
        (policies, work)
    }

    /// The policies of the YAML and JSON files of a folder, which must all be good.
    pub fn from_dir(dir: &Path) -> Result<Self, String> {
        let mut usable = read_dir(dir)?;
        usable.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(twice) = usable.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(format!(
                "{}: ImageCheckPolicy {} is there twice",
                dir.display(),
                twice[0].name
            ));
        }
        Ok(Self::fixed(usable))
    }

    /// Policies that do not change.
    pub fn fixed(usable: Vec<ImageCheckPolicy>) -> Self {
        let policies = Self::default();
        policies.shared.store(Arc::new(Seen {
            usable: Arc::new(usable),
            ready: true,
            ..Seen::default()
        }));
        policies
    }

    /// Those that can be used now, in order of name.
    pub fn now(&self) -> Arc<Vec<ImageCheckPolicy>> {
        Arc::clone(&self.shared.load().usable)
    }

    /// Everything that is known of them.
    pub fn seen(&self) -> Arc<Seen> {
        self.shared.load_full()
    }

    /// Whether it is known which policies there are.
    pub fn is_ready(&self) -> bool {
        self.shared.load().ready
    }
}

async fn keep(api: Api<DynamicObject>, shared: &ArcSwap<Seen>) {
    let convert = |object: DynamicObject| Comparable::of(&object);
    follow(api, convert, |news| match news {
        News::Now(all) => {
            let (mut usable, mut invalid) = (Vec::new(), Vec::new());
            for read in all.values() {
                match &read.policy {
                    Ok(policy) => usable.push(policy.clone()),
                    Err(wrong) => invalid.push(wrong.clone()),
                }
            }
            for wrong in &invalid {
                tracing::warn!(policy = %crate::text::clean(&wrong.name, 253), "{}", crate::text::clean(&wrong.reason, 300));
            }
            let usable = Arc::new(usable);
            shared.store(Arc::new(Seen { usable, invalid, ready: true, warning: None }));
        }
        News::Unchanged => {}
        News::Failed(failure) => {
            let last = shared.load();
            let (ready, warning) = match failure {
                Failure::NoSuchKind => (true, NOT_INSTALLED),
                Failure::Forbidden => (last.ready, FORBIDDEN),
                Failure::Other => (last.ready, UNREACHABLE),
            };
            if last.warning != Some(warning) {
                tracing::warn!("{warning}");
            }
            let seen = match failure {
                Failure::NoSuchKind => Seen { ready, warning: Some(warning), ..Seen::default() },
                _ => Seen { ready, warning: Some(warning), ..Seen::clone(&last) },
            };
            shared.store(Arc::new(seen));
        }
    })
    .await;
}

/// A policy of the cluster, with the text it was read from, by which it is told from a changed one.
struct Comparable {
    spec: serde_json::Value,
    policy: Result<ImageCheckPolicy, Invalid>,
}

impl PartialEq for Comparable {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

impl Comparable {
    fn of(object: &DynamicObject) -> Self {
        let name = object.metadata.name.clone().unwrap_or_default();
        let spec = object.data.get("spec").cloned().unwrap_or_default();
        let whole = serde_json::json!({
            "apiVersion": crate::policy::image_check_policy::API_VERSION,
            "kind": KIND,
            "metadata": {"name": name},
            "spec": spec,
        });
        let policy = match ImageCheckPolicy::from_value(&whole) {
            Ok(Some(policy)) => Ok(policy),
            Ok(None) => Err(Invalid { name, reason: "it is of another kind".to_owned() }),
            Err(wrong) => Err(wrong),
        };
        Self { spec, policy }
    }
}

/// Largest file of policies, and most of them, in a folder.
const MAX_FILE: u64 = 1 << 20;
const MAX_FILES: usize = 1000;

fn read_dir(dir: &Path) -> Result<Vec<ImageCheckPolicy>, String> {
    let unreadable =
        |path: &Path, error: std::io::Error| format!("can not read {}: {error}", path.display());
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .map_err(|error| unreadable(dir, error))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            matches!(extension, Some("yaml" | "yml" | "json")) && path.is_file()
        })
        .collect();
    files.sort();
    if files.len() > MAX_FILES {
        return Err(format!("{} holds more than {MAX_FILES} files", dir.display()));
    }
    let mut policies = Vec::new();
    for file in files {
        let size = file.metadata().map_err(|error| unreadable(&file, error))?.len();
        if size > MAX_FILE {
            return Err(format!("{} is larger than {MAX_FILE} bytes", file.display()));
        }
        let text = std::fs::read_to_string(&file).map_err(|error| unreadable(&file, error))?;
        policies.extend(parse(&text).map_err(|reason| format!("{}: {reason}", file.display()))?);
    }
    Ok(policies)
}

/// The policies in a text; another kind in it is no error.
fn parse(text: &str) -> Result<Vec<ImageCheckPolicy>, String> {
    let parsed = yaml::parse(text);
    if let Some(error) = parsed.errors.first() {
        return Err(format!("line {}, column {}: {}", error.line, error.column, error.reason));
    }
    let mut policies = Vec::new();
    for document in &parsed.documents {
        let read = ImageCheckPolicy::from_value(&document.root().to_json());
        policies.extend(read.map_err(|wrong| wrong.to_string())?);
    }
    Ok(policies)
}
