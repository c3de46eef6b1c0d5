//! Single requests to one repository, authorised as a runtime would: what a tag or digest names,
//! the tags, the bytes of a digest. A login known to be demanded is sent at once; when that is
//! refused the request is repeated anonymously first, as a runtime begins, before anything is told.
//! Follows containerd `core/remotes/docker/{resolver,authorizer}.go`.

mod conclude;

use std::sync::atomic::Ordering;

use reqwest::Method;
use reqwest::header::HeaderValue;
use tokio::time::Instant;
use url::Url;

use super::basic;
use super::challenge::{self, BearerChallenge, Use};
use super::content::ACCEPT;
use super::guard::realm_may_see_secret;
use super::host::Host;
use super::identity::Identity;
use super::mask::Mask;
use super::token::{self, Reach, TokenFailure, TokenKey, Tokens};
use super::transport::{Request, Response, Transport, authority, bad_answer};
use crate::credential::Credential;
use crate::diagnosis::cause::{Cause, Reason};
use crate::diagnosis::evidence::{Auth, By, Refusal, Reply, Trouble};
use crate::image::Digest;
use crate::settings::Limits;
use crate::text::{SHOWN, clean};

/// One repository, asked by one credential.
pub(super) struct Client<'a> {
    pub transport: &'a Transport,
    pub tokens: &'a Tokens,
    pub limits: &'a Limits,
    pub host: &'a Host,
    /// As the path of the API has it.
    pub repository: &'a str,
    /// `None`: anonymous, or a credential that sends nothing.
    pub login: Option<(&'a Credential, Identity)>,
    pub deadline: Instant,
    /// Hides the logins of the question.
    pub mask: &'a Mask,
}

/// A request's Authorization header and how it was come by.
struct Authorised {
    header: Option<HeaderValue>,
    auth: Auth,
    /// Which token it is, and whether it was issued just now.
    token: Option<(TokenKey, bool)>,
}

/// Why no Authorization header could be made.
pub(super) enum NotAuthorised {
    Refused(Refusal),
    Trouble(Trouble),
}

/// An answer and how the login fared.
pub(super) struct Sent {
    pub response: Response,
    pub auth: Auth,
    header: Option<HeaderValue>,
}

impl Client<'_> {
    /// What a tag or digest names: HEAD first.
    pub async fn manifest(&self, target: &str, digest: Option<&Digest>) -> Reply {
        let path = format!("v2/{}/manifests/{target}", self.repository);
        let method = if self.host.head_unsupported.load(Ordering::Relaxed) {
            Method::GET
        } else {
            Method::HEAD
        };
        match self.authorised(method, &path, ACCEPT, self.limits.manifest_bytes).await {
            Err(NotAuthorised::Refused(refusal)) => Reply::Refused(refusal),
            Err(NotAuthorised::Trouble(trouble)) => Reply::Trouble(trouble),
            Ok(sent) => {
                let auth = sent.auth;
                match self.conclude(sent, &path, digest).await {
                    // Only the secret could have helped, and it may not go there.
                    Reply::Refused(_) if auth == Auth::Withheld => {
                        Reply::Trouble(self.realm_not_trusted())
                    }
                    reply => reply,
                }
            }
        }
    }

    /// The first page of a repository's tags, with the client's login.
    pub async fn tags(&self) -> Result<Response, Trouble> {
        let path = format!("v2/{}/tags/list", self.repository);
        self.get(&path, "application/json", self.limits.tag_list_bytes).await
    }

    /// The bytes at a path of the repository, with the client's login.
    pub async fn get(
        &self,
        path: &str,
        accept: &'static str,
        cap: usize,
    ) -> Result<Response, Trouble> {
        match self.authorised(Method::GET, path, accept, cap).await {
            Ok(sent) => Ok(sent.response),
            Err(NotAuthorised::Trouble(trouble)) => Err(trouble),
            Err(NotAuthorised::Refused(refusal)) => Err(Trouble {
                reason: Reason::Seen(Cause::BadAnswer),
                host: refusal.host,
                status: Some(refusal.status),
                text: "the token service refuses what it granted before".to_owned(),
            }),
        }
    }

    /// The headers of a manifest, whatever the status. A login that is refused, or that may not be
    /// sent, is told and not replaced by nobody's.
    pub async fn head(&self, target: &str) -> Result<Response, NotAuthorised> {
        let path = format!("v2/{}/manifests/{target}", self.repository);
        let sent = self.authorised(Method::HEAD, &path, ACCEPT, self.limits.error_bytes).await;
        match sent {
            Ok(sent) if sent.auth == Auth::Withheld => {
                Err(NotAuthorised::Trouble(self.realm_not_trusted()))
            }
            Ok(sent) => Ok(sent.response),
            Err(NotAuthorised::Trouble(trouble)) => Err(NotAuthorised::Trouble(trouble)),
            Err(NotAuthorised::Refused(refusal)) => Err(NotAuthorised::Refused(refusal)),
        }
    }

    /// Sends a request with what the host is known to demand; see the module's text.
    async fn authorised(
        &self,
        method: Method,
        path: &str,
        accept: &'static str,
        cap: usize,
    ) -> Result<Sent, NotAuthorised> {
        let request =
            |header: Option<HeaderValue>| self.request(method.clone(), path, accept, cap, header);
        let mut early = None;
        let mut anonymous = None;
        match self.meet(&request).await {
            Met::Answer(answer) => anonymous = Some(answer),
            Met::Known(Some(challenge)) if self.has_use_for(&challenge) => {
                let sent = self.with(&challenge, &request).await;
                if self.is_final(&sent) {
                    return sent;
                }
                early = Some((challenge, sent));
            }
            Met::Known(_) => {}
        }
        let answer = match anonymous {
            Some(answer) => answer,
            None => self.host.send(self.transport, request(None), self.deadline).await,
        };
        let response = answer.map_err(NotAuthorised::Trouble)?;
        if response.status != 401 {
            return Ok(Sent { response, auth: Auth::NotDemanded, header: None });
        }
        let challenge = self.challenge(&response);
        match early {
            Some((used, sent)) if self.asks_the_same(&used, &challenge) => sent,
            _ => self.with(&challenge, &request).await,
        }
    }

    /// The first question to a host goes alone and anonymously, so that the others know its challenge.
    async fn meet(&self, request: &impl Fn(Option<HeaderValue>) -> Request) -> Met {
        if let Some(known) = self.host.met() {
            return Met::Known(known);
        }
        let _alone = self.host.first.lock().await;
        if let Some(known) = self.host.met() {
            return Met::Known(known);
        }
        let began = Instant::now();
        let answer = self.host.send(self.transport, request(None), self.deadline).await;
        if let Err(trouble) = &answer {
            self.host.never_answered(trouble, began.elapsed() >= self.limits.headers);
        }
        let challenge = answer
            .as_ref()
            .ok()
            .filter(|response| response.status == 401)
            .map(|response| self.challenge(response));
        self.host.remember(challenge.filter(|challenge| *challenge != Use::None));
        Met::Answer(answer)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        accept: &'static str,
        cap: usize,
        authorization: Option<HeaderValue>,
    ) -> Request {
        Request {
            method,
            url: self.host.url(path),
            accept,
            authorization,
            form: None,
            cap,
            follow_redirects: true,
            identity: self.login.map(|(_, identity)| identity),
        }
    }

    fn challenge(&self, response: &Response) -> Use {
        let headers: Vec<&[u8]> = response
            .headers
            .get_all("www-authenticate")
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        let challenge = challenge::choose(&challenge::parse(&headers));
        if challenge != Use::None {
            self.host.remember(Some(challenge.clone()));
        }
        challenge
    }

    /// Whether knowing this challenge saves the anonymous request.
    fn has_use_for(&self, challenge: &Use) -> bool {
        match challenge {
            Use::Bearer(_) => true,
            Use::Basic { .. } => self.basic_login().is_some(),
            Use::BearerUnusable { .. } | Use::None => false,
        }
    }

    /// Whether an answer to a login sent at once needs no second look: good, in trouble, or an
    /// anonymous token that a runtime would have used as well.
    fn is_final(&self, sent: &Result<Sent, NotAuthorised>) -> bool {
        match sent {
            Ok(sent) => self.login.is_none() || !matches!(sent.response.status, 401 | 403 | 404),
            Err(NotAuthorised::Trouble(trouble)) => trouble.reason != Reason::RealmNotTrusted,
            Err(NotAuthorised::Refused(_)) => false,
        }
    }

    fn asks_the_same(&self, used: &Use, asked: &Use) -> bool {
        match (used, asked) {
            (Use::Bearer(used), Use::Bearer(asked)) => {
                used.realm == asked.realm
                    && used.service == asked.service
                    && self.scopes(used) == self.scopes(asked)
            }
            (Use::Basic { .. }, Use::Basic { .. }) => true,
            _ => false,
        }
    }

    /// The scopes to ask for: those of the challenge that name no other repository, and our own.
    fn scopes(&self, challenge: &BearerChallenge) -> Vec<String> {
        let own = format!("repository:{}:", self.repository);
        let ours = |scope: &&String| !scope.starts_with("repository:") || scope.starts_with(&own);
        let kept: Vec<String> = challenge.scopes.iter().filter(ours).cloned().collect();
        token::scopes(&kept, self.repository)
    }

    /// Sends the request as the challenge demands. A token from the cache that is refused is renewed
    /// once, and so is a new one that is called invalid: it may have ended while its request waited.
    async fn with(
        &self,
        challenge: &Use,
        request: &impl Fn(Option<HeaderValue>) -> Request,
    ) -> Result<Sent, NotAuthorised> {
        let mut renewed = false;
        loop {
            let authorised = self.authorise(challenge).await?;
            let header = authorised.header.clone();
            let response =
                self.host.send(self.transport, request(authorised.header), self.deadline).await;
            let response = response.map_err(NotAuthorised::Trouble)?;
            match (authorised.token, &header) {
                (Some((key, fresh)), Some(sent))
                    if response.status == 401
                        && !renewed
                        && is_worth_another_token(&self.challenge(&response), fresh) =>
                {
                    self.tokens.forget(&key, sent).await;
                    renewed = true;
                }
                _ => return Ok(Sent { response, auth: authorised.auth, header }),
            }
        }
    }

    async fn authorise(&self, challenge: &Use) -> Result<Authorised, NotAuthorised> {
        let host = &self.host.registry;
        let bearer = match challenge {
            Use::Bearer(bearer) => bearer,
            Use::Basic { .. } => return self.basic(),
            Use::BearerUnusable { .. } => {
                return Err(NotAuthorised::Trouble(bad_answer(
                    host,
                    401,
                    "a login is demanded, and its token service is not usable",
                )));
            }
            Use::None => {
                return Err(NotAuthorised::Trouble(bad_answer(
                    host,
                    401,
                    "a login is demanded without a usable challenge",
                )));
            }
        };
        let realm = Url::parse(&bearer.realm)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
        let Some(realm) = realm else {
            return Err(NotAuthorised::Trouble(bad_answer(
                host,
                401,
                "the token service's address is not usable",
            )));
        };
        let trusted = realm_may_see_secret(
            host,
            &self.host.url(""),
            &realm,
            &self.host.settings.token_realms,
        );
        let login = self.login.filter(|_| trusted);
        let key = TokenKey {
            host: self.host.key.clone(),
            realm: bearer.realm.clone(),
            service: bearer.service.clone(),
            scopes: self.scopes(bearer),
            identity: login.map(|(_, identity)| identity),
        };
        let reach = Reach {
            transport: self.transport,
            trust: &self.host.trust_for(&realm, self.transport),
            lane: &self.host.lane,
            deadline: self.deadline,
            cap: self.limits.token_bytes,
            error_cap: self.limits.error_bytes,
            mask: self.mask,
        };
        let (issued, fresh) =
            self.tokens.get(&key, &realm, login.map(|(credential, _)| credential), &reach).await;
        match issued {
            Ok(token) => {
                let auth = match (self.login, login) {
                    (_, Some(_)) => Auth::LoginToken,
                    (Some(_), None) => Auth::Withheld,
                    (None, None) => Auth::AnonymousToken,
                };
                Ok(Authorised { header: Some(token.0), auth, token: Some((key, fresh)) })
            }
            Err(_) if self.login.is_some() && !trusted => {
                Err(NotAuthorised::Trouble(self.realm_not_trusted()))
            }
            Err(TokenFailure::Refused(refusal)) => Err(NotAuthorised::Refused(refusal)),
            Err(TokenFailure::Trouble(trouble)) => Err(NotAuthorised::Trouble(trouble)),
        }
    }

    /// Without a user there is nothing that could be sent by Basic.
    fn basic_login(&self) -> Option<&Credential> {
        let (credential, _) = self.login?;
        (!credential.user_bytes().is_empty()).then_some(credential)
    }

    fn basic(&self) -> Result<Authorised, NotAuthorised> {
        match self.basic_login() {
            Some(credential) => Ok(Authorised {
                header: Some(basic(credential)),
                auth: Auth::BasicSent,
                token: None,
            }),
            None => Err(NotAuthorised::Refused(Refusal {
                host: self.host.registry.clone(),
                by: By::Registry,
                status: 401,
                codes: Vec::new(),
                text: match self.login {
                    Some(_) => "an identity token is not sent by Basic".to_owned(),
                    None => String::new(),
                },
                auth: Auth::BasicDemanded,
                challenge_error: None,
            })),
        }
    }

    fn realm_not_trusted(&self) -> Trouble {
        let realm = match self.host.met() {
            Some(Some(Use::Bearer(bearer))) => {
                Url::parse(&bearer.realm).map(|url| authority(&url)).unwrap_or_default()
            }
            _ => "another host".to_owned(),
        };
        let text = format!(
            "logins for {} would go to {realm}, which is not trusted with them",
            self.host.registry
        );
        Trouble {
            reason: Reason::RealmNotTrusted,
            host: self.host.registry.clone(),
            status: None,
            text: clean(&text, SHOWN),
        }
    }
}

/// What the first question to a host found.
enum Met {
    Answer(Result<Response, Trouble>),
    Known(Option<Use>),
}

fn is_worth_another_token(challenge: &Use, fresh: bool) -> bool {
    let error = match challenge {
        Use::Bearer(bearer) => bearer.error.as_deref(),
        _ => None,
    };
    match error {
        Some("insufficient_scope") => false,
        Some("invalid_token") => true,
        _ => !fresh,
    }
}
