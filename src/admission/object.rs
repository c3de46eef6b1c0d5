//! The objects that are admitted, read from their JSON by borrowing: a Pod, or what makes Pods, to
//! image uses. The same fields as the manifest walker reads (a test holds the two together); typed,
//! since a webhook reads thousands of Pods a second and needs no spans.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::entries::{self, List, Map, Unread};
use super::review::{Kind, Request, text};
use crate::image::usage::{
    ImageUse, NodeConstraints, NodeRequirement, ObjectName, Ownership, Site, Toleration, Workload,
};
use crate::image::{PullPolicy, Reference, Role};

/// A Pod or what makes Pods, whose kind says where the Pod spec stands. One shape for all kinds, so
/// that a review is read in one go: no field of one means something else in another.
#[derive(Debug, Default, Deserialize)]
pub struct Object<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    pub kind: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub metadata: Metadata<'a>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    spec: Spec<'a>,
    /// Of a PodTemplate, which has no spec.
    #[serde(borrow, default)]
    template: Option<Template<'a>>,
}

impl<'a> Object<'a> {
    /// Reads an object alone.
    pub fn read(raw: &'a RawValue) -> Result<Box<Self>, Unread> {
        entries::read(raw.get())
    }
}

/// What Pods or Jobs are made from.
#[derive(Debug, Default, Deserialize)]
struct Template<'a> {
    #[serde(borrow, default, deserialize_with = "or_default")]
    spec: Spec<'a>,
}

/// `metadata`, as far as it is looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    name: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text")]
    generate_name: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub namespace: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub uid: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub deletion_timestamp: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub annotations: Option<Map<'a>>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    owner_references: List<Owner<'a>>,
}

/// An entry of `ownerReferences`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    pub api_version: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub kind: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub name: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub uid: Cow<'a, str>,
    #[serde(default)]
    controller: Option<bool>,
}

impl<'a> Metadata<'a> {
    /// The name, or the prefix the API server makes one from.
    pub fn name(&self) -> &str {
        if self.name.is_empty() { &self.generate_name } else { &self.name }
    }

    /// The controller that made it. A mirror Pod is owned by its Node, which makes nothing from a
    /// template.
    pub fn owner(&self) -> Option<&Owner<'a>> {
        let is_owner = |owner: &&Owner<'_>| owner.controller == Some(true) && owner.kind != "Node";
        self.owner_references.iter().find(is_owner)
    }
}

/// A Pod spec, as far as it decides what is pulled and how, or the spec of what makes Pods.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec<'a> {
    #[serde(borrow, default, deserialize_with = "or_default")]
    init_containers: List<Container<'a>>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    containers: List<Container<'a>>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    ephemeral_containers: List<Container<'a>>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    volumes: List<Volume<'a>>,
    /// `None` when absent or `null`, which is where a patch has to make the list.
    #[serde(borrow, default)]
    pub image_pull_secrets: Option<List<Named<'a>>>,
    #[serde(borrow, default, deserialize_with = "text")]
    service_account_name: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    node_selector: Map<'a>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    affinity: Affinity<'a>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    tolerations: List<Tolerated<'a>>,
    #[serde(borrow, default, deserialize_with = "text")]
    node_name: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    os: Named<'a>,
    /// Of a workload.
    #[serde(borrow, default)]
    template: Option<Box<Template<'a>>>,
    /// Of a CronJob.
    #[serde(borrow, default)]
    job_template: Option<Box<Template<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
struct Tolerated<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    key: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text")]
    operator: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text")]
    value: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text")]
    effect: Cow<'a, str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    name: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text")]
    image: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text")]
    image_pull_policy: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text")]
    restart_policy: Cow<'a, str>,
}

impl Container<'_> {
    fn is_injected(&self) -> bool {
        self.name == "istio-proxy" && self.image == "auto"
    }
}

#[derive(Debug, Default, Deserialize)]
struct Volume<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    image: Option<ImageVolume<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImageVolume<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    reference: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text")]
    pull_policy: Cow<'a, str>,
}

/// Something with a name.
#[derive(Debug, Default, Deserialize)]
pub struct Named<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    pub name: Cow<'a, str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Affinity<'a> {
    #[serde(borrow, default, deserialize_with = "or_default")]
    node_affinity: NodeAffinity<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeAffinity<'a> {
    #[serde(
        borrow,
        default,
        rename = "requiredDuringSchedulingIgnoredDuringExecution",
        deserialize_with = "or_default"
    )]
    required: NodeSelector<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeSelector<'a> {
    #[serde(borrow, default, deserialize_with = "or_default")]
    node_selector_terms: List<Term<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Term<'a> {
    #[serde(borrow, default, deserialize_with = "or_default")]
    match_expressions: List<Requirement<'a>>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    match_fields: List<Requirement<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct Requirement<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    key: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text")]
    operator: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    values: List<Cow<'a, str>>,
}

/// `null` is what an absent field is.
fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Where an object has its Pod spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Pod,
    PodTemplate,
    Workload,
    CronJob,
}

impl Shape {
    /// That of a kind; `None` where it makes no Pods.
    pub fn of(kind: &Kind<'_>) -> Option<Self> {
        match (&*kind.group, &*kind.kind) {
            ("", "Pod") => Some(Self::Pod),
            ("", "PodTemplate") => Some(Self::PodTemplate),
            ("", "ReplicationController")
            | ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
            | ("batch", "Job") => Some(Self::Workload),
            ("batch", "CronJob") => Some(Self::CronJob),
            _ => None,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Pod => "spec",
            Self::PodTemplate => "template.spec",
            Self::Workload => "spec.template.spec",
            Self::CronJob => "spec.jobTemplate.spec.template.spec",
        }
    }

    fn pod_spec<'o, 'a>(self, object: &'o Object<'a>) -> Option<&'o Spec<'a>> {
        let made = |spec: &'o Spec<'a>| spec.template.as_ref().map(|template| &template.spec);
        match self {
            Self::Pod => Some(&object.spec),
            Self::PodTemplate => object.template.as_ref().map(|template| &template.spec),
            Self::Workload => made(&object.spec),
            Self::CronJob => object.spec.job_template.as_ref().and_then(|jobs| made(&jobs.spec)),
        }
    }
}

static EMPTY: LazyLock<Spec<'static>> = LazyLock::new(Spec::default);

/// An object with the Pod spec that it is or makes.
#[derive(Debug, Clone, Copy)]
pub struct Admitted<'a> {
    pub metadata: &'a Metadata<'a>,
    pub spec: &'a Spec<'a>,
    shape: Shape,
}

impl<'a> Admitted<'a> {
    pub fn new(shape: Shape, object: &'a Object<'a>) -> Self {
        let spec = shape.pod_spec(object).unwrap_or(&EMPTY);
        Self { metadata: &object.metadata, spec, shape }
    }

    /// Whether it is a Pod itself.
    pub fn is_pod(&self) -> bool {
        self.shape == Shape::Pod
    }

    /// The images, with the workload around them as the namespace of the request has it.
    pub fn uses(&self, request: &Request<'_>) -> Vec<ImageUse> {
        let workload = Arc::new(self.workload(request));
        let mut uses = Vec::with_capacity(self.spec.containers.len() + 2);
        let lists = [
            ("initContainers", Role::Init, &self.spec.init_containers),
            ("containers", Role::Container, &self.spec.containers),
            ("ephemeralContainers", Role::Ephemeral, &self.spec.ephemeral_containers),
        ];
        let mut add = |text: &str, path: String, role, policy: &str| {
            uses.push(ImageUse {
                text: text.to_owned(),
                reference: Reference::parse(text),
                site: Site { place: None, path },
                role,
                pull_policy: PullPolicy::parse(policy),
                workload: Arc::clone(&workload),
                guess: false,
            });
        };
        for (field, role, list) in lists {
            for (index, container) in list.iter().enumerate() {
                // A template may leave an image to others; Istio writes that of its proxy later.
                if container.image.is_empty() || container.is_injected() {
                    continue;
                }
                let restarts = role == Role::Init && container.restart_policy == "Always";
                let role = if restarts { Role::Sidecar } else { role };
                let path = format!("{}.{field}[{index}].image", self.shape.path());
                add(&container.image, path, role, &container.image_pull_policy);
            }
        }
        for (index, volume) in self.spec.volumes.iter().enumerate() {
            if let Some(image) = volume.image.as_ref().filter(|image| !image.reference.is_empty()) {
                let path = format!("{}.volumes[{index}].image.reference", self.shape.path());
                add(&image.reference, path, Role::Volume, &image.pull_policy);
            }
        }
        uses
    }

    /// Every image text, as often as it stands there.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let spec = &self.spec;
        let containers = [&spec.init_containers, &spec.containers, &spec.ephemeral_containers]
            .into_iter()
            .flat_map(|list| list.iter());
        let volumes = spec.volumes.iter().filter_map(|volume| volume.image.as_ref());
        containers
            .map(|container| &*container.image)
            .chain(volumes.map(|image| &*image.reference))
            .filter(|text| !text.is_empty())
    }

    /// The container or volume whose image stands at a path that [`uses`](Self::uses) gave.
    pub fn name_at(&self, path: &str) -> &str {
        let rest = path.strip_prefix(self.shape.path()).and_then(|rest| rest.strip_prefix('.'));
        let Some((field, rest)) = rest.and_then(|rest| rest.split_once('[')) else { return "" };
        let index = rest.split_once(']').and_then(|(index, _)| index.parse::<usize>().ok());
        let Some(index) = index else {
            return "";
        };
        let name = match field {
            "initContainers" => self.spec.init_containers.get(index).map(|it| &it.name),
            "containers" => self.spec.containers.get(index).map(|it| &it.name),
            "ephemeralContainers" => self.spec.ephemeral_containers.get(index).map(|it| &it.name),
            "volumes" => self.spec.volumes.get(index).map(|it| &it.name),
            _ => None,
        };
        name.map(|name| &**name).unwrap_or_default()
    }

    fn workload(&self, request: &Request<'_>) -> Workload {
        let (kind, namespace) = (&request.kind, &*request.namespace);
        let spec = &self.spec;
        let account = &*spec.service_account_name;
        Workload {
            object: ObjectName {
                api_version: kind.api_version(),
                kind: kind.kind.clone().into_owned(),
                namespace: namespace.to_owned(),
                name: self.metadata.name().to_owned(),
            },
            ownership: self.ownership(request),
            service_account: (!account.is_empty()).then(|| account.to_owned()),
            pull_secrets: spec
                .image_pull_secrets
                .iter()
                .flat_map(|secrets| secrets.iter())
                .map(|secret| secret.name.clone().into_owned())
                .collect(),
            constraints: self.constraints(&kind.kind),
        }
    }

    /// A Pod is a controller's when one of the cluster's own accounts creates it: anybody can write an
    /// owner into a Pod, and what is changed of a Pod later is a person's doing.
    fn ownership(&self, request: &Request<'_>) -> Ownership {
        const OF_THE_CLUSTER: &str = "system:";
        if !self.is_pod() {
            return Ownership::Workload;
        }
        let is_made = self.metadata.owner().is_some()
            && request.operation == "CREATE"
            && request.user_info.username.starts_with(OF_THE_CLUSTER);
        if is_made { Ownership::OwnedPod } else { Ownership::BarePod }
    }

    fn constraints(&self, kind: &str) -> NodeConstraints {
        let spec = &self.spec;
        let terms = &spec.affinity.node_affinity.required.node_selector_terms;
        NodeConstraints {
            node_name: (!spec.node_name.is_empty()).then(|| owned(&spec.node_name)),
            node_selector: spec.node_selector.iter().map(|(k, v)| (owned(k), owned(v))).collect(),
            // A term without any requirement matches no node, so it is no alternative.
            affinity_terms: terms.iter().map(Term::owned).filter(|it| !it.is_empty()).collect(),
            tolerations: spec
                .tolerations
                .iter()
                .map(Tolerated::owned)
                .chain(Toleration::of_controller(kind))
                .collect(),
            os_name: (!spec.os.name.is_empty()).then(|| owned(&spec.os.name)),
        }
    }
}

fn owned(text: &str) -> String {
    text.to_owned()
}

impl Term<'_> {
    fn owned(&self) -> Vec<NodeRequirement> {
        let labels = self.match_expressions.iter().map(|it| it.owned(false));
        labels.chain(self.match_fields.iter().map(|it| it.owned(true))).collect()
    }
}

impl Requirement<'_> {
    fn owned(&self, is_field: bool) -> NodeRequirement {
        NodeRequirement {
            key: owned(&self.key),
            operator: owned(&self.operator),
            values: self.values.iter().map(|value| owned(value)).collect(),
            is_field,
        }
    }
}

impl Tolerated<'_> {
    fn owned(&self) -> Toleration {
        Toleration {
            key: owned(&self.key),
            operator: owned(&self.operator),
            value: owned(&self.value),
            effect: owned(&self.effect),
        }
    }
}
