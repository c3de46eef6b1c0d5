//! Delivery tools whose objects carry images of others: kustomize, Argo CD, Flux, k3s, OpenShift.

use super::{Field, Row, image, row};

pub(super) const ROWS: &[Row] = &[
    row("kustomize.config.k8s.io", &["Kustomization", "Component"], KUSTOMIZATION, KUSTOMIZE),
    row("builtin", &["ImageTagTransformer"], &[Field::Kustomize("imageTag")], KUSTOMIZE),
    row(
        "builtin",
        &["PatchTransformer", "PatchStrategicMergeTransformer", "PatchJson6902Transformer"],
        &[Field::Manifests("patch"), Field::Manifests("patches"), Field::Manifests("jsonOp")],
        KUSTOMIZE,
    ),
    row(
        "kustomize.toolkit.fluxcd.io",
        &["Kustomization"],
        &[Field::Kustomize("spec.images[]"), Field::Manifests("spec.patches[].patch")],
        "fluxcd/kustomize-controller API",
    ),
    row(
        "helm.toolkit.fluxcd.io",
        &["HelmRelease"],
        &[
            Field::Values("spec.values"),
            Field::Kustomize("spec.postRenderers[].kustomize.images[]"),
            Field::Manifests("spec.postRenderers[].kustomize.patches[].patch"),
        ],
        "fluxcd/helm-controller API",
    ),
    row("argoproj.io", &["Application"], APPLICATION, ARGO_CD),
    row(
        "argoproj.io",
        &["ApplicationSet"],
        &[
            Field::SetImage("spec.template.spec.**.kustomize.images[]"),
            Field::Values("spec.template.spec.**.helm.valuesObject"),
            Field::ValuesText("spec.template.spec.**.helm.values"),
        ],
        ARGO_CD,
    ),
    row(
        "argoproj.io",
        &["ArgoCD"],
        &[Field::Parts { path: "spec.**", keys: IMAGE_VERSION, pod: "" }],
        "argoproj-labs/argocd-operator",
    ),
    row(
        "helm.cattle.io",
        &["HelmChart", "HelmChartConfig"],
        &[
            image("spec.jobImage", ""),
            Field::ValuesText("spec.valuesContent"),
            Field::Values("spec.values"),
        ],
        "k3s-io/helm-controller",
    ),
    row(
        "build.openshift.io",
        &["BuildConfig", "Build"],
        &[Field::From("spec.strategy.*.from"), Field::From("spec.source.images[].from")],
        OPENSHIFT,
    ),
    row("", &["BuildConfig"], &[Field::From("spec.strategy.*.from")], OPENSHIFT),
    row("image.openshift.io", &["ImageStream"], &[Field::From("spec.tags[].from")], OPENSHIFT),
    row("", &["ImageStream"], &[Field::From("spec.tags[].from")], OPENSHIFT),
    row(
        "image.openshift.io",
        &["ImageStreamImport"],
        &[Field::From("spec.images[].from")],
        OPENSHIFT,
    ),
    row(
        "operators.coreos.com",
        &["ClusterServiceVersion"],
        &[image("spec.relatedImages[].image", "")],
        "operator-framework/api",
    ),
    row(
        "operators.coreos.com",
        &["CatalogSource"],
        &[image("spec.image", "spec.grpcPodConfig")],
        "operator-framework/api",
    ),
];

const KUSTOMIZE: &str = "kubernetes-sigs/kustomize api/types";
const ARGO_CD: &str = "argoproj/argo-cd docs/operator-manual/application";
const OPENSHIFT: &str = "openshift/api";

/// The fields of a kustomization file, which need not say its kind.
pub const KUSTOMIZATION: &[Field] = &[
    Field::Kustomize("images[]"),
    Field::Kustomize("imageTags[]"),
    Field::Manifests("patches[].patch"),
    Field::Manifests("patchesStrategicMerge[]"),
    Field::Manifests("patchesJson6902[].patch"),
    Field::Values("helmCharts[].valuesInline"),
];

const APPLICATION: &[Field] = &[
    Field::SetImage("spec.source.kustomize.images[]"),
    Field::SetImage("spec.sources[].kustomize.images[]"),
    Field::Manifests("spec.source.kustomize.patches[].patch"),
    Field::Values("spec.source.helm.valuesObject"),
    Field::Values("spec.sources[].helm.valuesObject"),
    Field::ValuesText("spec.source.helm.values"),
    Field::ValuesText("spec.sources[].helm.values"),
];

const IMAGE_VERSION: super::Keys =
    super::Keys { registry: "", repository: "image", tag: "version", digest: "" };
