//! The way to the API server: the kubeconfig that was named, else the one that kubectl would take,
//! else the ServiceAccount of the Pod we run in. Errors never repeat what a kubeconfig holds.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

/// How long a connection to the API server may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// Which cluster is meant, as kubectl's flags of the same names.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub kubeconfig: Option<PathBuf>,
    pub context: Option<String>,
}

/// Why there is no way to a cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("no cluster to ask: there is no kubeconfig, and this is no Pod of a cluster")]
    NoCluster,
    #[error("the kubeconfig can not be used: {0}")]
    Kubeconfig(String),
    #[error("no client for the API server: {0}")]
    Client(String),
}

/// A cluster to ask.
#[derive(Clone)]
pub struct Cluster {
    pub(super) client: kube::Client,
    server: String,
}

impl Cluster {
    /// Finds the way to the cluster; asks nothing yet.
    pub async fn connect(options: &Options) -> Result<Self, Error> {
        let mut config = config(options).await?;
        config.connect_timeout = Some(CONNECT);
        // Deadlines are the caller's, and a watch has its own patience.
        config.default_retry = false;
        let server = config.cluster_url.authority().map(ToString::to_string).unwrap_or_default();
        let client = kube::Client::try_from(config).map_err(|error| match error {
            kube::Error::Auth(_) => Error::Client("its login can not be used".to_owned()),
            other => Error::Client(crate::text::clean(&other.to_string(), 200)),
        })?;
        Ok(Self { client, server })
    }

    /// A client for what is neither read nor watched here: the writes of the controller.
    pub(crate) fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// The host and port of the API server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The namespace of the context, or of the Pod we run in.
    pub fn default_namespace(&self) -> &str {
        self.client.default_namespace()
    }
}

/// Shows the server alone: the client holds logins.
impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("server", &self.server).finish_non_exhaustive()
    }
}

async fn config(options: &Options) -> Result<Config, Error> {
    let wanted = KubeConfigOptions { context: options.context.clone(), ..Default::default() };
    if let Some(path) = &options.kubeconfig {
        let read = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
        let config = Config::from_custom_kubeconfig(read, &wanted).await;
        return config.map_err(|error| unusable(&error));
    }
    match Config::from_kubeconfig(&wanted).await {
        Ok(config) => Ok(config),
        // Without any file there may still be the cluster around us; a broken file is told.
        Err(KubeconfigError::ReadConfig(..) | KubeconfigError::FindPath)
            if options.context.is_none() =>
        {
            Config::incluster().map_err(|_| Error::NoCluster)
        }
        Err(KubeconfigError::CurrentContextNotSet) if options.context.is_none() => {
            Config::incluster().map_err(|_| unusable(&KubeconfigError::CurrentContextNotSet))
        }
        Err(error) => Err(unusable(&error)),
    }
}

/// What is wrong with a kubeconfig, without a word of its content but names.
fn unusable(error: &KubeconfigError) -> Error {
    let text = match error {
        KubeconfigError::Parse(_) => "it is no valid YAML of a kubeconfig".to_owned(),
        KubeconfigError::ParseClusterUrl(_) => "its server is no URL".to_owned(),
        KubeconfigError::ParseProxyUrl(_) => "its proxy is no URL".to_owned(),
        KubeconfigError::LoadCertificateAuthority(_) | KubeconfigError::ParseCertificates(_) => {
            "its certificate authority can not be read".to_owned()
        }
        KubeconfigError::LoadClientCertificate(_) | KubeconfigError::LoadClientKey(_) => {
            "its client certificate or key can not be read".to_owned()
        }
        KubeconfigError::ReadConfig(error, path) => format!("{}: {error}", path.display()),
        other => other.to_string(),
    };
    Error::Kubeconfig(crate::text::clean(&text, 300))
}
