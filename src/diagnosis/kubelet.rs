//! Reads the text that a kubelet left on a Pod whose image did not pull: which causes it may mean,
//! which image and which hosts it speaks of. A reading and no proof: some texts fit several causes,
//! so the answer is a set, most likely first.
//!
//! The texts are those of the kubelet (1.0 to 1.36), containerd (1.5 to 2.4), CRI-O with
//! containers/image, cri-dockerd, dockershim and the Docker engine. The rows that know their format
//! strings stand in one file a stage of the pull: `node`, `content`, `network`, `answer`.

mod answer;
mod content;
mod names;
mod network;
mod node;
mod not_ours;
mod pods;
mod rows;
mod text;
pub mod words;

pub use pods::{Event, Stuck, stuck};
pub use text::shown;

use std::borrow::Cow;
use std::slice;

use super::{Cause, Class};
use rows::{Row, first_match};
use text::Part;

/// What a kubelet said, and where it said it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Text<'a> {
    /// Of a waiting state, an event, or a line of a log.
    pub message: &'a str,
    /// `state.waiting.reason`; the kubelet may put free text there.
    pub waiting_reason: Option<&'a str>,
    pub event_reason: Option<&'a str>,
}

/// How a text is understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// What it may mean, most likely first; empty when it is no failure of a pull.
    pub causes: Vec<Cause>,
    /// The image as the text writes it.
    pub image: Option<String>,
    /// The image's registry.
    pub host: Option<String>,
    /// The host that was talked to, where the text names it: a token service, a mirror, a blob store.
    pub contacted: Option<String>,
    /// A remark on how the text was read, one sentence without a full stop.
    pub note: Option<String>,
}

impl Reading {
    /// The most likely cause.
    pub fn cause(&self) -> Option<Cause> {
        self.causes.first().copied()
    }

    /// Whether the text says why, and not only that an image was not pulled.
    pub fn tells(&self) -> bool {
        self.cause().is_some_and(|cause| cause != Cause::Unknown)
    }

    /// Adds that a pull secret was not found: it explains a refusal and nothing else.
    pub fn explain_by_missing_secret(&mut self) {
        let Some(cause) = self.cause().filter(|cause| *cause != Cause::SecretMissing) else {
            return;
        };
        if cause.class() == Class::Credential || cause == Cause::AbsentOrPrivate {
            self.causes.insert(0, Cause::SecretMissing);
        } else {
            self.note.get_or_insert_with(|| "a pull secret of the Pod was not found".to_owned());
        }
    }
}

/// Reads one text, in time linear in its length; what is beyond 64 KiB is not looked at.
pub fn read(said: &Text) -> Reading {
    let text = text::unescaped(said.message);
    let names = names::of(&text);
    let (attempts, mirrors) = text::attempts(&text);
    let whole = Part::new(&text, names.image.as_deref());
    let part = |attempt: &Cow<str>| match attempt.len() == text.len() {
        true => None,
        false => Some(Part::new(attempt, names.image.as_deref())),
    };
    let parts: Vec<Part> = attempts.iter().filter_map(part).collect();
    let mut reading = Reading {
        causes: Vec::new(),
        image: names.image,
        host: names.host,
        contacted: names.contacted,
        note: None,
    };
    if not_ours::is(&whole, said) {
        return reading;
    }
    if said.waiting_reason == Some(said.message) && first_match(&[node::DECODER], &whole).is_some()
    {
        reading.causes = vec![Cause::SecretInvalid];
        return reading;
    }
    let judged = if parts.is_empty() { slice::from_ref(&whole) } else { &parts };
    reading.causes = causes(judged, &whole, said, reading.image.as_deref());
    if names.mirror_of.is_some() || mirrors {
        reading.note = Some("a mirror was asked, too".to_owned());
    } else if parts.len() > 1 {
        let made = parts.len();
        reading.note =
            Some(format!("{made} attempts were made; this is the one that got furthest"));
    }
    if first_match(&[node::SECRET_MISSING], &whole).is_some() {
        if reading.tells() && first_match(&[node::PULL_FAILED], &whole).is_some() {
            reading.explain_by_missing_secret();
        } else {
            reading.causes = vec![Cause::SecretMissing];
        }
    }
    reading
}

/// Every stage in the order in which its rows may be asked: the special before the general.
const STAGES: &[&[Row]] = &[
    node::BEFORE_ALL,
    node::SECRET_INVALID,
    node::DISK,
    content::PLATFORM,
    content::UNSUPPORTED,
    content::CORRUPT,
    content::REFERENCE,
    network::RATE_LIMIT,
    network::CONNECTION,
    network::SERVER_ERROR,
    answer::REFUSED_FOR_A_REASON,
    answer::ABSENT_OR_PRIVATE,
    answer::ABSENT,
    answer::STATUS,
    node::CANCELLED,
    answer::REST,
    node::RUNTIME,
];

fn causes(parts: &[Part], whole: &Part, said: &Text, image: Option<&str>) -> Vec<Cause> {
    let sandbox = node::is_sandbox_image(whole, said);
    let unknown = by_reason(whole, said);
    let judge = |part| {
        let row = first_match(STAGES, part);
        let during = || first_match(&[node::RUNTIME_DURING_A_PULL], part);
        row.or_else(|| if unknown.is_empty() { None } else { during() })
    };
    let judged = parts.iter().filter_map(|part| judge(part).map(|it| (it, part)));
    // The first of those that got furthest.
    let best = judged.rev().max_by_key(|(row, _)| reached(row.causes[0]));
    let mut causes = match best {
        Some((row, part)) => refine(row, part, whole, image),
        None => unknown,
    };
    if sandbox {
        causes.retain(|cause| !matches!(cause, Cause::Unknown | Cause::SandboxImageFailed));
        causes.insert(0, Cause::SandboxImageFailed);
    }
    causes
}

/// The row's causes, made exact by what is known of the image.
fn refine(row: &Row, part: &Part, whole: &Part, image: Option<&str>) -> Vec<Cause> {
    let mut causes = row.causes.to_vec();
    if causes == [Cause::PullInterrupted, Cause::Timeout] && part.has_url() {
        // A request that was under way was cut, and not only the pull.
        causes.reverse();
    }
    if by_digest(whole, image) {
        for cause in &mut causes {
            if *cause == Cause::TagNotFound {
                *cause = Cause::DigestNotFound;
            }
        }
    }
    if causes[0] == Cause::AbsentOrPrivate && image.is_some_and(is_bare) {
        causes.insert(1, Cause::LocalImageNotLoaded);
    }
    if part.names_ghcr_login() && causes[0] == Cause::AccessDenied {
        causes.retain(|cause| *cause != Cause::CredentialsRejected);
        causes.insert(0, Cause::CredentialsRejected);
    }
    causes
}

fn by_digest(whole: &Part, image: Option<&str>) -> bool {
    match image {
        Some(image) if image.contains('/') || image.contains('@') => image.contains("@sha"),
        _ => whole.has("reading manifest sha256:"),
    }
}

/// A name such as `web:dev`, which a developer may only have built.
fn is_bare(image: &str) -> bool {
    !image.contains('/')
}

/// How far a pull came that ended so; of several attempts the furthest tells most.
fn reached(cause: Cause) -> u8 {
    match cause {
        Cause::Unknown => 0,
        Cause::PullInterrupted | Cause::PullThrottled => 1,
        _ if cause.class() == Class::Environment && cause != Cause::RateLimited => 2,
        Cause::CredentialsMissing => 3,
        Cause::Unauthorized => 4,
        Cause::AbsentOrPrivate => 5,
        Cause::CredentialsRejected => 6,
        Cause::AccessDenied => 7,
        Cause::RateLimited | Cause::BlockedByRegistry => 8,
        Cause::RepositoryNotFound => 9,
        Cause::TagNotFound | Cause::DigestNotFound => 10,
        _ => 11,
    }
}

/// What the reason alone says, where the text says nothing more.
fn by_reason(whole: &Part, said: &Text) -> Vec<Cause> {
    let told = said.waiting_reason.or(said.event_reason);
    match told.and_then(not_ours::of_image_trouble) {
        Some(Cause::Unknown) | None => {}
        Some(cause) => return vec![cause],
    }
    if told.is_some_and(|reason| not_ours::of_image_trouble(reason).is_some())
        || first_match(&[node::PULL_FAILED], whole).is_some()
    {
        return vec![Cause::Unknown];
    }
    Vec::new()
}
