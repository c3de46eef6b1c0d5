//! What a registry was seen to answer to one question. Facts only, no opinion: the status, codes and
//! text of every refusal, the kind of every failure, and how far a login got.

use std::time::Duration;

use crate::credential::{Candidate, Source};
use crate::image::Digest;
use crate::image::platform::Content;

use super::cause::{Cause, Reason};

/// Everything a question brought to light.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// In the order made: the Pod's credentials (or one anonymous attempt), then, where those were
    /// refused, the logins of the person who asks.
    pub attempts: Vec<Attempt>,
    /// What the manifest holds, when platforms were asked and it was found.
    pub contents: Option<Result<Contents, Trouble>>,
}

impl Answer {
    /// The first attempt that found the manifest.
    pub fn found(&self) -> Option<(&Attempt, &Found)> {
        self.attempts.iter().find_map(|attempt| match &attempt.reply {
            Reply::Found(found) => Some((attempt, found)),
            _ => None,
        })
    }

    /// The host that was waited for in vain.
    pub fn late_host(&self) -> Option<&str> {
        let contents = self.contents.iter().filter_map(|contents| contents.as_ref().err());
        let attempts = self.attempts.iter().rev().filter_map(|attempt| match &attempt.reply {
            Reply::Trouble(trouble) => Some(trouble),
            _ => None,
        });
        let is_late = |trouble: &&Trouble| trouble.reason == Reason::Seen(Cause::Timeout);
        contents.chain(attempts).find(is_late).map(|trouble| trouble.host.as_str())
    }

    /// The first mirror that could not be asked, so that nodes may find there what was not found here.
    pub fn missed_mirror(&self) -> Option<&MirrorTry> {
        let tries = self.attempts.iter().flat_map(|attempt| &attempt.mirrors);
        tries.into_iter().find(|mirror| !mirror.is_asked)
    }
}

/// One try with one credential.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// `None`: anonymous.
    pub login: Option<Login>,
    pub whose: Whose,
    pub reply: Reply,
    /// What is known of the repository after a 404.
    pub repository: Repository,
    /// Why the repository's tags could not be listed after a 404, so that it may be there or not.
    pub unlisted: Option<Trouble>,
    /// Who gave the reply.
    pub by: Answerer,
    /// Where the reply was had from.
    pub origin: Origin,
    /// Mirrors that were tried before, in order; they did not find it.
    pub mirrors: Vec<MirrorTry>,
}

/// Where a fact was had from, and how old it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The registry was asked, for this question or for an equal one at the same time.
    Asked,
    /// This process was told so this long ago.
    Memory(Duration),
    /// An earlier run was told so this long ago.
    Disk(Duration),
    /// The registry said so this long ago, and is out of order since.
    Stale(Duration),
}

impl Origin {
    /// How old the fact is, where that matters: what this process was told counts as now.
    pub fn age_worth_telling(self) -> Option<Duration> {
        match self {
            Origin::Asked | Origin::Memory(_) => None,
            Origin::Disk(age) | Origin::Stale(age) => Some(age),
        }
    }
}

impl Attempt {
    /// The login, where it was sent: some registries refuse without asking for one, and some hosts
    /// may not see it.
    pub fn sent_login(&self) -> Option<&Login> {
        let login = self.login.as_ref().filter(|login| !login.sends_nothing);
        login.filter(|_| self.login_was_sent() != Some(false))
    }

    /// Whether the login went to the registry or its token service; `None` where that is not known.
    pub fn login_was_sent(&self) -> Option<bool> {
        match &self.reply {
            Reply::Found(found) => found.auth.map(Auth::had_login),
            Reply::Refused(refusal) => Some(refusal.auth.had_login()),
            Reply::Trouble(_) => None,
        }
    }
}

/// Which of a registry's hosts answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answerer {
    Mirror,
    Origin,
}

/// A mirror that did not find the manifest.
#[derive(Debug, Clone)]
pub struct MirrorTry {
    /// The mirror, as the settings name it.
    pub host: String,
    /// `None`: nothing was sent.
    pub login: Option<Login>,
    pub reply: Reply,
    /// Where the reply was had from.
    pub origin: Origin,
    /// It refused, and would refuse a node as well. Otherwise it is not known what a node gets.
    pub is_asked: bool,
}

/// Whose credentials an attempt used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The Pod's, as a kubelet would: anonymous when it has none.
    Pod,
    /// Those of the person or pipeline that runs pullproof.
    Own,
}

/// Who asked. Never the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub source: Source,
    /// The entry that matched has no password, so a runtime sends nothing for it.
    pub sends_nothing: bool,
}

impl Login {
    /// A credential without its secret.
    pub fn of(candidate: &Candidate) -> Self {
        Self {
            user: candidate.credential.user().into_owned(),
            source: candidate.source.clone(),
            sends_nothing: candidate.credential.sends_nothing(),
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub enum Reply {
    Found(Found),
    Refused(Refusal),
    /// No usable answer.
    Trouble(Trouble),
}

/// The manifest is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The host that answered.
    pub host: String,
    pub digest: Digest,
    pub media_type: String,
    /// How many pulls the registry says are left to whoever asked.
    pub pulls_left: Option<u64>,
    /// How far the login got; `None` where an earlier run asked.
    pub auth: Option<Auth>,
}

/// The registry, or its token service, answered with a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The host that refused: the registry, or the token service.
    pub host: String,
    pub by: By,
    pub status: u16,
    /// Error codes, for example `MANIFEST_UNKNOWN`.
    pub codes: Vec<String>,
    /// The registry's own words, cleaned and cut; empty when it said nothing.
    pub text: String,
    pub auth: Auth,
    /// `error=` of the challenge that came with the refusal, for example `insufficient_scope`.
    pub challenge_error: Option<String>,
}

/// Who refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Registry,
    TokenService,
}

/// How far the login got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// The registry never asked for one.
    NotDemanded,
    /// Basic was demanded and nothing could be sent.
    BasicDemanded,
    /// The login was sent by Basic.
    BasicSent,
    /// The token service was asked anonymously and refused.
    AnonymousTokenRefused,
    /// The token service refused the login, or the repository to it.
    LoginTokenRefused,
    /// The token service refused the login, and refused it again when no repository was named.
    LoginRefused,
    /// The token service took the login when no repository was named, and refused this repository.
    RepositoryRefused,
    /// A token was issued to nobody in particular.
    AnonymousToken,
    /// The same, and only because the realm may not see the login.
    Withheld,
    /// A token was issued to the login.
    LoginToken,
}

impl Auth {
    /// Whether the login was sent, to the registry or to its token service.
    pub fn had_login(self) -> bool {
        match self {
            Auth::BasicSent
            | Auth::LoginTokenRefused
            | Auth::LoginRefused
            | Auth::RepositoryRefused
            | Auth::LoginToken => true,
            Auth::NotDemanded
            | Auth::BasicDemanded
            | Auth::AnonymousTokenRefused
            | Auth::AnonymousToken
            | Auth::Withheld => false,
        }
    }
}

/// What is known of the repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Repository {
    #[default]
    Unknown,
    /// Its tags were listed with the same credential; `tags` may be a first page only.
    Readable { tags: Vec<String> },
    /// The registry says NAME_UNKNOWN; `login_demanded` tells whether it ever asked for a login.
    NameUnknown { login_demanded: bool },
}

/// No usable answer came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub reason: Reason,
    /// The host that failed (the registry, its token service, a redirect's target).
    pub host: String,
    pub status: Option<u16>,
    /// What happened, in words, without secrets and query strings.
    pub text: String,
}

impl Trouble {
    /// The host asked us to wait.
    pub fn is_rate_limit(&self) -> bool {
        self.reason == Reason::Seen(Cause::RateLimited)
    }
}

/// What a registry tells of its limit; all empty where it tells none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quota {
    /// Pulls granted in a window.
    pub limit: Option<u64>,
    /// Pulls left in this one.
    pub remaining: Option<u64>,
    pub window: Option<Duration>,
    /// Whom the pulls are counted for: an address, or an account.
    pub source: Option<String>,
}

/// What a manifest holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Contents {
    /// An image or an index of images, read as far as the platforms wanted needed it.
    Image(Content),
    /// No container image: an artifact, schema 1, an unknown media type. `pulls`: containerd and
    /// CRI-O fetch an artifact without complaint and fail when the container is created.
    Unsupported { what: String, pulls: bool },
    /// The bytes do not have the digest that names them, or a part is missing.
    Corrupt { what: String },
}
