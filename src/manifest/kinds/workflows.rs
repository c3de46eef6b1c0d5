//! Pipelines: Argo Workflows and Events, Tekton, Numaflow, Shipwright. Steps need no name.

use super::{Field, Row, container, image, init, pod, row, sidecar};

const ARGO: &str = "argoproj/argo-workflows docs/fields";
const EVENTS: &str = "argoproj/argo-events API";
const TEKTON: &str = "tektoncd/pipeline docs/pipeline-api";
const NUMAFLOW: &str = "numaproj/numaflow API";
const NUMAPLANE: &str = "numaproj/numaplane API";
const SHIPWRIGHT: &str = "shipwright-io/build";

pub(super) const ROWS: &[Row] = &[
    row(
        "argoproj.io",
        &["Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate"],
        &[
            container("spec.templates.**.container", "spec"),
            container("spec.templates.**.script", "spec"),
            container("spec.templates.**.containerSet.containers[]", "spec"),
            container("spec.templates.**.data.source", "spec"),
            init("spec.templates.**.initContainers[]", "spec"),
            sidecar("spec.templates.**.sidecars[]", "spec"),
            container("spec.templateDefaults.container", "spec"),
            container("spec.templateDefaults.script", "spec"),
            container("spec.executorPlugins[].spec.sidecar.container", "spec"),
        ],
        ARGO,
    ),
    row(
        "argoproj.io",
        &["CronWorkflow"],
        &[
            container("spec.workflowSpec.templates.**.container", "spec.workflowSpec"),
            container("spec.workflowSpec.templates.**.script", "spec.workflowSpec"),
            container(
                "spec.workflowSpec.templates.**.containerSet.containers[]",
                "spec.workflowSpec",
            ),
            init("spec.workflowSpec.templates.**.initContainers[]", "spec.workflowSpec"),
            sidecar("spec.workflowSpec.templates.**.sidecars[]", "spec.workflowSpec"),
            container("spec.workflowSpec.templateDefaults.container", "spec.workflowSpec"),
            container("spec.workflowSpec.templateDefaults.script", "spec.workflowSpec"),
        ],
        ARGO,
    ),
    row(
        "argoproj.io",
        &["ExecutorPlugin"],
        &[sidecar("spec.sidecar.container", "")],
        "argo-workflows docs/executor_plugins",
    ),
    row(
        "argoproj.io",
        &["EventSource", "Sensor"],
        &[container("spec.template.container", "spec.template"), pod("spec.template")],
        EVENTS,
    ),
    row(
        "argoproj.io",
        &["EventBus"],
        &[
            container("spec.nats.native.containerTemplate", "spec.nats.native"),
            container("spec.jetstream.containerTemplate", "spec.jetstream"),
        ],
        EVENTS,
    ),
    row("tekton.dev", &["Task", "ClusterTask"], TASK, TEKTON),
    row("tekton.dev", &["StepAction"], &[image("spec.image", "")], TEKTON),
    row(
        "tekton.dev",
        &["TaskRun"],
        &[
            container("spec.taskSpec.steps[]", "spec.podTemplate"),
            sidecar("spec.taskSpec.sidecars[]", "spec.podTemplate"),
            container("spec.taskSpec.stepTemplate", "spec.podTemplate"),
        ],
        TEKTON,
    ),
    row(
        "tekton.dev",
        &["Pipeline"],
        &[
            container("spec.**.taskSpec.steps[]", ""),
            sidecar("spec.**.taskSpec.sidecars[]", ""),
            container("spec.**.taskSpec.stepTemplate", ""),
        ],
        TEKTON,
    ),
    row(
        "tekton.dev",
        &["PipelineRun"],
        &[
            container("spec.pipelineSpec.**.taskSpec.steps[]", RUN_POD),
            sidecar("spec.pipelineSpec.**.taskSpec.sidecars[]", RUN_POD),
            container("spec.pipelineSpec.**.taskSpec.stepTemplate", RUN_POD),
        ],
        TEKTON,
    ),
    row(
        "shipwright.io",
        &["ClusterBuildStrategy", "BuildStrategy"],
        &[container("spec.steps[]", ""), container("spec.buildSteps[]", "")],
        SHIPWRIGHT,
    ),
    row(
        "numaflow.numaproj.io",
        &["MonoVertex", "Vertex"],
        &[container("spec.**.container", "spec")],
        NUMAFLOW,
    ),
    row(
        "numaflow.numaproj.io",
        &["Pipeline"],
        &[
            container("spec.vertices[].**.container", "spec.vertices[]"),
            sidecar("spec.vertices[].sidecars[]", "spec.vertices[]"),
            init("spec.vertices[].initContainers[]", "spec.vertices[]"),
        ],
        NUMAFLOW,
    ),
    row(
        "numaplane.numaproj.io",
        &["MonoVertexRollout"],
        &[container("spec.monoVertex.spec.**.container", "spec.monoVertex.spec")],
        NUMAPLANE,
    ),
    row(
        "numaplane.numaproj.io",
        &["PipelineRollout"],
        &[container("spec.pipeline.spec.vertices[].**.container", "")],
        NUMAPLANE,
    ),
    row(
        "dataflow.argoproj.io",
        &["Pipeline"],
        &[
            container("spec.steps[].container", "spec"),
            container("spec.steps[].git", "spec"),
            container("spec.steps[].code", "spec"),
        ],
        "argoproj-labs/argo-dataflow",
    ),
];

const RUN_POD: &str = "spec.taskRunTemplate.podTemplate";

const TASK: &[Field] = &[
    container("spec.steps[]", ""),
    sidecar("spec.sidecars[]", ""),
    container("spec.stepTemplate", ""),
];
