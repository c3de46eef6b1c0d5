//! What the answer to a request for a manifest says: it is there, it is refused, or nothing that a
//! registry says. Asks once more by GET where HEAD cannot tell.

use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderValue;

use super::{Client, Sent};
use crate::diagnosis::cause::{Cause, Reason};
use crate::diagnosis::evidence::{Auth, By, Found, Refusal, Reply, Trouble};
use crate::image::Digest;
use crate::image::media_type::{Kind, kind};
use crate::registry::challenge::Use;
use crate::registry::content::{self, ACCEPT};
use crate::registry::mask::Mask;
use crate::registry::transport::{Response, bad_answer, jitter, pulls_left};
use crate::registry::{body, urls};
use crate::text::clean;

/// Pause before a 5xx is asked once more.
const AFTER_SERVER_ERROR: Duration = Duration::from_millis(150);

impl Client<'_> {
    /// What the answer to a manifest request says; asks once more by GET where HEAD cannot tell.
    pub(super) async fn conclude(&self, sent: Sent, path: &str, digest: Option<&Digest>) -> Reply {
        let Sent { response, auth, header } = sent;
        let mask = self.mask.with(header.as_ref());
        let has_body = self.host.head_unsupported.load(Ordering::Relaxed);
        match response.status {
            200 => match self.found(&response, digest, has_body, auth, &mask) {
                Ok(Some(found)) => Reply::Found(found),
                Ok(None) => self.conclude_get(path, header, auth, digest, None).await,
                Err(trouble) => Reply::Trouble(trouble),
            },
            405 | 501 if !has_body => {
                let reply = self.conclude_get(path, header, auth, digest, None).await;
                if matches!(reply, Reply::Found(_)) {
                    self.host.head_unsupported.store(true, Ordering::Relaxed);
                }
                reply
            }
            500..=599 => {
                tokio::time::sleep(jitter(AFTER_SERVER_ERROR)).await;
                self.conclude_get(path, header, auth, digest, None).await
            }
            401 | 404 | 429 => self.refused(&response, auth, &mask),
            // HEAD has no body: the registry's words and codes are worth one GET.
            400..=499 if !has_body => {
                self.conclude_get(path, header, auth, digest, Some(response.status)).await
            }
            400..=499 => self.refused(&response, auth, &mask),
            _ => self.no_registry(&response),
        }
    }

    /// One GET of the manifest. `head`: the status HEAD answered, which stays the answer.
    async fn conclude_get(
        &self,
        path: &str,
        header: Option<HeaderValue>,
        auth: Auth,
        digest: Option<&Digest>,
        head: Option<u16>,
    ) -> Reply {
        let mask = self.mask.with(header.as_ref());
        let request = self.request(Method::GET, path, ACCEPT, self.limits.manifest_bytes, header);
        let mut response = match self.host.send(self.transport, request, self.deadline).await {
            Ok(response) => response,
            Err(trouble) => return Reply::Trouble(trouble),
        };
        if let Some(status) = head {
            if response.is_html() {
                return Reply::Trouble(bad_answer(
                    &response.host,
                    status,
                    "a web page refused, not the registry",
                ));
            }
            response.status = status;
            return self.refused(&response, auth, &mask);
        }
        match response.status {
            200 => match self.found(&response, digest, true, auth, &mask) {
                Ok(Some(found)) => Reply::Found(found),
                Ok(None) => {
                    Reply::Trouble(bad_answer(&response.host, 200, "a manifest without content"))
                }
                Err(trouble) => Reply::Trouble(trouble),
            },
            400..=499 => self.refused(&response, auth, &mask),
            500..=599 => Reply::Trouble(self.server_error(&response, &mask)),
            _ => self.no_registry(&response),
        }
    }

    /// Reads a 200: `Ok(None)` when there is no digest and no body to make one from.
    fn found(
        &self,
        response: &Response,
        wanted: Option<&Digest>,
        has_body: bool,
        auth: Auth,
        mask: &Mask,
    ) -> Result<Option<Found>, Trouble> {
        let bad = |text: &str| bad_answer(&response.host, 200, text);
        let media_type =
            response.header("content-type", self.limits.header_bytes).unwrap_or_default();
        if kind(media_type) == Kind::NoRegistry {
            let what = if media_type.is_empty() {
                "a manifest without a type"
            } else {
                "a web page instead of a manifest"
            };
            return Err(bad(what));
        }
        let length =
            response.header("content-length", 32).and_then(|length| length.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.limits.manifest_bytes as u64) {
            let text = format!(
                "a manifest of {} bytes; runtimes read {}",
                length.unwrap_or_default(),
                self.limits.manifest_bytes
            );
            return Err(Trouble {
                reason: Reason::TooLarge,
                host: response.host.clone(),
                status: Some(200),
                text,
            });
        }
        let named = self.named_digest(response)?;
        let digest = if has_body {
            let algorithm_wanted = wanted.or(named.as_ref());
            match algorithm_wanted {
                Some(digest) if content::has_digest(&response.body, digest) => digest.clone(),
                Some(_) => return Err(bad("content that does not have its digest")),
                None => content::digest_of(&response.body),
            }
        } else {
            match named {
                Some(digest) => digest,
                None => return Ok(None),
            }
        };
        if wanted.is_some_and(|wanted| *wanted != digest) {
            return Err(bad("another digest than the one asked for"));
        }
        Ok(Some(Found {
            host: response.host.clone(),
            digest,
            media_type: clean(&urls::plain(&mask.hide(media_type)), 120),
            pulls_left: pulls_left(&response.headers),
            auth: Some(auth),
        }))
    }

    /// The Docker-Content-Digest header; malformed or contradicting itself, it is no registry's.
    fn named_digest(&self, response: &Response) -> Result<Option<Digest>, Trouble> {
        let mut named = None;
        for value in response.headers.get_all("docker-content-digest") {
            let digest = value.to_str().ok().and_then(|text| Digest::parse(text.trim()).ok());
            let digest = digest.ok_or_else(|| {
                bad_answer(&response.host, response.status, "a malformed digest header")
            })?;
            if named.as_ref().is_some_and(|named| *named != digest) {
                return Err(bad_answer(
                    &response.host,
                    response.status,
                    "two digest headers that differ",
                ));
            }
            named = Some(digest);
        }
        Ok(named)
    }

    fn refused(&self, response: &Response, auth: Auth, mask: &Mask) -> Reply {
        if response.status == 429 {
            return Reply::Trouble(Trouble {
                reason: Reason::Seen(Cause::RateLimited),
                host: response.host.clone(),
                status: Some(429),
                text: body::rate_limit_text(response),
            });
        }
        if self.speaks_tls_instead(response) {
            return Reply::Trouble(Trouble {
                reason: Reason::Seen(Cause::SchemeMismatch),
                host: response.host.clone(),
                status: Some(response.status),
                text: "plain http was sent to a port that speaks TLS".to_owned(),
            });
        }
        let (codes, text) = body::error(response, self.limits.error_bytes, mask);
        let challenge_error = match self.challenge(response) {
            Use::Bearer(bearer) => bearer.error.map(|error| urls::plain(&mask.hide(&error))),
            _ => None,
        };
        // Who answered in another's place saw no login.
        let auth = if response.led_away { Auth::NotDemanded } else { auth };
        Reply::Refused(Refusal {
            host: response.host.clone(),
            by: By::Registry,
            status: response.status,
            codes,
            text,
            auth,
            challenge_error,
        })
    }

    fn speaks_tls_instead(&self, response: &Response) -> bool {
        let says_so = || {
            String::from_utf8_lossy(&response.body[..response.body.len().min(4096)])
                .contains("HTTPS")
        };
        response.status == 400 && self.host.url("").scheme() == "http" && says_so()
    }

    fn server_error(&self, response: &Response, mask: &Mask) -> Trouble {
        let (_, text) = body::error(response, self.limits.error_bytes, mask);
        let text = if text.is_empty() { "an error of its own".to_owned() } else { text };
        Trouble {
            reason: Reason::Seen(Cause::RegistryError),
            host: response.host.clone(),
            status: Some(response.status),
            text,
        }
    }

    fn no_registry(&self, response: &Response) -> Reply {
        Reply::Trouble(bad_answer(
            &response.host,
            response.status,
            "a status that no registry gives here",
        ))
    }
}
