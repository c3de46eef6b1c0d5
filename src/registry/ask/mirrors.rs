//! The hosts of a registry in the order asked. Any error of a mirror leads to the next; what is found
//! anywhere is found; what the refusals mean is read from the origin alone.
//! Follows containerd `core/remotes/docker/resolver.go`.

use std::time::Duration;

use tokio::time::Instant;

use super::known::FREE;
use super::{Host, Place, Registry, sender};
use crate::credential::Candidate;
use crate::diagnosis::evidence::{By, Login, MirrorTry, Origin, Refusal, Reply, Trouble};
use crate::diagnosis::{Question, Reason};
use crate::registry::hosts::Way;
use crate::registry::mask::LazyMask;

impl Way {
    /// Where a question is asked.
    pub(super) fn place<'a>(
        &'a self,
        question: &'a Question,
        deadline: Instant,
        mask: &'a LazyMask<'a>,
    ) -> Place<'a> {
        Place {
            host: &self.origin,
            mirrors: &self.mirrors,
            reference: &question.reference,
            deadline,
            began: Instant::now(),
            fresh: question.fresh,
            mask,
            toll: &FREE,
        }
    }
}

impl Registry {
    /// Asks one mirror. It never uses up the time of those after it.
    pub(super) async fn ask_mirror(
        &self,
        place: &Place<'_>,
        mirror: &Host,
        candidate: Option<&Candidate>,
    ) -> MirrorTry {
        let has_login = sender(candidate).is_some();
        let candidate = candidate.filter(|_| mirror.takes_logins);
        let login = candidate.map(Login::of);
        let host = mirror.registry.clone();
        if !mirror.settings.ask {
            let reply = Reply::Trouble(Trouble {
                reason: Reason::NotAsked,
                host: host.clone(),
                status: None,
                text: "ask = false for this host".to_owned(),
            });
            return MirrorTry { host, login, reply, origin: Origin::Asked, is_asked: false };
        }
        let now = Instant::now();
        let left: Duration = place.deadline.saturating_duration_since(now);
        let place = Place { host: mirror, mirrors: &[], deadline: now + left / 2, ..*place };
        let (reply, origin) = self.manifest(&place, sender(candidate)).await;
        let is_asked = match &reply {
            Reply::Found(_) => true,
            Reply::Refused(refusal) => !lacks_login(mirror, refusal, has_login),
            Reply::Trouble(_) => false,
        };
        MirrorTry { host, login, reply, origin, is_asked }
    }
}

/// Whether a refusal may be for want of a login that a node would send and we do not.
pub(super) fn lacks_login(host: &Host, refusal: &Refusal, has_login: bool) -> bool {
    let is_withheld = has_login && !host.takes_logins;
    let is_about_login = refusal.by == By::TokenService
        || matches!(refusal.status, 401 | 403)
        || host.demands_login();
    (is_withheld || host.nodes_know_more) && is_about_login
}

/// The origin would get a login from a node that it does not get from here.
pub(super) fn withheld(host: &Host, refusal: &Refusal) -> Trouble {
    let text = format!(
        "{} may want a login that nodes send it and that is not sent from here",
        host.registry
    );
    Trouble {
        reason: Reason::RealmNotTrusted,
        host: host.registry.clone(),
        status: Some(refusal.status),
        text,
    }
}
