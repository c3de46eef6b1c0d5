//! From a host name to the addresses that may be dialled.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::error::ResolveError;
use super::guard::Guard;

/// Resolves by the system and hands out only addresses that the guard allows, so that the address
/// judged is the address dialled.
pub(super) struct GuardedResolver {
    pub guard: Arc<Guard>,
    /// Where a name is led instead; see [`crate::settings::Settings::addresses`].
    pub addresses: Arc<BTreeMap<String, SocketAddr>>,
    /// The port that is dialled, where a rule of the guard names it, else 0.
    pub port: u16,
    pub lookup: Lookup,
    /// How long a name may take.
    pub patience: Duration,
}

/// Who is asked for the addresses of a name.
#[derive(Clone, Default)]
pub(super) enum Lookup {
    #[default]
    System,
    #[cfg_attr(not(test), expect(dead_code, reason = "for tests of names that fail"))]
    Given(Arc<dyn Fn(String) -> Found + Send + Sync>),
}

type Found = BoxFuture<'static, io::Result<Vec<SocketAddr>>>;

impl Lookup {
    async fn ask(self, name: String) -> io::Result<Vec<SocketAddr>> {
        match self {
            Lookup::System => Ok(tokio::net::lookup_host((name, 0)).await?.collect()),
            Lookup::Given(lookup) => lookup(name).await,
        }
    }
}

/// Addresses of one family that are tried.
const MAX_ADDRESSES: usize = 8;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, port, patience) = (self.guard.clone(), self.port, self.patience);
        let known = self.addresses.get(name.as_str()).copied();
        let lookup = self.lookup.clone().ask(name.as_str().to_owned());
        Box::pin(async move {
            if let Some(address) = known {
                return match guard.allows(address.ip(), address.port()) {
                    true => Ok(Box::new(std::iter::once(address)) as Addrs),
                    false => Err(ResolveError::AddressRefused.into()),
                };
            }
            let late = |_| ResolveError::NotResolved("no answer in time".to_owned());
            let found = tokio::time::timeout(patience, lookup).await.map_err(late)?;
            let found = found.map_err(|error| ResolveError::NotResolved(dns_text(&error)))?;
            if found.is_empty() {
                return Err(ResolveError::NotResolved("it has no address".to_owned()).into());
            }
            let allowed = found.into_iter().filter(|address| guard.allows(address.ip(), port));
            let allowed = few_of_both(allowed);
            if allowed.is_empty() {
                return Err(ResolveError::AddressRefused.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Some addresses of each family, in the order found: where one family leads nowhere the other is
/// tried.
fn few_of_both(found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let (mut v4, mut v6) = (0, 0);
    let is_taken = |address: &SocketAddr| {
        let seen = if address.is_ipv4() { &mut v4 } else { &mut v6 };
        *seen += 1;
        *seen <= MAX_ADDRESSES
    };
    found.filter(is_taken).collect()
}

/// The system's text without its prefix.
fn dns_text(error: &io::Error) -> String {
    let text = error.to_string();
    text.rsplit(": ").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests;
