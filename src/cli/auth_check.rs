//! `auth check`: every credential that could pull an image, asked alone: does it work?

use std::time::Instant;

use clap::Args;

use super::auth::PodFiles;
use super::cluster::{self, WhichCluster};
use super::inputs::{self, Reach};
use super::{Exit, Failure, Form, Out};
use crate::cluster::Secrets;
use crate::credential::Candidate;
use crate::diagnosis::standing;
use crate::image::Reference;
use crate::image::usage::Workload;
use crate::registry::Registry;
use crate::report::auth_check::{self, AuthCheck, Row};
use crate::settings::Settings;

/// Ask the registry with each credential for an image alone: the Pod's, the node's, your own, none
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 no credential was refused, 1 one was, 2 usage
Without any credential the anonymous try is what counts.")]
pub(super) struct Check {
    image: String,
    #[command(flatten)]
    pod: PodFiles,
    /// Take the pull secrets of a ServiceAccount, or those named, from the cluster of your kubeconfig
    #[arg(long, conflicts_with_all = ["secrets", "node_config"])]
    from_cluster: bool,
    #[command(flatten)]
    which: WhichCluster,
    /// The ServiceAccount whose pull secrets a Pod would get [default: default]
    #[arg(long, value_name = "NAME", requires = "from_cluster")]
    service_account: Option<String>,
    /// A pull secret that the Pod names, in its order, instead of those of the account (repeatable)
    #[arg(long, value_name = "NAME", requires = "from_cluster")]
    pull_secret: Vec<String>,
    #[command(flatten)]
    reach: Reach,
    /// Form of the answer
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Form,
}

/// Runs the command.
pub(super) fn run(check: Check, out: &Out) -> Result<Exit, Failure> {
    let reference = Reference::parse(&check.image).map_err(|error| {
        let text = crate::text::clean(&check.image, crate::text::SHOWN);
        let why = error.describe(&check.image);
        Failure::misuse(anyhow::anyhow!("\"{text}\" is no image reference: {why}"))
    })?;
    let settings = check.reach.settings(true)?;
    if !settings.registries.host(reference.registry()).ask {
        let why = anyhow::anyhow!("the settings say that {} is not asked", reference.registry());
        return Err(Failure::misuse(why).hint("ask = true in registries.toml"));
    }
    let (pod, error) = if check.from_cluster {
        of_cluster(&check, &reference)?
    } else if check.which.is_named() {
        return Err(Failure::misuse(anyhow::anyhow!("no cluster is asked")).hint("--from-cluster"));
    } else {
        match check.pod.keyring()? {
            Ok(keyring) => (keyring.lookup(reference.keyring_lookup()).candidates, None),
            Err(error) => (Vec::new(), Some(format!("keyring: {error}"))),
        }
    };
    let registry = inputs::registry(&settings);
    let rows = inputs::runtime()?.block_on(rows(&registry, &settings, &reference, &pod));
    let shown = AuthCheck {
        image: &check.image,
        lookup: reference.keyring_lookup(),
        error: error.as_deref(),
        rows: &rows,
    };
    out.print(&match check.output {
        Form::Text => auth_check::text(&shown),
        Form::Json => auth_check::json(&shown),
    })?;
    Ok(if error.is_some() || is_refused(&rows) { Exit::Denied } else { Exit::Success })
}

/// The candidates of a Pod of the cluster, and why a kubelet could not make its keyring; what could
/// not be read is told.
fn of_cluster(
    check: &Check,
    reference: &Reference,
) -> Result<(Vec<Candidate>, Option<String>), Failure> {
    let login = inputs::runtime()?.block_on(async {
        let cluster = check.which.connect().await?;
        let pod = Workload {
            service_account: check.service_account.clone(),
            pull_secrets: check.pull_secret.clone(),
            ..Workload::default()
        };
        let namespace = check.which.namespace(&cluster);
        let deadline = Instant::now() + cluster::LOGIN;
        Ok::<_, Failure>(Secrets::new(&cluster).login(&namespace, &pod, deadline).await)
    })?;
    for secret in &login.known.missing {
        super::note(&format!("note: {secret} does not exist"));
    }
    for (secret, reason) in &login.known.ignored {
        super::note(&format!("note: {secret} is ignored by the kubelet: {reason}"));
    }
    for unread in &login.known.unread {
        super::note(&format!("note: {unread} could not be read"));
    }
    for right in &login.known.rights_missing {
        super::note(&format!("note: {right}"));
    }
    let error =
        login.broken.as_ref().map(|(secret, reason)| format!("keyring: {secret}: {reason}"));
    Ok((login.keyring.lookup(reference.keyring_lookup()).candidates, error))
}

/// The Pod's and the node's candidates, the person's own, and nobody.
async fn rows(
    registry: &Registry,
    settings: &Settings,
    reference: &Reference,
    pod: &[Candidate],
) -> Vec<Row> {
    let own = settings.own_logins().of(reference).await;
    let logins: Vec<&Candidate> = pod.iter().chain(&own.candidates).collect();
    let attempts = registry.ask_each(reference, &logins).await;
    let standings = attempts.iter().map(standing);
    // The last attempt is nobody's.
    let mut rows: Vec<Row> = logins
        .iter()
        .map(|login| Some(*login))
        .chain([None])
        .zip(standings)
        .map(|(login, standing)| match login {
            Some(login) => Row::of(login, standing),
            None => Row::anonymous(standing),
        })
        .collect();
    let failed = own.failures.iter().map(Row::failed);
    rows.splice(logins.len()..logins.len(), failed);
    rows
}

/// The anonymous try counts where there is nothing else: a kubelet makes it only then.
fn is_refused(rows: &[Row]) -> bool {
    let logins = rows.iter().filter(|row| !row.is_anonymous()).count();
    rows.iter().any(|row| row.standing.works == Some(false) && (logins == 0 || !row.is_anonymous()))
}
