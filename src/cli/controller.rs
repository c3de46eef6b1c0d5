//! `pullproof controller`: the role beside the webhook that keeps its certificates and the status of
//! policies. Runs until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use clap::{Args, ValueEnum};

use super::{Exit, Failure};
use crate::cluster::lease::Clocks;
use crate::cluster::{self, Cluster};
use crate::controller::{self, Health, Settings, authority::Lifetimes};
use crate::settings::pod;
use crate::telemetry::{health, log};

/// However little changes, everything is looked at this often.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Keep the webhook's certificates and the status of policies
///
/// Several may run: one leads, by a Lease. Stops on SIGTERM and gives the Lease back.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where the Service, the Secret and the Lease are [default: this Pod's]
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// The Service that the webhooks call
    #[arg(long, value_name = "NAME", default_value = "pullproof")]
    service: String,
    /// Who makes the webhook's certificates
    #[arg(long, value_name = "WHO", default_value = "managed")]
    certificates: Certificates,
    /// The Secret that the certificates are kept in
    #[arg(long, value_name = "NAME", default_value = "pullproof-tls")]
    certificate_secret: String,
    /// The name of the mutating and of the validating webhook configuration
    #[arg(long, value_name = "NAME", default_value = "pullproof")]
    webhook_configuration: String,
    /// The Lease that says who leads
    #[arg(long, value_name = "NAME", default_value = "pullproof-controller")]
    lease: String,
    /// Where /metrics, /livez and /readyz are
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:9090")]
    metrics_listen: SocketAddr,
    /// The kubeconfig to use [default: KUBECONFIG, ~/.kube/config, this Pod's ServiceAccount]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Certificates {
    /// This controller, in a Secret, and the caBundles that trust them
    Managed,
    /// Someone else
    Off,
}

pub(super) fn run(arguments: Arguments, verbose: bool) -> Result<Exit, Failure> {
    log::start(verbose, std::io::stderr);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::fault(anyhow!(error).context("cannot start")))?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: Arguments) -> Result<Exit, Failure> {
    let options = cluster::Options {
        kubeconfig: arguments.kubeconfig.clone(),
        context: arguments.context.clone(),
    };
    let address = arguments.metrics_listen;
    let settings = checked(arguments)?;
    let cluster = Cluster::connect(&options).await.map_err(Failure::misuse)?;
    let health = Arc::new(Health::default());
    let port = super::serve::bind(address).await?;
    tracing::info!(
        namespace = settings.namespace,
        identity = settings.identity,
        "controller starts"
    );
    tokio::select! {
        () = controller::run(&cluster, &settings, &health, super::serve::stop()) => {
            tracing::info!("controller stops");
            Ok(Exit::Success)
        }
        ended = health::serve_on(port, Arc::clone(&health)) => {
            let reason = ended.err().map_or_else(|| "it ended".to_owned(), |error| error.to_string());
            Err(Failure::fault(anyhow!("the port {address} is lost: {reason}")))
        }
    }
}

fn checked(arguments: Arguments) -> Result<Settings, Failure> {
    let namespace = arguments.namespace.or_else(pod::namespace).ok_or_else(|| {
        Failure::misuse(anyhow!("this is no Pod of a cluster, and no namespace is named"))
            .hint("name the namespace of pullproof's Service: --namespace NAME")
    })?;
    let managed = arguments.certificates == Certificates::Managed;
    Ok(Settings {
        namespace,
        service: arguments.service,
        certificate_secret: managed.then_some(arguments.certificate_secret),
        webhook_configuration: arguments.webhook_configuration,
        lease: arguments.lease,
        identity: identity(),
        lifetimes: Lifetimes::default(),
        clocks: Clocks::default(),
        look_again: LOOK_AGAIN,
    })
}

/// The Pod's name, and a part that another start of the same Pod does not share.
fn identity() -> String {
    let name = pod::name().unwrap_or_else(|| "pullproof-controller".to_owned());
    format!("{name}_{:016x}", rand::random::<u64>())
}
