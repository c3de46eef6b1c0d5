//! Services and models: Knative, KServe, Seldon, KubeAI, Fission.

use super::{Field, Row, TEMPLATE, container, image, pod, row};

const KSERVE: &str = "kserve/kserve API serving.kserve.io";
const KNATIVE: &str = "knative/serving API";

pub(super) const ROWS: &[Row] = &[
    row("serving.knative.dev", &["Service", "Configuration"], KNATIVE_FIELDS, KNATIVE),
    row("serving.knative.dev", &["Revision"], &[pod("spec")], KNATIVE),
    row(
        "caching.internal.knative.dev",
        &["Image"],
        &[image("spec.image", "spec")],
        "knative/caching",
    ),
    row("sources.knative.dev", &["ContainerSource"], TEMPLATE, "knative/eventing"),
    row("serving.kserve.io", &["InferenceService"], INFERENCE, KSERVE),
    row(
        "serving.kserve.io",
        &["ServingRuntime", "ClusterServingRuntime"],
        &[pod("spec"), pod("spec.workerSpec")],
        KSERVE,
    ),
    row(
        "serving.kserve.io",
        &["ClusterStorageContainer"],
        &[container("spec.container", "spec")],
        KSERVE,
    ),
    row(
        "serving.kserve.io",
        &["LLMInferenceService", "LLMInferenceServiceConfig"],
        &[
            pod("spec.template"),
            pod("spec.worker"),
            pod("spec.prefill.template"),
            pod("spec.prefill.worker"),
            pod("spec.router.scheduler.template"),
            pod("spec.router.scheduler.tokenizer.template"),
        ],
        KSERVE,
    ),
    row(
        "machinelearning.seldon.io",
        &["SeldonDeployment"],
        &[pod("spec.predictors[].componentSpecs[].spec")],
        "SeldonIO/seldon-core v1",
    ),
    row("mlops.seldon.io", &["ServerConfig"], &[pod("spec.podSpec")], "SeldonIO/seldon-core v2"),
    row("kubeai.org", &["Model"], &[image("spec.image", "")], "substratusai/kubeai"),
    row(
        "fission.io",
        &["Environment"],
        &[
            image("spec.runtime.image", "spec"),
            image("spec.builder.image", "spec"),
            pod("spec.runtime.podspec"),
            pod("spec.builder.podspec"),
        ],
        "fission/fission CRDs",
    ),
    row(
        "serverless.kyma-project.io",
        &["Function"],
        &[image("spec.runtimeImageOverride", "")],
        "kyma-project/serverless",
    ),
];

const KNATIVE_FIELDS: &[Field] = &[
    pod("spec.template.spec"),
    container("spec.runLatest.configuration.revisionTemplate.spec.container", ""),
    container("spec.release.configuration.revisionTemplate.spec.container", ""),
    container("spec.revisionTemplate.spec.container", ""),
];

/// `model`, `tensorflow` and the like are containers without a name; v1alpha2 had `default` and
/// `canary` above them and `custom.container`.
const INFERENCE: &[Field] = &[
    pod("spec.predictor"),
    pod("spec.transformer"),
    pod("spec.explainer"),
    pod("spec.predictor.workerSpec"),
    container("spec.predictor.*", "spec.predictor"),
    container("spec.transformer.*", "spec.transformer"),
    container("spec.explainer.*", "spec.explainer"),
    container("spec.**.custom.container", ""),
];
