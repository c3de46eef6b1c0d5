//! The registry client and the diagnosis over the wire: questions to registries that refuse, fail
//! and lie. Every question asked here is also searched for the secrets it was asked with.

mod answers;
mod budget;
mod down;
mod faults;
mod floods;
mod guard;
mod logins;
mod memory;
pub mod mirrors;
mod output;
mod own_login;
mod redirects;
mod secrets;
mod spellings;
mod tls;
mod tokens;

use std::time::{Duration, Instant};

use tokio::time::Instant as Deadline;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullproof::credential::{Candidate, Credential, Source};
use pullproof::diagnosis::evidence::Origin;
use pullproof::diagnosis::{
    Answer, Certainty, Context, Diagnosis, Outcome, PodLogin, Question, diagnose,
};
use pullproof::image::platform::Runtime;
use pullproof::image::{Platform, Reference};
use pullproof::registry::{Breaker, Door, Guard, Registry};
use pullproof::settings::registries::CertificateFile;
use pullproof::settings::{HostSettings, Limits, Settings};

/// A password that is looked for in everything that is said or sent.
pub const CANARY: &str = "CANARY-s3cr3t-pass";

/// Deadlines short enough for tests that wait for them, long enough for a busy machine.
pub fn limits() -> Limits {
    Limits {
        connect: Duration::from_millis(700),
        headers: Duration::from_millis(900),
        question: Duration::from_millis(2500),
        ..Limits::default()
    }
}

pub fn settings() -> Settings {
    Settings { limits: limits(), ..Settings::default() }
}

/// Settings with an entry for one host.
pub fn settings_for(host: &str, entry: HostSettings) -> Settings {
    let mut settings = settings();
    settings.registries = settings.registries.with_host(host, entry);
    settings
}

pub fn plain_http() -> HostSettings {
    HostSettings { plain_http: true, ..HostSettings::default() }
}

pub fn trusting(authority: &crate::support::tls::Authority) -> HostSettings {
    let ca = CertificateFile { file: "private-ca.pem".into(), pem: authority.pem() };
    HostSettings { ca: Some(ca), ..HostSettings::default() }
}

/// The client of the command line.
pub fn client(settings: &Settings) -> Registry {
    client_at(Door::CommandLine, settings)
}

pub fn client_at(door: Door, settings: &Settings) -> Registry {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let registries = &settings.registries;
    let guard = Guard {
        door,
        allow: registries.allow_addresses.clone(),
        public_only: registries.public_only,
        refuse: Vec::new(),
    };
    Registry::new(settings, guard)
}

/// A client for one plain http host, without the search for its scheme.
pub fn plain_client(host: &str) -> Registry {
    client(&settings_for(host, plain_http()))
}

/// What a test wants to know of an image.
#[derive(Clone)]
pub struct Ask {
    question: Question,
    context: Context,
    time: Option<Duration>,
}

/// Asked for a Pod that is fully known and has no login yet.
pub fn image(text: impl AsRef<str>) -> Ask {
    let text = text.as_ref();
    let reference = Reference::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let question = Question {
        reference,
        candidates: Vec::new(),
        own: Vec::new(),
        platforms: Vec::new(),
        runtimes: vec![Runtime::ContainerdLocal, Runtime::ContainerdTransfer],
        fresh: false,
    };
    let pod_login = PodLogin { is_known: true, ..PodLogin::default() };
    let context = Context { asker: "Pod shop/cart".to_owned(), pod_login, ..Context::default() };
    Ask { question, context, time: None }
}

pub fn secret_source(name: &str) -> Source {
    Source::Secret { namespace: "shop".to_owned(), name: name.to_owned() }
}

impl Ask {
    /// Another login of the Pod, from a secret of its own.
    pub fn login(self, user: &str, password: &str) -> Self {
        let name = format!("pull-{}", self.question.candidates.len() + 1);
        self.login_from(&name, user, password)
    }

    pub fn login_from(mut self, secret: &str, user: &str, password: &str) -> Self {
        self.question.candidates.push(Candidate {
            credential: Credential::new(user, password),
            source: secret_source(secret),
            key: "registry".to_owned(),
        });
        self
    }

    /// A login of the person who asks.
    pub fn own(mut self, user: &str, password: &str) -> Self {
        self.question.own.push(Candidate {
            credential: Credential::new(user, password),
            source: Source::OwnConfig { file: "config.json".to_owned() },
            key: "registry".to_owned(),
        });
        self
    }

    pub fn platform(mut self, text: &str) -> Self {
        self.question.platforms.push(Platform::parse(text).expect("a platform"));
        self
    }

    /// The registry itself must be asked.
    pub fn fresh(mut self) -> Self {
        self.question.fresh = true;
        self
    }

    /// Asked with no more time than this.
    pub fn within(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    pub fn knowing(mut self, change: impl FnOnce(&mut Context)) -> Self {
        change(&mut self.context);
        self
    }

    pub async fn of(self, registry: &Registry) -> Asked {
        let started = Instant::now();
        let deadline = self.time.map_or(registry.deadline(), |time| Deadline::now() + time);
        let answer = registry.ask(&self.question, deadline).await;
        let took = started.elapsed();
        let diagnosis = diagnose(&self.question, &answer, &self.context);
        let asked = Asked { answer, diagnosis, took };
        for candidate in self.question.candidates.iter().chain(&self.question.own) {
            asked.keeps_secret(&candidate.credential);
        }
        asked
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Asked {
    pub answer: Answer,
    pub diagnosis: Diagnosis,
    pub took: Duration,
}

impl Asked {
    /// `pullable`, or the id of the cause or reason.
    pub fn id(&self) -> &'static str {
        match self.diagnosis.outcome {
            Outcome::Pullable => "pullable",
            Outcome::Finding { cause, .. } => cause.id(),
            Outcome::Inconclusive { reason } => reason.id(),
        }
    }

    pub fn pulls(&self) -> Option<bool> {
        self.diagnosis.pulls
    }

    pub fn is_likely(&self) -> bool {
        matches!(self.diagnosis.outcome, Outcome::Finding { certainty: Certainty::Likely, .. })
    }

    /// Where the last reply was had from.
    pub fn origin(&self) -> Origin {
        self.answer.attempts.last().expect("an attempt").origin
    }

    /// Neither an image nor a login is blamed.
    pub fn is_inconclusive(&self) -> bool {
        matches!(self.diagnosis.outcome, Outcome::Inconclusive { .. }) && self.pulls().is_none()
    }

    /// Everything that could be shown or logged.
    pub fn text(&self) -> String {
        format!("{self:?}")
    }

    fn keeps_secret(&self, login: &Credential) {
        let password = String::from_utf8_lossy(login.password_bytes()).into_owned();
        if password.len() < 8 {
            return;
        }
        let text = self.text();
        for secret in spellings_of(&login.user(), &password) {
            assert!(!text.contains(&secret), "{secret} is shown: {text}");
        }
    }
}

/// A password as it is, as a Basic login, and alone in base64.
pub fn spellings_of(user: &str, password: &str) -> [String; 3] {
    [password.to_owned(), STANDARD.encode(format!("{user}:{password}")), STANDARD.encode(password)]
}
