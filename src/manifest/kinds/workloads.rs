//! Workload controllers beside the built-in ones: rollouts, batch and training operators, wrappers.

use super::{Field, Row, TEMPLATE, container, image, init, pod, row};

const KUBEFLOW: &str = "kubeflow/trainer v1 API (formerly training-operator)";
const KRUISE: &str = "openkruise/kruise-api";

pub(super) const ROWS: &[Row] = &[
    row(
        "argoproj.io",
        &["Rollout"],
        TEMPLATE,
        "argoproj/argo-rollouts docs/features/specification",
    ),
    row("argoproj.io", &["Experiment"], &[pod("spec.templates[].template.spec")], "argo-rollouts"),
    row(
        "argoproj.io",
        &["AnalysisTemplate", "ClusterAnalysisTemplate", "AnalysisRun"],
        &[pod("spec.metrics[].provider.job.spec.template.spec")],
        "argo-rollouts docs/features/analysis",
    ),
    row(
        "apps.kruise.io",
        &["CloneSet", "StatefulSet", "DaemonSet", "BroadcastJob"],
        TEMPLATE,
        KRUISE,
    ),
    row(
        "apps.kruise.io",
        &["AdvancedCronJob"],
        &[
            pod("spec.template.jobTemplate.spec.template.spec"),
            pod("spec.template.broadcastJobTemplate.spec.template.spec"),
        ],
        KRUISE,
    ),
    row(
        "apps.kruise.io",
        &["UnitedDeployment"],
        &[
            pod("spec.template.statefulSetTemplate.spec.template.spec"),
            pod("spec.template.advancedStatefulSetTemplate.spec.template.spec"),
            pod("spec.template.cloneSetTemplate.spec.template.spec"),
            pod("spec.template.deploymentTemplate.spec.template.spec"),
        ],
        KRUISE,
    ),
    row("apps.kruise.io", &["SidecarSet"], &[pod("spec")], KRUISE),
    row("apps.kruise.io", &["ImagePullJob"], &[PULL_JOB], KRUISE),
    row("apps.kruise.io", &["ImageListPullJob"], &[PULL_LIST], KRUISE),
    row(
        "jobset.x-k8s.io",
        &["JobSet"],
        &[pod("spec.replicatedJobs[].template.spec.template.spec")],
        "kubernetes-sigs/jobset API",
    ),
    row(
        "leaderworkerset.x-k8s.io",
        &["LeaderWorkerSet"],
        &[
            pod("spec.leaderWorkerTemplate.leaderTemplate.spec"),
            pod("spec.leaderWorkerTemplate.workerTemplate.spec"),
        ],
        "kubernetes-sigs/lws API",
    ),
    row("ray.io", &["RayCluster"], &[RAY[0], RAY[1], RAY[2], RAY[3], RAY[4]], KUBERAY),
    row(
        "ray.io",
        &["RayJob"],
        &[
            pod("spec.rayClusterSpec.headGroupSpec.template.spec"),
            pod("spec.rayClusterSpec.workerGroupSpecs[].template.spec"),
            pod("spec.submitterPodTemplate.spec"),
        ],
        KUBERAY,
    ),
    row(
        "ray.io",
        &["RayService"],
        &[
            pod("spec.rayClusterConfig.headGroupSpec.template.spec"),
            pod("spec.rayClusterConfig.workerGroupSpecs[].template.spec"),
        ],
        KUBERAY,
    ),
    row(
        "ray.io",
        &["RayCronJob"],
        &[
            pod("spec.jobTemplate.rayClusterSpec.headGroupSpec.template.spec"),
            pod("spec.jobTemplate.rayClusterSpec.workerGroupSpecs[].template.spec"),
            pod("spec.jobTemplate.submitterPodTemplate.spec"),
        ],
        KUBERAY,
    ),
    row(
        "kubeflow.org",
        &["PyTorchJob", "TFJob", "XGBoostJob", "PaddleJob", "JAXJob", "MXJob", "MPIJob"],
        &[pod("spec.*.*.template.spec")],
        KUBEFLOW,
    ),
    row("kubeflow.org", &["Notebook"], TEMPLATE, "kubeflow/kubeflow notebook-controller"),
    row(
        "kubeflow.org",
        &["Experiment"],
        &[pod("spec.trialTemplate.trialSpec.spec.template.spec")],
        "kubeflow/katib",
    ),
    row(
        "trainer.kubeflow.org",
        &["TrainingRuntime", "ClusterTrainingRuntime"],
        &[pod("spec.template.spec.replicatedJobs[].template.spec.template.spec")],
        "kubeflow/trainer v1alpha1",
    ),
    row(
        "trainer.kubeflow.org",
        &["TrainJob"],
        &[image("spec.trainer.image", "")],
        "kubeflow/trainer",
    ),
    row("batch.volcano.sh", &["Job"], &[pod("spec.tasks[].template.spec")], "volcano-sh/apis"),
    row(
        "flow.volcano.sh",
        &["JobTemplate"],
        &[pod("spec.tasks[].template.spec")],
        "volcano-sh/apis",
    ),
    row("sparkoperator.k8s.io", &["SparkApplication"], SPARK, "kubeflow/spark-operator"),
    row("sparkoperator.k8s.io", &["ScheduledSparkApplication"], SPARK_TEMPLATE, "spark-operator"),
    row(
        "flink.apache.org",
        &["FlinkDeployment"],
        &[
            image("spec.image", "spec.podTemplate.spec"),
            pod("spec.podTemplate.spec"),
            pod("spec.jobManager.podTemplate.spec"),
            pod("spec.taskManager.podTemplate.spec"),
        ],
        "apache/flink-kubernetes-operator",
    ),
    row("keda.sh", &["ScaledJob"], &[pod("spec.jobTargetRef.template.spec")], "kedacore/keda"),
    row("spot.io", &["SpotDeployment"], TEMPLATE, "spot.io"),
    row("agents.x-k8s.io", &["Sandbox"], &[pod("spec.podTemplate.spec")], SANDBOX),
    row(
        "extensions.agents.x-k8s.io",
        &["SandboxTemplate"],
        &[pod("spec.podTemplate.spec")],
        SANDBOX,
    ),
    row("actions.summerwind.dev", &["RunnerDeployment", "RunnerSet"], RUNNER_TEMPLATE, RUNNERS),
    row("actions.summerwind.dev", &["Runner"], RUNNER, RUNNERS),
    row(
        "actions.github.com",
        &["AutoscalingRunnerSet", "EphemeralRunnerSet", "EphemeralRunner"],
        TEMPLATE,
        RUNNERS,
    ),
    row(
        "kubevirt.io",
        &["VirtualMachine", "VirtualMachineInstanceReplicaSet"],
        &[
            image("spec.template.spec.volumes[].containerDisk.image", ""),
            image("spec.template.spec.domain.firmware.kernelBoot.container.image", ""),
        ],
        "kubevirt/api core/v1",
    ),
    row(
        "kubevirt.io",
        &["VirtualMachineInstance"],
        &[
            image("spec.volumes[].containerDisk.image", ""),
            image("spec.domain.firmware.kernelBoot.container.image", ""),
        ],
        "kubevirt/api core/v1",
    ),
    row(
        "core.oam.dev",
        &["Application"],
        &[image("spec.components[].properties.image", "")],
        "kubevela core.oam.dev/v1beta1",
    ),
    row("openfaas.com", &["Function"], &[image("spec.image", "")], "openfaas/faas-netes"),
    row(
        "core.spinkube.dev",
        &["SpinApp"],
        &[image("spec.image", "spec")],
        "spinkube/spin-operator",
    ),
];

const KUBERAY: &str = "ray-project/kuberay docs/reference/api";
const SANDBOX: &str = "kubernetes-sigs/agent-sandbox";
const RUNNERS: &str = "actions/actions-runner-controller";

const PULL_JOB: Field = Field::Image { path: "spec.image", pod: "spec" };
const PULL_LIST: Field = Field::Image { path: "spec.images[]", pod: "spec" };

const RAY: [Field; 5] = [
    pod("spec.headGroupSpec.template.spec"),
    pod("spec.workerGroupSpecs[].template.spec"),
    image("spec.autoscalerOptions.image", "spec.headGroupSpec.template.spec"),
    image("spec.historyServerOptions.collectorOptions.image", "spec.headGroupSpec.template.spec"),
    image("spec.historyServerOptions.image", "spec.headGroupSpec.template.spec"),
];

const SPARK: &[Field] = &[
    image("spec.image", "spec"),
    image("spec.driver.image", "spec"),
    image("spec.executor.image", "spec"),
    container("spec.*.sidecars[]", "spec"),
    init("spec.*.initContainers[]", "spec"),
];

const SPARK_TEMPLATE: &[Field] = &[
    image("spec.template.image", "spec.template"),
    image("spec.template.driver.image", "spec.template"),
    image("spec.template.executor.image", "spec.template"),
    container("spec.template.*.sidecars[]", "spec.template"),
    init("spec.template.*.initContainers[]", "spec.template"),
];

const RUNNER: &[Field] =
    &[pod("spec"), image("spec.image", "spec"), image("spec.dockerImage", "spec")];

const RUNNER_TEMPLATE: &[Field] = &[
    pod("spec.template.spec"),
    image("spec.template.spec.image", "spec.template.spec"),
    image("spec.template.spec.dockerImage", "spec.template.spec"),
];
