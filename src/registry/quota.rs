//! How many pulls a registry still grants: the `ratelimit-*` headers of a HEAD of a manifest, which
//! does not count as a pull. Follows Docker Hub's documentation; a remaining count may carry its
//! window as `76;w=21600`, and an address that pulled too much gets a 429 in place of the headers.

use std::time::Duration;

use super::Registry;
use super::ask::Place;
use super::body;
use super::client::NotAuthorised;
use super::mask::LazyMask;
use super::transport::Response;
use super::urls;
use crate::credential::Candidate;
use crate::diagnosis::cause::{Cause, Reason};
use crate::diagnosis::evidence::{By, Quota, Refusal, Trouble};
use crate::image::Reference;
use crate::image::reference::Target;
use crate::text::clean;

impl Registry {
    /// Asks what is left, as nobody or with one login, by the headers of this image's manifest.
    pub async fn quota(
        &self,
        reference: &Reference,
        login: Option<&Candidate>,
    ) -> Result<Quota, Trouble> {
        let Some(host) = self.hosts.own(reference) else {
            return Err(Trouble {
                reason: Reason::Seen(Cause::DnsFailure),
                host: reference.registry().to_owned(),
                status: None,
                text: "the host is no usable address".to_owned(),
            });
        };
        let mask = LazyMask::new(login.map(|candidate| &candidate.credential));
        let place = Place::of(&host, reference, self.deadline(), &mask);
        let target = match reference.target() {
            Target::Tag(tag) => tag.to_owned(),
            Target::Digest(digest) => digest.to_string(),
        };
        match self.client(&place, login).head(&target).await {
            Ok(response) => read(&response, self.limits.header_bytes),
            Err(NotAuthorised::Trouble(trouble)) => Err(trouble),
            Err(NotAuthorised::Refused(refusal)) => Err(refused(refusal, login.is_some())),
        }
    }
}

fn read(response: &Response, cap: usize) -> Result<Quota, Trouble> {
    let header = |name: &str| response.header(name, cap);
    let (limit, remaining) = (header("ratelimit-limit"), header("ratelimit-remaining"));
    let quota = Quota {
        limit: limit.and_then(number),
        remaining: remaining.and_then(number),
        window: limit.and_then(window).or_else(|| remaining.and_then(window)),
        source: header("docker-ratelimit-source").map(|source| clean(&urls::plain(source), 120)),
    };
    let tells = quota.limit.is_some() || quota.remaining.is_some();
    let trouble = |cause, text: String| Trouble {
        reason: Reason::Seen(cause),
        host: response.host.clone(),
        status: Some(response.status),
        text,
    };
    match response.status {
        _ if tells => Ok(quota),
        200..=299 => Ok(quota),
        429 => Err(trouble(Cause::RateLimited, body::rate_limit_text(response))),
        401 | 403 | 404 => {
            Err(trouble(Cause::AbsentOrPrivate, "there is no such image to ask by".to_owned()))
        }
        500..=599 => Err(trouble(Cause::RegistryError, "an error of its own".to_owned())),
        _ => Err(trouble(Cause::BadAnswer, "a status that no registry gives here".to_owned())),
    }
}

fn refused(refusal: Refusal, logged_in: bool) -> Trouble {
    let who = match refusal.by {
        By::TokenService => "the token service",
        By::Registry => "the registry",
    };
    let (cause, text) = if refusal.status == 429 {
        (Cause::RateLimited, "too many requests".to_owned())
    } else if logged_in {
        (Cause::CredentialsRejected, format!("{who} refuses the login"))
    } else {
        (Cause::CredentialsMissing, format!("{who} answers nobody without a login"))
    };
    Trouble { reason: Reason::Seen(cause), host: refusal.host, status: Some(refusal.status), text }
}

/// The number a value begins with.
fn number(value: &str) -> Option<u64> {
    let value = value.trim_start();
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    value[..end].parse().ok()
}

/// The `w=` of a value, in seconds.
fn window(value: &str) -> Option<Duration> {
    let mut parts = value.split([';', ',']).map(str::trim);
    let seconds = parts.find_map(|part| part.strip_prefix("w="))?;
    number(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_with_and_without_their_window() {
        assert_eq!(
            (number("95;w=21600"), number(" 100"), number("many")),
            (Some(95), Some(100), None)
        );
        let six_hours = Some(Duration::from_secs(21_600));
        assert_eq!(window("100;w=21600"), six_hours);
        assert_eq!(window("100, 100; w=21600;comment=x"), six_hours);
        assert_eq!((window("100"), window("100;w=x")), (None, None));
        assert_eq!(number("99999999999999999999999"), None);
    }
}
