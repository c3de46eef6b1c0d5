//! A question to an answer: the Pod's credentials in the kubelet's order until one finds the image,
//! then, where they were refused, the logins of the person who asks; after a 404 the repository's
//! tags; and, when platforms are wanted, as much of the content as their choice needs.

mod kept;
mod known;
mod manifest;
mod mirrors;
mod own;
mod reader;

pub use known::Toll;
pub use own::another_login_may_help;

use std::sync::Arc;

use tokio::time::Instant;

use super::cache::{Facts, Listing};
use super::client::Client;
use super::disk::Disk;
use super::guard::Guard;
use super::host::Host;
use super::hosts::{Hosts, Nobody};
use super::identity::{Identities, Identity};
use super::mask::LazyMask;
use super::stats::Stats;
use super::token::Tokens;
use super::transport::Transport;
use crate::credential::Candidate;
use crate::diagnosis::Question;
use crate::diagnosis::cause::{Cause, Reason};
use crate::diagnosis::evidence::{
    Answer, Answerer, Attempt, Login, MirrorTry, Origin, Reply, Repository, Trouble, Whose,
};
use crate::image::Reference;
use crate::settings::{Limits, Settings};
use known::FREE;
use mirrors::{lacks_login, withheld};

/// All registries, as one process asks them.
pub struct Registry {
    transport: Transport,
    tokens: Tokens,
    facts: Facts,
    /// Facts of earlier runs, where the settings name a cache.
    disk: Option<Arc<Disk>>,
    keeps_loopback: bool,
    /// Why the cache that the settings name is not used.
    no_disk: Option<String>,
    identities: Identities,
    pub(super) limits: Limits,
    pub(super) hosts: Hosts,
}

/// Where a reference is asked, and by whom.
pub(super) struct Place<'a> {
    pub host: &'a Host,
    /// Asked before the host.
    pub mirrors: &'a [Arc<Host>],
    pub reference: &'a Reference,
    pub deadline: Instant,
    /// When the question was put.
    pub began: Instant,
    /// What was seen before that will not do.
    pub fresh: bool,
    /// Hides the logins of the question.
    pub mask: &'a LazyMask<'a>,
    /// What it costs to ask.
    pub toll: &'a Toll<'a>,
}

impl Registry {
    pub fn new(settings: &Settings, guard: Guard) -> Self {
        let limits = settings.limits.clone();
        let (disk, no_disk) = match settings.disk_cache.as_ref().map(Disk::open) {
            None => (None, None),
            Some(Ok(disk)) => (Some(Arc::new(disk)), None),
            Some(Err(reason)) => (None, Some(reason)),
        };
        let shared = disk.as_ref().map(|disk| Identities::with_key(disk.identity_key()));
        let registries = Arc::new(settings.registries.clone());
        let addresses = settings.addresses.clone();
        Self {
            transport: Transport::new(guard, limits.clone(), registries.clone(), addresses),
            tokens: Tokens::new(),
            facts: Facts::new(&limits),
            identities: shared.unwrap_or_default(),
            disk,
            keeps_loopback: settings.disk_cache.as_ref().is_some_and(|cache| cache.loopback),
            no_disk,
            hosts: Hosts::new(registries, limits.clone()),
            limits,
        }
    }

    /// HTTP requests sent so far, token requests included.
    pub fn requests(&self) -> u64 {
        self.transport.requests()
    }

    /// What each registry cost and gave so far.
    pub fn stats(&self) -> Stats {
        self.hosts.stats()
    }

    /// Who a credential is, for telling equal questions; never the secret.
    pub fn identity(&self, candidate: &Candidate) -> Identity {
        self.identities.of(&candidate.credential)
    }

    /// When a question that is put now must be answered, where nothing else says so.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.limits.question
    }

    /// Asks one question; ends by the deadline.
    pub async fn ask(&self, question: &Question, deadline: Instant) -> Answer {
        self.ask_for(question, deadline, &FREE).await
    }

    /// Asks one question that may not be asked for nothing; ends by the deadline.
    pub async fn ask_for(&self, question: &Question, deadline: Instant, toll: &Toll<'_>) -> Answer {
        let way = match self.hosts.way(&question.reference) {
            Ok(way) => way,
            Err(nobody) => {
                let attempts = vec![no_attempt(&question.reference, nobody)];
                return Answer { attempts, contents: None };
            }
        };
        let mask = mask(question);
        let place = Place { toll, ..way.place(question, deadline, &mask) };
        let mut answer = Answer::default();
        let anonymous = [None];
        let pods: Vec<Option<&Candidate>> = question.candidates.iter().map(Some).collect();
        let mut let_in = None;
        for candidate in if pods.is_empty() { &anonymous[..] } else { &pods } {
            if let Some(host) = self.attempt(&place, *candidate, Whose::Pod, &mut answer).await {
                let_in = Some((*candidate, host));
                break;
            }
        }
        if let_in.is_none() {
            let_in = Box::pin(self.attempt_own(&place, question, &mut answer)).await;
        }
        if !question.platforms.is_empty() {
            Box::pin(self.add_contents(&place, question, let_in, &mut answer)).await;
        }
        answer
    }

    /// Makes one attempt and adds it; the host that found the image.
    async fn attempt<'p>(
        &self,
        place: &Place<'p>,
        candidate: Option<&Candidate>,
        whose: Whose,
        answer: &mut Answer,
    ) -> Option<&'p Host> {
        let mut mirrors = Vec::new();
        for mirror in place.mirrors {
            // Without a login it would only say again what it said to the first attempt.
            if !answer.attempts.is_empty() && !mirror.takes_logins {
                continue;
            }
            let tried = Box::pin(self.ask_mirror(place, mirror, candidate)).await;
            if matches!(tried.reply, Reply::Found(_)) {
                let MirrorTry { login, reply, origin, .. } = tried;
                answer.attempts.push(Attempt {
                    login,
                    whose,
                    reply,
                    repository: Repository::Unknown,
                    unlisted: None,
                    by: Answerer::Mirror,
                    origin,
                    mirrors,
                });
                return Some(mirror);
            }
            mirrors.push(tried);
        }
        let has_login = sender(candidate).is_some();
        let candidate = candidate.filter(|_| place.host.takes_logins);
        let sender = sender(candidate);
        let (mut reply, origin) = self.manifest(place, sender).await;
        let (mut repository, mut unlisted) = (Repository::Unknown, None);
        if let Reply::Refused(refusal) = &reply
            && refusal.status == 404
        {
            let is_bare = sender.is_some() && refusal.codes.is_empty();
            match Box::pin(self.listing(place, sender)).await.as_ref() {
                Listing::Known(Repository::Unknown) if is_bare => {
                    Box::pin(self.reread(place, sender, &mut reply)).await;
                }
                Listing::Known(known) => repository = known.clone(),
                Listing::NoRegistry(trouble) => reply = Reply::Trouble(trouble.clone()),
                // The 404 stands; what it is about was not told.
                Listing::Untold(trouble) | Listing::Cut(trouble, _) => {
                    if is_bare {
                        Box::pin(self.reread(place, sender, &mut reply)).await;
                    }
                    unlisted = Some(trouble.clone());
                }
            }
        }
        if let Reply::Refused(refusal) = &reply
            && repository == Repository::Unknown
            && lacks_login(place.host, refusal, has_login)
        {
            reply = Reply::Trouble(withheld(place.host, refusal));
        }
        let login = candidate.map(Login::of);
        let found = matches!(reply, Reply::Found(_));
        answer.attempts.push(Attempt {
            login,
            whose,
            reply,
            repository,
            unlisted,
            by: Answerer::Origin,
            origin,
            mirrors,
        });
        found.then_some(place.host)
    }

    pub(super) fn client<'a>(
        &'a self,
        place: &'a Place<'a>,
        sender: Option<&'a Candidate>,
    ) -> Client<'a> {
        Client {
            transport: &self.transport,
            tokens: &self.tokens,
            limits: &self.limits,
            host: place.host,
            repository: place.reference.endpoint_repository(),
            login: sender.map(|candidate| (&candidate.credential, self.identity(candidate))),
            deadline: place.deadline,
            mask: place.mask,
        }
    }
}

impl<'a> Place<'a> {
    /// One host, asked for whatever is known of it.
    pub fn of(
        host: &'a Host,
        reference: &'a Reference,
        deadline: Instant,
        mask: &'a LazyMask<'a>,
    ) -> Self {
        let (mirrors, began, fresh) = (&[][..], Instant::now(), false);
        Place { host, mirrors, reference, deadline, began, fresh, mask, toll: &FREE }
    }
}

/// Hides all logins of a question.
fn mask(question: &Question) -> LazyMask<'_> {
    let logins = question.candidates.iter().chain(&question.own);
    LazyMask::new(logins.map(|candidate| &candidate.credential))
}

/// The candidate as far as it sends anything.
fn sender(candidate: Option<&Candidate>) -> Option<&Candidate> {
    candidate.filter(|candidate| !candidate.credential.sends_nothing())
}

/// The attempt that was not made.
fn no_attempt(reference: &Reference, nobody: Nobody) -> Attempt {
    let (reason, text) = match nobody {
        Nobody::NoAddress => (Reason::Seen(Cause::DnsFailure), "the host is no usable address"),
        Nobody::NoHost => {
            (Reason::NotAsked, "the hosts.toml of this registry names no host that is asked for it")
        }
    };
    let host = reference.registry().to_owned();
    Attempt {
        login: None,
        whose: Whose::Pod,
        reply: Reply::Trouble(Trouble { reason, host, status: None, text: text.to_owned() }),
        repository: Repository::Unknown,
        unlisted: None,
        by: Answerer::Origin,
        origin: Origin::Asked,
        mirrors: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server's tasks wander between threads.
    #[test]
    fn questions_may_be_asked_from_any_thread() {
        fn is_send<T: Send>(_: impl FnOnce(&'static Registry, &'static Question) -> T) {}
        is_send(|registry, question| async {
            let mut answer = registry.ask(question, registry.deadline()).await;
            registry.ask_own(question, registry.deadline(), &mut answer).await;
        });
    }
}
