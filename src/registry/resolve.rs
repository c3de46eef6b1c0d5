//! From a host name to the addresses that may be dialled.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::error::ResolveError;
use super::guard::Guard;

/// Resolves by the system and hands out only addresses that the guard allows, so that the address
/// judged is the address dialled.
pub(super) struct GuardedResolver {
    pub guard: Arc<Guard>,
    /// Where a name is led instead; see [`crate::settings::Settings::addresses`].
    pub addresses: Arc<BTreeMap<String, SocketAddr>>,
    /// The port that is dialled, where the guard looks at ports, else 0.
    pub port: u16,
}

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, port) = (self.guard.clone(), self.port);
        let known = self.addresses.get(name.as_str()).copied();
        Box::pin(async move {
            if let Some(address) = known {
                return match guard.allows(address.ip(), address.port()) {
                    true => Ok(Box::new(std::iter::once(address)) as Addrs),
                    false => Err(ResolveError::AddressRefused.into()),
                };
            }
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found = found.map_err(|error| ResolveError::NotResolved(dns_text(&error)))?;
            let allowed: Vec<SocketAddr> = found
                .filter(|address| guard.allows(address.ip(), port))
                .take(MAX_ADDRESSES)
                .collect();
            if allowed.is_empty() {
                return Err(ResolveError::AddressRefused.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The system's text without its prefix.
fn dns_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.rsplit(": ").next().unwrap_or(&text).to_owned()
}
