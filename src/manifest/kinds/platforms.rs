//! Platforms and infrastructure: storage, networks, meshes, clusters, package managers.

use super::{Field, Keys, Row, container, image, pod, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "ceph.rook.io",
        &["CephCluster"],
        &[image("spec.cephVersion.image", "")],
        "rook/rook Documentation/CRDs",
    ),
    row(
        "trident.netapp.io",
        &["TridentOrchestrator"],
        &[image("spec.tridentImage", "spec"), image("spec.autosupportImage", "spec")],
        "NetApp/trident",
    ),
    row(
        "longhorn.io",
        &["EngineImage", "BackingImageManager"],
        &[image("spec.image", "")],
        "longhorn/longhorn-manager",
    ),
    row(
        "longhorn.io",
        &["InstanceManager"],
        &[image("spec.image", "")],
        "longhorn/longhorn-manager",
    ),
    row(
        "pkg.crossplane.io",
        &["Provider", "Configuration", "Function"],
        &[image("spec.package", "spec")],
        "crossplane/crossplane apis/pkg",
    ),
    row(
        "pkg.crossplane.io",
        &["ProviderRevision", "ConfigurationRevision", "FunctionRevision"],
        &[image("spec.image", "spec")],
        "crossplane/crossplane apis/pkg",
    ),
    row(
        "pkg.crossplane.io",
        &["DeploymentRuntimeConfig"],
        &[pod("spec.deploymentTemplate.spec.template.spec")],
        "crossplane/crossplane apis/pkg",
    ),
    row("pkg.crossplane.io", &["ControllerConfig"], &[image("spec.image", "spec")], "crossplane"),
    row(
        "install.istio.io",
        &["IstioOperator"],
        &[
            container("spec.components.**.overlays[].patches[].value", ""),
            container("spec.components.**.overlays[].patches[].value[]", ""),
        ],
        "istio/istio operator API; other images follow from hub and tag",
    ),
    row(
        "scorecard.operatorframework.io",
        &["Configuration"],
        &[image("stages[].tests[].image", "")],
        "operator-framework/api scorecard v1alpha3",
    ),
    row(
        "gateway.envoyproxy.io",
        &["EnvoyProxy"],
        &[
            image(
                "spec.provider.kubernetes.*.container.image",
                "spec.provider.kubernetes.envoyDeployment.pod",
            ),
            image(
                "spec.provider.kubernetes.*.initContainers[].image",
                "spec.provider.kubernetes.envoyDeployment.pod",
            ),
        ],
        "envoyproxy/gateway API",
    ),
    row(
        "gateway.kgateway.dev",
        &["GatewayParameters"],
        &[Field::Parts { path: "spec.kube.*.image", keys: REGISTRY_REPOSITORY, pod: "" }],
        "kgateway-dev/kgateway API",
    ),
    row("nvidia.com", &["ClusterPolicy", "NVIDIADriver"], NVIDIA, "NVIDIA/gpu-operator API"),
    row(
        "kmm.sigs.x-k8s.io",
        &["Module"],
        &[
            image("spec.moduleLoader.container.containerImage", "spec"),
            image("spec.moduleLoader.container.kernelMappings[].containerImage", "spec"),
            image("spec.devicePlugin.container.image", "spec"),
        ],
        "kubernetes-sigs/kernel-module-management",
    ),
    row(
        "upgrade.cattle.io",
        &["Plan"],
        &[
            Field::Parts { path: "spec.upgrade", keys: IMAGE_ONLY, pod: "spec" },
            Field::Parts { path: "spec.prepare", keys: IMAGE_ONLY, pod: "spec" },
        ],
        "rancher/system-upgrade-controller",
    ),
    row(
        "tests.testkube.io",
        &["Executor"],
        &[image("spec.image", "spec")],
        "kubeshop/testkube CRDs",
    ),
    row(
        "testworkflows.testkube.io",
        &["TestWorkflow", "TestWorkflowTemplate"],
        &[image("spec.**.container.image", "spec.pod"), image("spec.**.run.image", "spec.pod")],
        "kubeshop/testkube CRDs",
    ),
    row("k6.io", &["TestRun", "K6"], K6, "grafana/k6-operator"),
    row(
        "camel.apache.org",
        &["Integration", "IntegrationKit"],
        &[image("spec.image", ""), image("spec.traits.container.image", "")],
        "apache/camel-k docs",
    ),
    row(
        "k8s.keycloak.org",
        &["Keycloak"],
        &[image("spec.image", "spec"), pod("spec.unsupported.podTemplate.spec")],
        "keycloak/keycloak operator",
    ),
    row(
        "apps.gitlab.com",
        &["Runner"],
        &[image("spec.runnerImage", ""), image("spec.helperImage", "")],
        "gitlab-runner-operator",
    ),
    row("jenkins.io", &["Jenkins"], &[pod("spec.master")], "jenkinsci/kubernetes-operator"),
    row(
        "app.terraform.io",
        &["AgentPool"],
        &[pod("spec.agentDeployment.spec")],
        "hashicorp/terraform-cloud-operator",
    ),
    row("perses.dev", &["Perses"], &[image("spec.image", "spec")], "perses/perses-operator"),
    row(
        "kiali.io",
        &["Kiali"],
        &[Field::Parts { path: "spec.deployment", keys: KIALI, pod: "spec.deployment" }],
        "kiali/kiali-operator",
    ),
];

const REGISTRY_REPOSITORY: Keys =
    Keys { registry: "registry", repository: "repository", tag: "tag", digest: "digest" };
const IMAGE_ONLY: Keys = Keys { registry: "", repository: "image", tag: "", digest: "" };
const KIALI: Keys =
    Keys { registry: "", repository: "image_name", tag: "image_version", digest: "image_digest" };

/// `repository`, `image` and `version`; a version that begins `sha256:` is a digest.
const NVIDIA: &[Field] = &[Field::Parts {
    path: "spec.**",
    keys: Keys { registry: "repository", repository: "image", tag: "version", digest: "" },
    pod: "spec.*",
}];

const K6: &[Field] = &[
    image("spec.runner.image", "spec.runner"),
    image("spec.starter.image", "spec.starter"),
    image("spec.initializer.image", "spec.initializer"),
];
