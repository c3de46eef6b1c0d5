//! The hosts of a registry in the order asked. Any error of a mirror leads to the next; what is found
//! anywhere is found; what the refusals mean is read from the origin alone.
//! Follows containerd `core/remotes/docker/resolver.go`.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Host, Place, Registry, mask, sender};
use crate::credential::Candidate;
use crate::diagnosis::evidence::{By, Login, MirrorTry, Refusal, Reply, Trouble};
use crate::diagnosis::{Question, Reason};
use crate::image::Reference;
use crate::image::reference::Target;
use crate::registry::transport::authority;
use crate::settings::mirrors::Endpoint;

/// The hosts that are asked for a reference.
#[derive(Clone)]
pub(in crate::registry) struct Way {
    pub mirrors: Vec<Arc<Host>>,
    pub origin: Arc<Host>,
}

impl Way {
    /// Where a question is asked.
    pub fn place<'a>(&'a self, question: &'a Question, deadline: Instant) -> Place<'a> {
        Place {
            host: &self.origin,
            mirrors: &self.mirrors,
            reference: &question.reference,
            deadline,
            mask: mask(question),
        }
    }
}

impl Registry {
    /// The hosts that are asked: for a tag those that resolve, for a digest those that give content.
    /// The last of them is the origin. `None`: the image names a host that is no usable address, or
    /// no host is left.
    pub(super) fn way(&self, reference: &Reference) -> Option<Way> {
        let mut way = self.all_hosts(reference)?;
        let is_tag = matches!(reference.target(), Target::Tag(_));
        let is_asked = |host: &Arc<Host>| if is_tag { host.can.resolve } else { host.can.pull };
        way.mirrors.retain(is_asked);
        if !is_asked(&way.origin) {
            way.origin = way.mirrors.pop()?;
        }
        Some(way)
    }

    fn all_hosts(&self, reference: &Reference) -> Option<Way> {
        let own = self.host(reference)?;
        let registry = own.registry.as_str();
        let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(way) = ways.get(registry) {
            return Some(way.clone());
        }
        let route = self.settings.route(registry, &reference.endpoint_host()?);
        let at = |endpoint: &Endpoint| {
            let name = authority(&endpoint.url);
            Host::at(endpoint, registry, self.settings.host(&name), &self.limits).map(Arc::new)
        };
        let mirrors = route.mirrors.iter().filter_map(at).collect();
        let origin = route.origin.as_ref().and_then(at).unwrap_or_else(|| own.clone());
        let way = Way { mirrors, origin };
        ways.insert(registry.to_owned(), way.clone());
        Some(way)
    }

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
            return MirrorTry { host, login, reply, is_asked: false };
        }
        let now = Instant::now();
        let left: Duration = place.deadline.saturating_duration_since(now);
        let place = Place {
            host: mirror,
            mirrors: &[],
            reference: place.reference,
            deadline: now + left / 2,
            mask: place.mask.clone(),
        };
        let reply = self.manifest(&place, sender(candidate)).await.as_ref().clone();
        let is_asked = match &reply {
            Reply::Found(_) => true,
            Reply::Refused(refusal) => !lacks_login(mirror, refusal, has_login),
            Reply::Trouble(_) => false,
        };
        MirrorTry { host, login, reply, is_asked }
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
