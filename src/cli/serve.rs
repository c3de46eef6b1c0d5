//! `pullproof serve`: the admission webhook.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;

use super::{Exit, Failure, Out};
use crate::admission::server::{self, App};
use crate::admission::sources::InCluster;
use crate::admission::throttle::Throttle;
use crate::admission::tls::{self, Tls};
use crate::admission::{Detail, Sources, Webhook};
use crate::cluster::{self, Cluster, Events, Namespaces, Nodes, Policies, Secrets};
use crate::image::Platform;
use crate::pipeline::{Credentials, Options};
use crate::policy::ByDefault;
use crate::registry::{Door, Guard, Registry};
use crate::settings::{Limits, Paths, Settings};
use crate::telemetry::{self, health};

/// Answer a cluster's admission reviews: will the images of this Pod pull?
///
/// Serves HTTPS with /mutate, /validate, /readyz and /livez. It only reads from the cluster.
#[derive(Debug, Args)]
#[command(after_help = "Try it without a cluster:
  pullproof serve --no-cluster --policies policies/ --tls-cert tls.crt --tls-key tls.key --listen 127.0.0.1:8443")]
pub(super) struct Arguments {
    /// Where the API server calls
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8443")]
    listen: SocketAddr,
    /// Where /metrics, /readyz and /livez are served without TLS
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:9090")]
    metrics_listen: SocketAddr,
    /// Certificate chain, PEM; read again when it changes
    #[arg(long, value_name = "FILE")]
    tls_cert: PathBuf,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE")]
    tls_key: PathBuf,
    /// Ask callers for a certificate of these authorities, PEM
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,
    /// Common or DNS name that a caller's certificate must have (repeatable)
    #[arg(long, value_name = "NAME", requires = "client_ca")]
    client_name: Vec<String>,
    /// Know no cluster: policies come from --policies, secrets and nodes are not read
    #[arg(long)]
    no_cluster: bool,
    /// Folder of ImageCheckPolicies (.yaml, .yml, .json), instead of those in the cluster
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// Kubeconfig to reach the cluster by [default: KUBECONFIG, ~/.kube/config, or the Pod's own account]
    #[arg(long, value_name = "FILE", conflicts_with = "no_cluster")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME", conflicts_with = "no_cluster")]
    context: Option<String>,
    /// How registries are reached [default: the user's configuration folder]
    #[arg(long, value_name = "FILE")]
    registries: Option<PathBuf>,
    /// How much an answer tells whoever sent the review
    #[arg(long, value_name = "HOW", default_value = "full")]
    answer_detail: AnswerDetail,
    /// Platform that images must offer, for nodes that do not exist yet (repeatable)
    #[arg(long, value_name = "OS/ARCH", value_parser = super::validate::platform)]
    platform: Vec<Platform>,
    /// Runtime of the nodes, where they can not be read (repeatable)
    #[arg(long, value_name = "NAME")]
    runtime: Vec<super::validate::RuntimeName>,
    /// Cold questions a second that one namespace may cause; 0: no limit
    #[arg(long, value_name = "N", default_value_t = 50)]
    namespace_rate: u32,
    /// Seconds between the signal to stop and the end of the connections
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    shutdown_delay: u64,
    /// Threads that answer [default: one a core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

const STACK: usize = 8 << 20;

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum AnswerDetail {
    /// Cause, evidence and advice
    Full,
    /// The same words for everything
    Coarse,
}

pub(super) fn run(arguments: Arguments, verbose: bool, _: &Out) -> Result<Exit, Failure> {
    telemetry::log::start(verbose, std::io::stderr);
    let mut settings = Settings::load(&Paths {
        registries: arguments.registries.clone(),
        authfile: None,
        without_own_logins: true,
    })
    .map_err(Failure::misuse)?;
    settings.limits = Limits::webhook();
    for note in &settings.notes {
        tracing::warn!(note, "settings");
    }
    let tls = Tls::open(tls::Files {
        certificate: arguments.tls_cert.clone(),
        key: arguments.tls_key.clone(),
        client_ca: arguments.client_ca.clone(),
    })
    .map_err(Failure::misuse)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    // Memory that is used only where it is needed; a review too deep for its stack would end them all.
    runtime.thread_stack_size(STACK);
    if let Some(threads) = arguments.threads {
        runtime.worker_threads(threads.max(1));
    }
    let runtime = runtime.enable_all().build().map_err(Failure::fault)?;
    runtime.block_on(serve(arguments, settings, tls))
}

async fn serve(arguments: Arguments, settings: Settings, tls: Tls) -> Result<Exit, Failure> {
    let (sources, refuse, watching) = sources(&arguments).await?;
    let guard = Guard {
        door: Door::Cluster,
        allow: settings.registries.allow_addresses.clone(),
        public_only: settings.registries.public_only,
        refuse,
    };
    let webhook = Webhook {
        registry: Registry::new(&settings, guard),
        settings,
        sources,
        options: Options {
            platforms: arguments.platform,
            runtimes: super::validate::runtimes(&arguments.runtime),
            credentials: Credentials::Pod,
            by_default: ByDefault::Warn,
            ..Options::default()
        },
        detail: match arguments.answer_detail {
            AnswerDetail::Full => Detail::Full,
            AnswerDetail::Coarse => Detail::Coarse,
        },
        throttle: Arc::new(Throttle::new(
            arguments.namespace_rate,
            arguments.namespace_rate.saturating_mul(4),
        )),
    };
    let app = Arc::new(App::new(webhook, tls, arguments.client_name));
    let listener = bind(arguments.listen).await?;
    let metrics = bind(arguments.metrics_listen).await?;
    tracing::info!(address = %local(&listener), metrics = %local(&metrics), "serving");
    let delay = Duration::from_secs(arguments.shutdown_delay);
    let certificate = app.tls.watch(|changed| match changed {
        Ok(()) => tracing::info!("the certificate was changed"),
        Err(error) => {
            app.metrics.reload_errors.inc();
            tracing::error!(%error, "a changed certificate can not be used; the one before stays");
        }
    });
    let ended = |what: &str| Err(Failure::fault(anyhow::anyhow!("{what} ended")));
    // The first to end ends the process.
    tokio::select! {
        () = server::serve(listener, Arc::clone(&app), stop(), delay) => Ok(Exit::Success),
        () = certificate => ended("the watch of the certificate"),
        () = watching => ended("the watch of the cluster"),
        _ = health::serve_on(metrics, Arc::clone(&app)) => ended("the metrics port"),
    }
}

/// What reviews are judged by, where the API server is, and the work that keeps it up to date.
async fn sources(
    arguments: &Arguments,
) -> Result<(Sources, Vec<SocketAddr>, BoxFuture<'static, ()>), Failure> {
    let of_files = arguments.policies.as_deref().map(Policies::from_dir).transpose();
    let of_files = of_files.map_err(|reason| Failure::misuse(anyhow::anyhow!(reason)))?;
    if arguments.no_cluster {
        let policies = of_files.unwrap_or_else(|| Policies::fixed(Vec::new()));
        return Ok((Sources::of_files(policies), Vec::new(), Box::pin(std::future::pending())));
    }
    let cluster = Cluster::connect(&cluster::Options {
        kubeconfig: arguments.kubeconfig.clone(),
        context: arguments.context.clone(),
    })
    .await
    .map_err(|error| {
        Failure::misuse(error)
            .hint("without a cluster: pullproof serve --no-cluster --policies DIR")
    })?;
    tracing::info!(server = cluster.server(), "cluster");
    let (policies, policies_work) = match of_files {
        Some(policies) => (policies, None),
        None => {
            let (policies, work) = Policies::watch(&cluster);
            (policies, Some(work))
        }
    };
    let instance = crate::settings::pod::name().unwrap_or_else(|| "pullproof".to_owned());
    let (namespaces, namespaces_work) = Namespaces::new(&cluster);
    let (nodes, nodes_work) = Nodes::watch(&cluster);
    let (events, events_work) = Events::new(&cluster, "pullproof-webhook", &instance);
    let in_cluster = InCluster { secrets: Secrets::new(&cluster), namespaces, nodes, events };
    let work = async move {
        let policies_work = async {
            match policies_work {
                Some(work) => work.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = policies_work => {}
            () = namespaces_work => {}
            () = nodes_work => {}
            () = events_work => {}
        }
    };
    let servers = servers(cluster.server()).await.unwrap_or_else(|error| {
        // Reviews go on: its certificate and its answers are no registry's either.
        let server = cluster.server();
        tracing::warn!(%error, server, "no address was found of the API server; an image may name it as its registry");
        Vec::new()
    });
    Ok((Sources { policies, cluster: Some(in_cluster) }, servers, Box::pin(work)))
}

/// The addresses of the API server, by its `host[:port]`: in a cluster that of its Service. Those
/// behind it are not read, for which the chart gives no right.
async fn servers(authority: &str) -> io::Result<Vec<SocketAddr>> {
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let named = if has_port { authority.to_owned() } else { format!("{authority}:443") };
    let found: Vec<_> = tokio::net::lookup_host(named).await?.collect();
    match found.is_empty() {
        true => Err(io::Error::other("the name has no address")),
        false => Ok(found),
    }
}

pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::misuse(anyhow::Error::new(error).context(format!("cannot listen on {address}")))
    })
}

fn local(listener: &TcpListener) -> String {
    listener.local_addr().map(|address| address.to_string()).unwrap_or_default()
}

/// Ends when the process is asked to.
pub(super) async fn stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let ended = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! { _ = ended => {}, _ = terminated.recv() => {} }
        }
        Err(_) => drop(ended.await),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_api_server_is_found_by_its_authority_or_the_failure_is_told() {
        for (authority, address) in [
            ("10.96.0.1", "10.96.0.1:443"),
            ("10.96.0.1:6443", "10.96.0.1:6443"),
            ("[fd00::1]", "[fd00::1]:443"),
            ("[fd00::1]:6443", "[fd00::1]:6443"),
        ] {
            assert_eq!(servers(authority).await.unwrap(), [address.parse().unwrap()]);
        }
        assert!(servers("no name:6443").await.is_err());
    }
}
