//! Bearer tokens: fetched as containerd fetches them (a login by POST, then by GET; nobody by GET),
//! kept per host, realm, service, scope and identity, one fetch in flight for each.
//! Follows containerd `core/remotes/docker/auth/fetch.go` and the distribution token specification.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant as StdInstant};

use moka::Expiry;
use moka::future::Cache;
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::basic;
use super::body;
use super::cache::{cut_at, has_more_time};
use super::identity::Identity;
use super::lane::Lane;
use super::mask::Mask;
use super::transport::{Request, Response, Transport, Trust, bad_answer};
use crate::credential::Credential;
use crate::diagnosis::cause::{Cause, Reason};
use crate::diagnosis::evidence::{Auth, By, Refusal, Trouble};

/// Which token: everything that makes two tokens differ.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TokenKey {
    /// The registry host the token is for.
    pub host: String,
    pub realm: String,
    pub service: String,
    /// Sorted, without duplicates.
    pub scopes: Vec<String>,
    pub identity: Option<Identity>,
}

/// A token, fit for an Authorization header.
#[derive(Clone)]
pub(super) struct Token(pub HeaderValue);

/// Why there is no token.
#[derive(Debug, Clone)]
pub(super) enum TokenFailure {
    Refused(Refusal),
    Trouble(Trouble),
}

/// What a token service gave, and for how long that counts.
#[derive(Clone)]
struct Issue {
    token: Result<Token, TokenFailure>,
    lifetime: Duration,
    /// The deadline that cut the asking short.
    cut: Option<Instant>,
}

/// All tokens of a process.
pub(super) struct Tokens {
    cache: Cache<TokenKey, Issue>,
    /// Realms that answered 404 or 405 to a POST: later logins go by GET at once.
    get_only: Mutex<BTreeSet<String>>,
}

struct ByIssue;

impl Expiry<TokenKey, Issue> for ByIssue {
    fn expire_after_create(&self, _: &TokenKey, issue: &Issue, _: StdInstant) -> Option<Duration> {
        Some(issue.lifetime)
    }
}

/// How long a refusal and a failure are remembered, and a token that names no time.
const REFUSED: Duration = Duration::from_secs(30);
const FAILED: Duration = Duration::from_secs(5);
const UNNAMED: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3600);

/// How to reach a token service.
pub(super) struct Reach<'a> {
    pub transport: &'a Transport,
    pub trust: &'a Trust,
    pub lane: &'a Lane,
    pub deadline: Instant,
    pub cap: usize,
    pub error_cap: usize,
    pub mask: &'a Mask,
}

impl Reach<'_> {
    async fn send(&self, request: &Request) -> Result<Response, Trouble> {
        self.transport.send(request, self.trust, self.lane, self.deadline).await
    }
}

impl Tokens {
    pub fn new() -> Self {
        let cache = Cache::builder().max_capacity(100_000).expire_after(ByIssue).build();
        Self { cache, get_only: Mutex::default() }
    }

    /// The token for `key`, and whether it was fetched just now.
    pub async fn get(
        &self,
        key: &TokenKey,
        realm: &Url,
        login: Option<&Credential>,
        reach: &Reach<'_>,
    ) -> (Result<Token, TokenFailure>, bool) {
        loop {
            let fetch = self.fetch(key, realm, login, reach);
            let entry = self.cache.entry_by_ref(key).or_insert_with(fetch).await;
            let fresh = entry.is_fresh();
            let issue = entry.into_value();
            if !has_more_time(reach.deadline, issue.cut) {
                return (issue.token, fresh);
            }
        }
    }

    /// Forgets a token that the registry did not take, unless another question already renewed it.
    pub async fn forget(&self, key: &TokenKey, refused: &HeaderValue) {
        let kept = self.cache.get(key).await;
        if matches!(kept, Some(Issue { token: Ok(token), .. }) if token.0 == *refused) {
            self.cache.invalidate(key).await;
        }
    }

    async fn fetch(
        &self,
        key: &TokenKey,
        realm: &Url,
        login: Option<&Credential>,
        reach: &Reach<'_>,
    ) -> Issue {
        let issued = match login {
            Some(login) => self.fetch_with(key, realm, login, reach).await,
            None => read(reach.send(&get(realm, key, None, reach.cap)).await, None, reach),
        };
        match issued {
            Ok((token, lifetime)) => Issue { token: Ok(token), lifetime, cut: None },
            Err(failure) => {
                let cut = match &failure {
                    TokenFailure::Trouble(trouble) => cut_at(trouble, reach.deadline),
                    TokenFailure::Refused(_) => None,
                };
                let lifetime = match &failure {
                    _ if cut.is_some() => Duration::ZERO,
                    TokenFailure::Refused(_) => REFUSED,
                    // The pause of the host decides when it is asked again.
                    TokenFailure::Trouble(trouble) if trouble.is_rate_limit() => Duration::ZERO,
                    TokenFailure::Trouble(_) => FAILED,
                };
                Issue { token: Err(failure), lifetime, cut }
            }
        }
    }

    /// POST first; 400, 401, 404 and 405 are tried again by GET with Basic, 403 is final. What has no
    /// user is an identity token, which goes by POST alone.
    async fn fetch_with(
        &self,
        key: &TokenKey,
        realm: &Url,
        login: &Credential,
        reach: &Reach<'_>,
    ) -> Result<(Token, Duration), TokenFailure> {
        let by_get =
            self.get_only.lock().unwrap_or_else(PoisonError::into_inner).contains(realm.as_str());
        let is_identity_token = login.user_bytes().is_empty();
        if !by_get || is_identity_token {
            let sent = reach.send(&post(realm, key, login, reach.cap)).await;
            match &sent {
                _ if is_identity_token => return read(sent, Some(login), reach),
                Ok(response) if matches!(response.status, 400 | 401) => {}
                Ok(response) if matches!(response.status, 404 | 405) => {
                    self.get_only
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(realm.to_string());
                }
                _ => return read(sent, Some(login), reach),
            }
        }
        let authorization = Some(basic(login));
        let sent = reach.send(&get(realm, key, authorization, reach.cap)).await;
        match read(sent, Some(login), reach) {
            // A login without a user is none to ask again with.
            Err(TokenFailure::Refused(refusal))
                if refusal.status == 403 && !login.user_bytes().is_empty() =>
            {
                let refusal = self.tell_why(refusal, key, realm, login, reach).await;
                Err(TokenFailure::Refused(refusal))
            }
            other => other,
        }
    }

    /// A 403 to a login may mean the login or the repository. Asked with the login and for no
    /// repository, as `docker login` asks, the token service tells which.
    async fn tell_why(
        &self,
        mut refusal: Refusal,
        key: &TokenKey,
        realm: &Url,
        login: &Credential,
        reach: &Reach<'_>,
    ) -> Refusal {
        let bare = TokenKey { scopes: Vec::new(), ..key.clone() };
        let request = get(realm, &bare, Some(basic(login)), reach.cap);
        let sent = reach.send(&request).await;
        refusal.auth = match sent {
            Ok(response) if response.status == 200 && token(&response).is_ok() => {
                Auth::RepositoryRefused
            }
            Ok(response) if matches!(response.status, 401 | 403) && !response.is_html() => {
                Auth::LoginRefused
            }
            _ => refusal.auth,
        };
        refusal
    }
}

fn get(realm: &Url, key: &TokenKey, authorization: Option<HeaderValue>, cap: usize) -> Request {
    let mut url = realm.clone();
    {
        let mut query = url.query_pairs_mut();
        for scope in &key.scopes {
            query.append_pair("scope", scope);
        }
        if !key.service.is_empty() {
            query.append_pair("service", &key.service);
        }
    }
    Request {
        method: Method::GET,
        url,
        accept: "application/json",
        authorization,
        form: None,
        cap,
        follow_redirects: false,
        identity: key.identity,
    }
}

fn post(realm: &Url, key: &TokenKey, login: &Credential, cap: usize) -> Request {
    let encode = |bytes: &[u8]| url::form_urlencoded::byte_serialize(bytes).collect::<String>();
    let mut form = format!(
        "client_id=containerd-client&scope={}&service={}",
        encode(key.scopes.join(" ").as_bytes()),
        encode(key.service.as_bytes())
    );
    if login.user_bytes().is_empty() {
        form.push_str(&format!(
            "&grant_type=refresh_token&refresh_token={}",
            encode(login.password_bytes())
        ));
    } else {
        form.push_str(&format!(
            "&grant_type=password&username={}&password={}",
            encode(login.user_bytes()),
            encode(login.password_bytes())
        ));
    }
    let url = realm.clone();
    Request {
        method: Method::POST,
        url,
        accept: "application/json",
        authorization: None,
        form: Some(form),
        cap,
        follow_redirects: false,
        identity: key.identity,
    }
}

fn read(
    sent: Result<Response, Trouble>,
    login: Option<&Credential>,
    reach: &Reach<'_>,
) -> Result<(Token, Duration), TokenFailure> {
    // Its host may be the registry's own, so the words tell which of the two failed.
    let response = sent.map_err(|trouble| {
        let text = format!("the token service: {}", trouble.text);
        TokenFailure::Trouble(Trouble { text, ..trouble })
    })?;
    let trouble = |cause: Cause, text: &str| {
        TokenFailure::Trouble(Trouble {
            reason: Reason::Seen(cause),
            host: response.host.clone(),
            status: Some(response.status),
            text: format!("the token service: {text}"),
        })
    };
    match response.status {
        200 => token(&response)
            .map_err(|text| TokenFailure::Trouble(bad_answer(&response.host, 200, text))),
        429 => Err(trouble(Cause::RateLimited, &body::rate_limit_text(&response))),
        500..=599 => Err(trouble(Cause::RegistryError, "an error of its own")),
        400..=499 if response.is_html() => {
            Err(trouble(Cause::BadAnswer, "a web page instead of an answer"))
        }
        400..=499 => {
            let (codes, text) = body::error(&response, reach.error_cap, reach.mask);
            let auth =
                if login.is_some() { Auth::LoginTokenRefused } else { Auth::AnonymousTokenRefused };
            let host = response.host.clone();
            Err(TokenFailure::Refused(Refusal {
                host,
                by: By::TokenService,
                status: response.status,
                codes,
                text,
                auth,
                challenge_error: None,
            }))
        }
        // Nobody but the realm may see a login, and whom it names need not be asked.
        300..=399 => Err(trouble(Cause::BadAnswer, "a redirect, which is not followed")),
        _ => Err(trouble(Cause::BadAnswer, "an answer that is no token")),
    }
}

/// `access_token`, else `token`; only what fits a header as it is.
fn token(response: &Response) -> Result<(Token, Duration), &'static str> {
    let parsed: Value = serde_json::from_slice(&response.body)
        .map_err(|_| "the token service answered 200 with no JSON")?;
    let named =
        |name: &str| parsed.get(name).and_then(Value::as_str).filter(|token| !token.is_empty());
    let token = named("access_token")
        .or_else(|| named("token"))
        .ok_or("the token service answered 200 without a token")?;
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the token service answered with a token that fits no header");
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| "the token service answered with a token that fits no header")?;
    value.set_sensitive(true);
    Ok((Token(value), lifetime(parsed.get("expires_in"))))
}

/// Seconds until a token ends: what the answer says, a little less, between one second and an hour.
fn lifetime(expires_in: Option<&Value>) -> Duration {
    let seconds =
        expires_in.and_then(Value::as_f64).filter(|seconds| seconds.is_finite() && *seconds > 0.0);
    let Some(seconds) = seconds else { return UNNAMED };
    let whole = Duration::from_secs_f64(seconds.min(LONGEST.as_secs_f64()));
    let margin = (whole / 10).min(Duration::from_secs(10));
    (whole - margin).max(Duration::from_secs(1))
}

/// The scopes of a challenge with our own, sorted and without duplicates, as containerd sends them.
pub(super) fn scopes(challenge: &[String], repository: &str) -> Vec<String> {
    let own = format!("repository:{repository}:pull");
    let set: BTreeSet<String> =
        challenge.iter().filter(|scope| !scope.is_empty()).cloned().chain([own]).collect();
    set.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn response(body: &str) -> Response {
        let (host, headers) = ("h".into(), Default::default());
        Response { status: 200, headers, body: body.into(), host, led_away: false }
    }

    #[test]
    fn b41_tokens_that_fit_no_header_are_refused() {
        for bad in [
            r#"{"token":"a\nb"}"#,
            r#"{"token":"a\r\nX: y"}"#,
            r#"{"token":""}"#,
            r#"{"token":5}"#,
            "<html>",
            "",
            "[]",
            r#"{"token":"a b"}"#,
        ] {
            assert!(token(&response(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn b41_access_token_wins_and_an_empty_one_does_not() {
        let value = |body: &str| token(&response(body)).unwrap().0.0;
        assert_eq!(value(r#"{"token":"T","access_token":"A"}"#), "Bearer A");
        assert_eq!(value(r#"{"token":"T","access_token":""}"#), "Bearer T");
    }

    /// It is kept for so long from when it came, by a clock that nobody sets.
    #[test]
    fn f48_when_a_token_was_issued_by_whatever_clock_does_not_matter() {
        for issued in ["1970-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "?"]
        {
            let body = json!({"token": "T", "expires_in": 300, "issued_at": issued}).to_string();
            assert_eq!(token(&response(&body)).unwrap().1.as_secs(), 290, "{issued}");
        }
    }

    #[test]
    fn b41_lifetimes_are_bounded() {
        let of = |value: serde_json::Value| lifetime(Some(&value)).as_secs();
        assert_eq!(
            (of(json!(-5)), of(json!("soon")), of(json!(1)), of(json!(1e18)), of(json!(300))),
            (60, 60, 1, 3590, 290)
        );
        assert_eq!(lifetime(None), UNNAMED);
    }
}
