//! Operators of databases, queues, monitoring and storage.

use super::{Field, Keys, Row, container, image, init, pod, row};

const PROMETHEUS: &str = "prometheus-operator Documentation/api-reference";
const STRIMZI: &str = "strimzi/strimzi-kafka-operator documentation/modules/appendix_crds";
const ECK: &str = "elastic/cloud-on-k8s docs/reference/api-docs";
const CNPG: &str = "cloudnative-pg API";
const VM: &str = "VictoriaMetrics/operator docs/api";
const PERCONA: &str = "percona operators: deploy/cr";
const OTEL: &str = "open-telemetry/opentelemetry-operator docs/api";
const GRAFANA: &str = "grafana/grafana-operator docs/api";

pub(super) const ROWS: &[Row] = &[
    row(
        "monitoring.coreos.com",
        &["Prometheus", "PrometheusAgent", "Alertmanager", "ThanosRuler"],
        MONITORING,
        PROMETHEUS,
    ),
    row("kafka.strimzi.io", &["Kafka"], KAFKA, STRIMZI),
    row(
        "kafka.strimzi.io",
        &["KafkaConnect", "KafkaMirrorMaker", "KafkaMirrorMaker2", "KafkaBridge"],
        &[
            image("spec.image", "spec.template.pod"),
            image("spec.clientRackInitImage", "spec.template.pod"),
            image("spec.tracing.image", "spec.template.pod"),
        ],
        STRIMZI,
    ),
    row(
        "postgresql.cnpg.io",
        &["Cluster"],
        &[
            image("spec.imageName", "spec"),
            image("spec.postgresql.extensions[].image.reference", "spec"),
        ],
        CNPG,
    ),
    row(
        "postgresql.cnpg.io",
        &["Pooler"],
        &[pod("spec.template.spec"), image("spec.pgbouncer.image", "spec.template.spec")],
        CNPG,
    ),
    row(
        "postgresql.cnpg.io",
        &["ImageCatalog", "ClusterImageCatalog"],
        &[
            image("spec.images[].image", ""),
            image("spec.componentImages[].image", ""),
            image("spec.images[].extensions[].image.reference", ""),
        ],
        CNPG,
    ),
    row(
        "elasticsearch.k8s.elastic.co",
        &["Elasticsearch"],
        &[
            image("spec.image", "spec.nodeSets[].podTemplate.spec"),
            pod("spec.nodeSets[].podTemplate.spec"),
        ],
        ECK,
    ),
    row("kibana.k8s.elastic.co", &["Kibana"], ECK_FIELDS, ECK),
    row("apm.k8s.elastic.co", &["ApmServer"], ECK_FIELDS, ECK),
    row("enterprisesearch.k8s.elastic.co", &["EnterpriseSearch"], ECK_FIELDS, ECK),
    row("logstash.k8s.elastic.co", &["Logstash"], ECK_FIELDS, ECK),
    row("maps.k8s.elastic.co", &["ElasticMapsServer"], ECK_FIELDS, ECK),
    row("packageregistry.k8s.elastic.co", &["PackageRegistry"], ECK_FIELDS, ECK),
    row("beat.k8s.elastic.co", &["Beat"], ECK_AGENT, ECK),
    row("agent.k8s.elastic.co", &["Agent"], ECK_AGENT, ECK),
    row(
        "operator.victoriametrics.com",
        &[
            "VMAgent",
            "VMAlert",
            "VMAlertmanager",
            "VMSingle",
            "VMAuth",
            "VLogs",
            "VLSingle",
            "VMAnomaly",
        ],
        &[pod("spec"), PARTS_SPEC],
        VM,
    ),
    row(
        "operator.victoriametrics.com",
        &["VMCluster", "VLCluster", "VTCluster"],
        &[Field::Parts { path: "spec.*.image", keys: REPOSITORY_TAG, pod: "spec" }, pod("spec.*")],
        VM,
    ),
    row(
        "opentelemetry.io",
        &["OpenTelemetryCollector", "TargetAllocator", "OpAMPBridge"],
        &[pod("spec"), image("spec.image", "spec"), image("spec.targetAllocator.image", "spec")],
        OTEL,
    ),
    row("opentelemetry.io", &["Instrumentation"], &[image("spec.*.image", "")], OTEL),
    row(
        "jaegertracing.io",
        &["Jaeger"],
        &[image("spec.**.image", "spec")],
        "jaegertracing/jaeger-operator",
    ),
    row(
        "grafana.integreatly.org",
        &["Grafana"],
        &[pod("spec.deployment.spec.template.spec")],
        GRAFANA,
    ),
    row(
        "rabbitmq.com",
        &["RabbitmqCluster"],
        &[image("spec.image", "spec"), pod("spec.override.statefulSet.spec.template.spec")],
        "rabbitmq/cluster-operator",
    ),
    row(
        "minio.min.io",
        &["Tenant"],
        &[
            image("spec.image", "spec"),
            image("spec.kes.image", "spec"),
            image("spec.log.image", "spec"),
            image("spec.prometheus.image", "spec"),
            container("spec.sideCars.containers[]", "spec"),
        ],
        "minio/operator docs/tenant_crd",
    ),
    row(
        "databases.spotahome.com",
        &["RedisFailover"],
        &[
            image("spec.redis.image", "spec.redis"),
            image("spec.sentinel.image", "spec.sentinel"),
            image("spec.*.exporter.image", "spec.redis"),
        ],
        "spotahome/redis-operator",
    ),
    row(
        "redis.redis.opstreelabs.in",
        &["Redis", "RedisCluster", "RedisReplication", "RedisSentinel"],
        &[image("spec.**.image", "spec.kubernetesConfig")],
        "OT-CONTAINER-KIT/redis-operator",
    ),
    row(
        "mongodbcommunity.mongodb.com",
        &["MongoDBCommunity"],
        &[pod("spec.statefulSet.spec.template.spec")],
        "mongodb/mongodb-kubernetes-operator",
    ),
    row(
        "mysql.oracle.com",
        &["InnoDBCluster"],
        &[pod("spec.podSpec"), image("spec.router.podSpec.containers[].image", "spec")],
        "mysql/mysql-operator",
    ),
    row(
        "k8s.mariadb.com",
        &["MariaDB", "MaxScale"],
        &[image("spec.image", "spec"), image("spec.**.image", "spec")],
        "mariadb-operator",
    ),
    row("pxc.percona.com", &["PerconaXtraDBCluster"], PERCONA_FIELDS, PERCONA),
    row("psmdb.percona.com", &["PerconaServerMongoDB"], PERCONA_FIELDS, PERCONA),
    row("ps.percona.com", &["PerconaServerMySQL"], PERCONA_FIELDS, PERCONA),
    row("pgv2.percona.com", &["PerconaPGCluster"], PERCONA_FIELDS, PERCONA),
    row(
        "postgres-operator.crunchydata.com",
        &["PostgresCluster"],
        &[image("spec.**.image", "spec")],
        "CrunchyData/postgres-operator",
    ),
    row(
        "acid.zalan.do",
        &["postgresql"],
        &[
            image("spec.dockerImage", "spec"),
            image("spec.connectionPooler.dockerImage", "spec"),
            container("spec.sidecars[]", "spec"),
            init("spec.initContainers[]", "spec"),
        ],
        "zalando/postgres-operator docs/reference/cluster_manifest",
    ),
    row(
        "acid.zalan.do",
        &["OperatorConfiguration"],
        &[
            image("configuration.docker_image", ""),
            image("configuration.**.connection_pooler_image", ""),
            image("configuration.**.logical_backup_docker_image", ""),
        ],
        "zalando/postgres-operator",
    ),
    row(
        "clickhouse.altinity.com",
        &["ClickHouseInstallation", "ClickHouseInstallationTemplate"],
        &[
            pod("spec.templates.podTemplates[].spec"),
            pod("spec.configuration.clusters[].layout.shards[].replicas[].template.spec"),
        ],
        "Altinity/clickhouse-operator",
    ),
    row(
        "clickhouse-keeper.altinity.com",
        &["ClickHouseKeeperInstallation"],
        &[
            pod("spec.templates.podTemplates[].spec"),
            pod("spec.configuration.clusters[].layout.shards[].replicas[].template.spec"),
        ],
        "Altinity/clickhouse-operator",
    ),
    row(
        "cassandra.datastax.com",
        &["CassandraDatacenter"],
        &[
            image("spec.serverImage", "spec.podTemplateSpec.spec"),
            image("spec.systemLoggerImage", "spec"),
            image("spec.configBuilderImage", "spec"),
            pod("spec.podTemplateSpec.spec"),
        ],
        "k8ssandra/cass-operator",
    ),
    row(
        "scylla.scylladb.com",
        &["ScyllaCluster"],
        &[SCYLLA, SCYLLA_AGENT],
        "scylladb/scylla-operator",
    ),
    row(
        "core.humio.com",
        &["HumioCluster"],
        &[
            image("spec.image", "spec"),
            image("spec.helperImage", "spec"),
            image("spec.nodePools[].spec.image", "spec"),
            container("spec.sidecarContainer[]", "spec"),
        ],
        "humio/humio-operator",
    ),
    row(
        "solr.apache.org",
        &["SolrCloud", "SolrPrometheusExporter"],
        &[Field::Parts { path: "spec.**", keys: REPOSITORY_TAG, pod: "spec" }],
        "apache/solr-operator",
    ),
    row(
        "zookeeper.pravega.io",
        &["ZookeeperCluster"],
        &[Field::Parts { path: "spec.image", keys: REPOSITORY_TAG, pod: "spec.pod" }],
        "pravega/zookeeper-operator",
    ),
    row(
        "cluster.redpanda.com",
        &["Redpanda"],
        &[Field::Values("spec.clusterSpec")],
        "redpanda-data/redpanda-operator",
    ),
    row(
        "opensearch.opster.io",
        &["OpenSearchCluster"],
        &[image("spec.**.image", "spec.general")],
        "opensearch-project/opensearch-k8s-operator",
    ),
];

/// `baseImage`, `tag` and `sha` are the older spelling, joined as the operator does.
const MONITORING: &[Field] = &[
    pod("spec"),
    image("spec.image", "spec"),
    image("spec.thanos.image", "spec"),
    Field::Parts { path: "spec", keys: BASE_IMAGE, pod: "spec" },
    Field::Parts { path: "spec.thanos", keys: BASE_IMAGE, pod: "spec" },
];

const BASE_IMAGE: Keys = Keys { registry: "", repository: "baseImage", tag: "tag", digest: "sha" };
const REPOSITORY_TAG: Keys =
    Keys { registry: "", repository: "repository", tag: "tag", digest: "" };

const PARTS_SPEC: Field = Field::Parts { path: "spec.image", keys: REPOSITORY_TAG, pod: "spec" };
const SCYLLA: Field = Field::Parts {
    path: "spec",
    keys: Keys { registry: "", repository: "repository", tag: "version", digest: "" },
    pod: "spec",
};
const SCYLLA_AGENT: Field = Field::Parts {
    path: "spec",
    keys: Keys { registry: "", repository: "agentRepository", tag: "agentVersion", digest: "" },
    pod: "spec",
};

const KAFKA: &[Field] = &[
    image("spec.kafka.image", "spec.kafka.template.pod"),
    image("spec.kafka.brokerRackInitImage", "spec.kafka.template.pod"),
    image("spec.zookeeper.image", "spec.zookeeper.template.pod"),
    image("spec.entityOperator.*.image", "spec.entityOperator.template.pod"),
    image("spec.cruiseControl.image", "spec.cruiseControl.template.pod"),
    image("spec.kafkaExporter.image", "spec.kafkaExporter.template.pod"),
    image("spec.jmxTrans.image", "spec.jmxTrans.template.pod"),
];

const ECK_FIELDS: &[Field] =
    &[image("spec.image", "spec.podTemplate.spec"), pod("spec.podTemplate.spec")];

const ECK_AGENT: &[Field] = &[
    image("spec.image", "spec.deployment.podTemplate.spec"),
    pod("spec.deployment.podTemplate.spec"),
    pod("spec.daemonSet.podTemplate.spec"),
    pod("spec.statefulSet.podTemplate.spec"),
];

const PERCONA_FIELDS: &[Field] = &[
    image("spec.image", "spec"),
    image("spec.initImage", "spec"),
    image("spec.initContainer.image", "spec"),
    image("spec.*.image", "spec.pxc"),
    image("spec.*.*.image", "spec"),
];
