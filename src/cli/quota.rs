//! `quota`: what is left of Docker Hub's pull limit, without a login and with each of one's own?

use std::collections::BTreeSet;

use clap::Args;

use super::inputs::{self, Reach};
use super::{Exit, Failure, Form, Out};
use crate::credential::Candidate;
use crate::diagnosis::evidence::{Quota, Trouble};
use crate::diagnosis::{Cause, Reason};
use crate::image::Reference;
use crate::registry::Registry;
use crate::report::quota::{self, Answer, Quotas};
use crate::settings::Settings;

/// Show what is left of Docker Hub's pull limit, without a login and with your own; counts as no pull
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 enough is left or no limit is told, 1 fewer than --warn-below, 2 usage

Examples:
  pullproof quota --warn-below 50
  pullproof quota --image registry.example/mirror/alpine:3"
)]
pub(super) struct Arguments {
    /// The registry; default: docker.io
    registry: Option<String>,
    /// Ask by this image, for registries other than Docker Hub
    #[arg(long, value_name = "REF")]
    image: Option<String>,
    /// Fewer pulls left than this are too few
    #[arg(long, value_name = "N", default_value_t = 20)]
    warn_below: u64,
    #[command(flatten)]
    reach: Reach,
    /// Form of the answer
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Form,
}

/// The image Docker keeps for this question.
const PREVIEW: &str = "docker.io/ratelimitpreview/test:latest";
const HUB: [&str; 4] = ["docker.io", "index.docker.io", "registry-1.docker.io", "hub.docker.com"];

/// Runs the command.
pub(super) fn run(arguments: Arguments, out: &Out) -> Result<Exit, Failure> {
    let reference = asked_by(arguments.registry.as_deref(), arguments.image.as_deref())?;
    let settings = arguments.reach.settings(true)?;
    let registry = inputs::registry(&settings);
    let runtime = inputs::runtime()?;
    let answers = runtime.block_on(ask(&registry, &settings, &reference));
    let below = answers.iter().any(|answer| answer.is_below(arguments.warn_below));
    let (registry, image) = (reference.registry().to_owned(), reference.pull_ref());
    let quotas = Quotas { registry, image, answers };
    out.print(&match arguments.output {
        Form::Text => quota::text(&quotas, arguments.warn_below),
        Form::Json => quota::json(&quotas),
    })?;
    Ok(if below { Exit::Denied } else { Exit::Success })
}

/// The image by which the registry is asked.
fn asked_by(registry: Option<&str>, image: Option<&str>) -> Result<Reference, Failure> {
    let is_hub = |name: &str| HUB.iter().any(|hub| name.eq_ignore_ascii_case(hub));
    let Some(image) = image else {
        return match registry {
            Some(name) if !is_hub(name) => Err(Failure::misuse(anyhow::anyhow!(
                "{name} is not known to tell a pull limit; only Docker Hub has an image to ask by"
            ))
            .hint(format!(
                "pullproof quota --image {name}/REPOSITORY:TAG reads what one of its images tells"
            ))),
            _ => parse(PREVIEW),
        };
    };
    let reference = parse(image)?;
    match registry {
        Some(name)
            if !(name == reference.registry() || is_hub(name) && reference.is_docker_hub()) =>
        {
            Err(Failure::misuse(anyhow::anyhow!("{image} is not an image of {name}")))
        }
        _ => Ok(reference),
    }
}

fn parse(image: &str) -> Result<Reference, Failure> {
    Reference::parse(image).map_err(|error| {
        Failure::misuse(anyhow::anyhow!(
            "\"{image}\" is no image reference: {}",
            error.describe(image)
        ))
    })
}

/// Asks as nobody, then with each login once.
async fn ask(registry: &Registry, settings: &Settings, reference: &Reference) -> Vec<Answer> {
    let mut answers = vec![answer(None, registry.quota(reference, None).await)];
    let own = settings.own_logins().of(reference).await;
    for failed in &own.failures {
        super::note(&format!("note: {}", failed.failure));
    }
    let logins = own.candidates;
    let mut asked = BTreeSet::new();
    for login in logins.iter().filter(|login| asked.insert(registry.identity(login))) {
        answers.push(if login.credential.sends_nothing() {
            let error = Some("the login has no password, so it is never sent".to_owned());
            Answer { credential: Some(named(login)), quota: Quota::default(), error }
        } else {
            answer(Some(login), registry.quota(reference, Some(login)).await)
        });
    }
    answers
}

fn named(login: &Candidate) -> (String, String) {
    (login.credential.user().into_owned(), login.source.to_string())
}

fn answer(login: Option<&Candidate>, told: Result<Quota, Trouble>) -> Answer {
    let credential = login.map(named);
    match told {
        Ok(quota) => Answer { credential, quota, error: None },
        Err(Trouble { reason, host, status, text }) => {
            // Who is refused for pulling too much has nothing left.
            let limited = reason == Reason::Seen(Cause::RateLimited);
            let quota = Quota { remaining: limited.then_some(0), ..Quota::default() };
            let status = status.map(|status| format!("{status} ")).unwrap_or_default();
            Answer { credential, quota, error: Some(format!("{host}: {status}{text}")) }
        }
    }
}
