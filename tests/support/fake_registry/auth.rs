//! Who may read what: Basic and Bearer logins, the token endpoint, and how registries say no.
//!
//! Follows the distribution token specification (GET) and its OAuth2 form (POST). Registries differ
//! most in how they refuse; `Denial` names the ways seen in the field.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::answer::Answer;

#[derive(Clone, Copy, Default, PartialEq)]
pub enum Scheme {
    #[default]
    Open,
    Basic,
    Bearer,
}

/// Who may read a repository; a repository without a rule is public.
#[derive(Clone, Debug)]
pub struct Access {
    pub readers: Vec<String>,
    pub denial: Option<Denial>,
}

/// How a reader without the right is refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Denial {
    /// A token is granted, the manifest answers 401 with `error="insufficient_scope"` (Docker Hub).
    InsufficientScope,
    /// A token is granted, the manifest answers 401 with the plain challenge (Quay).
    Unauthorized,
    /// The token endpoint itself refuses with this status (GHCR, Artifact Registry 403; ACR 401).
    AtToken(u16),
    /// The manifest answers 403 DENIED (ECR).
    Forbidden,
    /// The manifest answers 404, as if there were none.
    NotFound,
}

/// What the token endpoint does for a caller without a login.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Anonymous {
    #[default]
    Granted,
    Refused(u16),
}

/// Which field of the token answer holds the token.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum TokenField {
    #[default]
    Token,
    AccessToken,
    Both,
    Neither,
}

#[derive(Clone)]
pub struct Rules {
    pub scheme: Scheme,
    pub realm: Option<String>,
    pub service: String,
    pub users: HashMap<String, String>,
    pub identity_tokens: HashMap<String, String>,
    pub anonymous: Anonymous,
    pub access: HashMap<String, Access>,
    pub denial: Option<Denial>,
    pub absent_looks_private: bool,
    pub expires_in: Option<u64>,
    pub field: TokenField,
    pub extra: Value,
    pub post_status: Option<u16>,
    pub tokens_fail: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            scheme: Scheme::Open,
            realm: None,
            service: "fake-registry".to_owned(),
            users: HashMap::new(),
            identity_tokens: HashMap::new(),
            anonymous: Anonymous::Granted,
            access: HashMap::new(),
            denial: None,
            absent_looks_private: false,
            expires_in: Some(300),
            field: TokenField::Token,
            extra: Value::Null,
            post_status: None,
            tokens_fail: false,
        }
    }
}

/// The rules at work, and the tokens granted so far.
pub struct Auth {
    rules: Mutex<Rules>,
    tokens: Mutex<HashMap<String, Grant>>,
}

struct Grant {
    user: Option<String>,
    repositories: HashSet<String>,
    until: Instant,
}

impl Auth {
    pub fn new(mut rules: Rules, own_realm: String) -> Self {
        rules.realm.get_or_insert(own_realm);
        Self { rules: Mutex::new(rules), tokens: Mutex::default() }
    }

    pub fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().expect("no server task panicked")
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<String, Grant>> {
        self.tokens.lock().expect("no server task panicked")
    }

    pub fn set_realm(&self, realm: &str) {
        self.rules().realm = Some(realm.to_owned());
    }

    pub fn set_password(&self, user: &str, password: &str) {
        self.rules().users.insert(user.to_owned(), password.to_owned());
    }

    pub fn revoke_tokens(&self) {
        self.tokens().clear();
    }

    /// May the holder of this header read the repository (or, without one, the API's root)?
    #[allow(clippy::result_large_err)] // a refusal is as large as any answer
    pub fn admit(
        &self,
        repository: Option<(&str, bool)>,
        header: Option<&str>,
    ) -> Result<(), Answer> {
        let rules = self.rules();
        let name = repository.map(|(name, _)| name);
        let user = match rules.scheme {
            Scheme::Open => return Ok(()),
            Scheme::Basic => Some(
                header
                    .and_then(basic_login)
                    .filter(|login| rules.knows(login))
                    .ok_or_else(|| rules.challenge(name, None))?
                    .0,
            ),
            Scheme::Bearer => {
                let token = header.and_then(|h| h.strip_prefix("Bearer "));
                let token = token.ok_or_else(|| rules.challenge(name, None))?;
                let tokens = self.tokens();
                let grant = tokens
                    .get(token)
                    .filter(|grant| grant.until > Instant::now() && !rules.tokens_fail)
                    .ok_or_else(|| rules.challenge(name, Some("invalid_token")))?;
                if name.is_some_and(|name| !grant.repositories.contains(name)) {
                    return Err(rules.challenge(name, Some("insufficient_scope")));
                }
                grant.user.clone()
            }
        };
        match repository.and_then(|(name, exists)| rules.denies(name, exists, user.as_deref())) {
            None => Ok(()),
            Some(Denial::NotFound) => {
                Err(Answer::error(404, "NAME_UNKNOWN", "repository name not known to registry"))
            }
            Some(Denial::Forbidden) => {
                Err(Answer::error(403, "DENIED", "requested access to the resource is denied"))
            }
            Some(Denial::Unauthorized) => Err(rules.challenge(name, None)),
            Some(_) => Err(rules.challenge(name, Some("insufficient_scope"))),
        }
    }

    /// The token endpoint; `exists` says which repositories the registry holds.
    pub fn token(
        &self,
        post: bool,
        query: &str,
        header: Option<&str>,
        form: &str,
        exists: impl Fn(&str) -> bool,
    ) -> Answer {
        let rules = self.rules();
        if let Some(status) = rules.post_status.filter(|_| post) {
            return Answer::error(status, "UNSUPPORTED", "this token endpoint takes no POST");
        }
        let fields = if post { form } else { query };
        let fields: Vec<(String, String)> =
            url::form_urlencoded::parse(fields.as_bytes()).into_owned().collect();
        let user = match rules.who(post, &fields, header) {
            Ok(user) => user,
            Err(status) => {
                return Answer::error(status, "UNAUTHORIZED", "incorrect username or password");
            }
        };
        let scopes = fields.iter().filter(|(name, _)| name == "scope");
        let repositories: HashSet<String> =
            scopes.flat_map(|(_, scope)| scope.split(' ').filter_map(pullable)).collect();
        for name in &repositories {
            if let Some(Denial::AtToken(status)) = rules.denies(name, exists(name), user.as_deref())
            {
                return Answer::error(
                    status,
                    "DENIED",
                    "requested access to the resource is denied",
                );
            }
        }
        let token = hex::encode(rand::random::<[u8; 16]>());
        let until = Instant::now() + Duration::from_secs(rules.expires_in.unwrap_or(60));
        self.tokens().insert(token.clone(), Grant { user, repositories, until });
        Answer::json(200, &rules.token_answer(&token))
    }
}

impl Rules {
    pub fn of(scheme: Scheme) -> Self {
        Self { scheme, ..Self::default() }
    }

    fn knows(&self, (user, password): &(String, String)) -> bool {
        self.users.get(user) == Some(password)
    }

    /// The user behind a token request, `None` for nobody; or the status to refuse it with.
    fn who(
        &self,
        post: bool,
        fields: &[(String, String)],
        header: Option<&str>,
    ) -> Result<Option<String>, u16> {
        let field = |name: &str| {
            fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).unwrap_or_default()
        };
        let login = match header {
            Some(header) => basic_login(header).ok_or(401u16)?,
            None if post && field("grant_type") == "refresh_token" => {
                let user = self.identity_tokens.get(&field("refresh_token"));
                return user.map(|user| Some(user.clone())).ok_or(401);
            }
            None if post => (field("username"), field("password")),
            None => {
                return match self.anonymous {
                    Anonymous::Granted => Ok(None),
                    Anonymous::Refused(status) => Err(status),
                };
            }
        };
        if self.knows(&login) { Ok(Some(login.0)) } else { Err(401) }
    }

    fn denies(&self, repository: &str, exists: bool, user: Option<&str>) -> Option<Denial> {
        let rule = self.access.get(repository);
        let default = match self.scheme {
            Scheme::Basic => Denial::Forbidden,
            _ => Denial::InsufficientScope,
        };
        let denial = rule.and_then(|rule| rule.denial).or(self.denial).unwrap_or(default);
        let allowed = match rule {
            Some(rule) => user.is_some_and(|user| rule.readers.iter().any(|r| r == user)),
            None => exists || !self.absent_looks_private,
        };
        (!allowed).then_some(denial)
    }

    /// 401 with the challenge of this scheme.
    fn challenge(&self, repository: Option<&str>, error: Option<&str>) -> Answer {
        let text = if self.scheme == Scheme::Basic {
            format!("Basic realm=\"{}\"", self.service)
        } else {
            let realm = self.realm.as_deref().unwrap_or_default();
            let mut text = format!("Bearer realm=\"{realm}\",service=\"{}\"", self.service);
            if let Some(name) = repository {
                text += &format!(",scope=\"repository:{name}:pull\"");
            }
            if let Some(error) = error {
                text += &format!(",error=\"{error}\"");
            }
            text
        };
        Answer::error(401, "UNAUTHORIZED", "authentication required")
            .with("www-authenticate", &text)
    }

    fn token_answer(&self, token: &str) -> Value {
        let mut answer = match self.field {
            TokenField::Token => json!({ "token": token }),
            TokenField::AccessToken => json!({ "access_token": token }),
            TokenField::Both => json!({ "token": token, "access_token": token }),
            TokenField::Neither => json!({}),
        };
        if let Some(seconds) = self.expires_in {
            answer["expires_in"] = json!(seconds);
        }
        for (name, value) in self.extra.as_object().into_iter().flatten() {
            answer[name] = value.clone();
        }
        answer
    }
}

/// User and password of a Basic header.
pub fn basic_login(header: &str) -> Option<(String, String)> {
    let decoded = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// The repository of a scope `repository:<name>:<actions>` whose actions include pull.
fn pullable(scope: &str) -> Option<String> {
    let (name, actions) = scope.strip_prefix("repository:")?.rsplit_once(':')?;
    actions.split(',').any(|a| a == "pull" || a == "*").then(|| name.to_owned())
}
