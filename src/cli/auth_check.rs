//! `auth check`: every credential that could pull an image, asked alone: does it work?

use std::path::PathBuf;

use clap::Args;

use super::auth::PodFiles;
use super::{Exit, Failure, Form, Out, inputs};
use crate::credential::Candidate;
use crate::diagnosis::standing;
use crate::image::Reference;
use crate::registry::Registry;
use crate::report::auth_check::{self, AuthCheck, Row};
use crate::settings::{Paths, Settings};

/// Ask the registry with each credential for an image alone: the Pod's, the node's, your own, none
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 no credential was refused, 1 one was, 2 usage
Without any credential the anonymous try is what counts.")]
pub(super) struct Check {
    image: String,
    #[command(flatten)]
    pod: PodFiles,
    /// Your own logins; default: REGISTRY_AUTH_FILE, or else Docker's config.json,
    /// DOCKER_AUTH_CONFIG and podman's auth.json
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// How registries are reached; default: pullproof/registries.toml in your config folder
    #[arg(long, value_name = "FILE")]
    registries: Option<PathBuf>,
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
    let settings = Settings::load(&Paths {
        registries: check.registries.clone(),
        authfile: check.authfile.clone(),
        ..Paths::default()
    })
    .map_err(Failure::misuse)?;
    if !settings.registries.host(reference.registry()).ask {
        let why = anyhow::anyhow!("the settings say that {} is not asked", reference.registry());
        return Err(Failure::misuse(why).hint("ask = true in registries.toml"));
    }
    let (pod, error) = match check.pod.keyring()? {
        Ok(keyring) => (keyring.lookup(reference.keyring_lookup()).candidates, None),
        Err(error) => (Vec::new(), Some(format!("keyring: {error}"))),
    };
    for note in &settings.notes {
        super::note(&format!("note: {note}"));
    }
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
