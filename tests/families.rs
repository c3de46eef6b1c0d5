//! What the answers of each registry family come to, over TLS and under the families' own names:
//! the table, and in sentences what is subtle about it.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic where they broke")]

mod limits;
mod secrets;
mod subtle;
mod table;

use std::net::SocketAddr;
use std::path::PathBuf;

use pullproof::credential::{Candidate, Credential, Source};
use pullproof::diagnosis::{Context, Diagnosis, Outcome, PodLogin, Question, diagnose};
use pullproof::image::Reference;
use pullproof::registry::{Guard, Registry};
use pullproof::settings::registries::CertificateFile;
use pullproof::settings::{HostSettings, NodeCredentials, Settings};

use crate::support::FakeRegistry;
use crate::support::families::{self, Family};
use crate::support::tls::Authority;

/// One family's registry, and settings that lead to it.
pub struct World {
    pub server: FakeRegistry,
    pub settings: Settings,
    registry: &'static str,
    user: &'static str,
}

impl World {
    /// Starts the family of this name.
    pub async fn of(name: &str) -> Self {
        let family = families::all().into_iter().find(|family| family.name == name);
        Self::start(family.unwrap_or_else(|| panic!("no family {name}"))).await
    }

    pub async fn start(family: Family) -> Self {
        let authority = Authority::new();
        let (registry, user, hosts) = (family.registry, family.user, family.hosts);
        let server = family.start(&authority.for_names(hosts)).await;
        let settings = settings(&authority, hosts, server.host());
        Self { server, settings, registry, user }
    }

    /// A client that has asked nothing yet.
    pub fn client(&self) -> Registry {
        client(&self.settings)
    }

    /// A question about `team/app:1` in this registry, with the good, bad, expired or empty login, or
    /// none.
    pub fn question(&self, image: &str, password: Option<&str>) -> Question {
        let image = match self.registry {
            "docker.io" => image.to_owned(),
            registry => format!("{registry}/{image}"),
        };
        let password = password.map(secret);
        let login = password.as_deref().map(|password| (self.user, password));
        question(&image, self.registry, login)
    }

    /// Asks and reads the answer as the Pod's own road does.
    pub async fn ask(&self, client: &Registry, image: &str, password: Option<&str>) -> Diagnosis {
        ask(&self.settings, client, &self.question(image, password)).await
    }
}

/// The password of the login of this name; no word that occurs in answers.
pub fn secret(login: &str) -> String {
    if login.is_empty() { String::new() } else { format!("{login}-CANARY-7c1f") }
}

/// Settings in which these names lead to a server on loopback that the authority vouches for.
pub fn settings(authority: &Authority, hosts: &[&str], server: &str) -> Settings {
    let mut settings = Settings::default();
    for host in hosts {
        lead(&mut settings, host, server);
        let ca = CertificateFile { file: PathBuf::from("test-ca.pem"), pem: authority.pem() };
        let entry = HostSettings { ca: Some(ca), ..HostSettings::default() };
        settings.registries = settings.registries.with_host(host, entry);
    }
    settings
}

/// Makes a name lead to a server on loopback.
pub fn lead(settings: &mut Settings, name: &str, server: &str) {
    let address: SocketAddr = server.parse().unwrap();
    settings.addresses.insert(name.to_owned(), address);
}

pub fn client(settings: &Settings) -> Registry {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Registry::new(settings, Guard::default())
}

pub fn question(image: &str, registry: &str, login: Option<(&str, &str)>) -> Question {
    let candidate = |(user, password): (&str, &str)| Candidate {
        credential: Credential::new(user, password),
        source: Source::Secret { namespace: "shop".to_owned(), name: "pull".to_owned() },
        key: registry.to_owned(),
    };
    Question {
        reference: Reference::parse(image).unwrap(),
        candidates: login.map(candidate).into_iter().collect(),
        own: Vec::new(),
        platforms: Vec::new(),
        runtimes: Vec::new(),
        fresh: false,
    }
}

pub async fn ask(settings: &Settings, client: &Registry, question: &Question) -> Diagnosis {
    let answer = client.ask(question, client.deadline()).await;
    let registry = question.reference.registry();
    let host = settings.registries.host(registry);
    let context = Context {
        asker: "Deployment shop/web".to_owned(),
        nodes_may_log_in: host.node_credentials.map(|it| it == NodeCredentials::Unknown),
        pod_login: PodLogin { is_known: true, ..PodLogin::default() },
        ..Context::default()
    };
    diagnose(question, &answer, &context)
}

/// `pullable`, or the id of the cause or reason.
pub fn id(diagnosis: &Diagnosis) -> &'static str {
    match diagnosis.outcome {
        Outcome::Pullable => "pullable",
        Outcome::Finding { cause, .. } => cause.id(),
        Outcome::Inconclusive { reason } => reason.id(),
    }
}
