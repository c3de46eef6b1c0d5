//! Personalities of registries: the fake registry answering as Docker Hub, ECR, Harbor and others
//! do, each under its own host names. A family says how it challenges, what its token service
//! answers to whom, and whom its registry refuses and how; what is not refused is served.
//!
//! All hold the same: `team/public:1`, readable by all, `team/private:1`, readable by the good
//! login, and repositories named after what is special about them. The password says whose login
//! it is: it begins with `good-`, `bad-` or `expired-`.

mod clouds;
mod hubs;
mod own;

use serde_json::json;

use super::tls::Identity;
use super::{Answer, Config, FakeRegistry, Recorded};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Who {
    Nobody,
    Good,
    Bad,
    Expired,
}

/// What is asked of a repository.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Manifest,
    Tags,
    Blob,
}

/// One request to the registry itself.
pub struct Ask<'a> {
    pub who: Who,
    pub repository: &'a str,
    pub kind: Kind,
    /// The tag or digest.
    pub target: &'a str,
}

impl Ask<'_> {
    /// Not there, or not for this caller.
    pub fn is_hidden(&self) -> bool {
        is_hidden(self.who, self.repository)
    }
}

/// Not there, or not for this caller.
pub fn is_hidden(who: Who, repository: &str) -> bool {
    match repository {
        "team/private" | "team/virtual" => who != Who::Good,
        "team/public" | "team/last" => false,
        _ => true,
    }
}

/// How a login is demanded.
pub enum Scheme {
    /// `realm` and `service` of the challenge; `scope` where it is not the repository's; the status
    /// that a POST to the token service is answered with, where it takes none.
    Bearer {
        realm: &'static str,
        service: &'static str,
        scope: Option<&'static str>,
        post: Option<u16>,
    },
    Basic {
        realm: &'static str,
    },
}

/// One family of registries.
pub struct Family {
    pub name: &'static str,
    /// As images write it.
    pub registry: &'static str,
    /// Every host that answers.
    pub hosts: &'static [&'static str],
    pub user: &'static str,
    pub scheme: Scheme,
    /// How the token service refuses a token for a repository, or for none.
    pub no_token: fn(Who, Option<&str>) -> Option<Answer>,
    /// How the registry refuses who has got past the challenge.
    pub refuse: fn(&Family, &Ask<'_>) -> Option<Answer>,
}

/// All of them.
pub fn all() -> Vec<Family> {
    [hubs::all(), clouds::all(), own::all()].into_iter().flatten().collect()
}

impl Family {
    /// A server that answers as this family, under all of its names.
    pub async fn start(self, identity: &Identity) -> FakeRegistry {
        let script = move |request: &Recorded| self.answer(request);
        let server = FakeRegistry::start(Config::open().tls(identity).script(script)).await;
        for repository in ["team/public", "team/private", "team/virtual", "team/last"] {
            server.push_image(repository, "1", "linux/amd64");
        }
        server
    }

    fn answer(&self, request: &Recorded) -> Option<Answer> {
        if let Scheme::Bearer { realm, post, .. } = &self.scheme
            && *realm == format!("https://{}{}", request.host, request.path())
        {
            return Some(self.token(request, *post));
        }
        let path = request.path().strip_prefix("/v2/").unwrap_or_default();
        let mut ask = parse(path)?;
        let login = match self.scheme {
            Scheme::Basic { .. } => request.basic().map(|(_, password)| who(&password)),
            Scheme::Bearer { .. } => request
                .authorization
                .as_deref()
                .and_then(|header| header.strip_prefix("Bearer for-"))
                .map(who),
        };
        let Some(login) = login else { return Some(self.challenge(ask.repository, None)) };
        ask.who = login;
        (self.refuse)(self, &ask)
    }

    fn token(&self, request: &Recorded, post: Option<u16>) -> Answer {
        let is_post = request.method == "POST";
        if let Some(status) = post.filter(|_| is_post) {
            return Answer::error(status, "UNSUPPORTED", "not so");
        }
        let password = match request.basic() {
            Some((_, password)) => Some(password),
            None if is_post => request.field("password"),
            None => None,
        };
        let who = password.as_deref().map_or(Who::Nobody, who);
        let scope = request.field("scope");
        let repository = scope
            .as_deref()
            .and_then(|scope| scope.strip_prefix("repository:"))
            .and_then(|scope| scope.rsplit_once(':'))
            .map(|(repository, _)| repository);
        (self.no_token)(who, repository).unwrap_or_else(|| {
            let name = format!("{who:?}").to_lowercase();
            Answer::json(200, &json!({ "token": format!("for-{name}"), "expires_in": 300 }))
        })
    }

    /// 401 with this family's challenge, as it answers who sends nothing or too little.
    pub fn challenge(&self, repository: &str, error: Option<&str>) -> Answer {
        let text = match &self.scheme {
            Scheme::Basic { realm } => format!("Basic realm=\"{realm}\""),
            Scheme::Bearer { realm, service, scope, .. } => {
                let scope = scope
                    .map_or_else(|| format!("repository:{repository}:pull"), ToOwned::to_owned);
                let error = error.map(|error| format!(",error=\"{error}\"")).unwrap_or_default();
                format!("Bearer realm=\"{realm}\",service=\"{service}\",scope=\"{scope}\"{error}")
            }
        };
        Answer::error(401, "UNAUTHORIZED", "authentication required")
            .with("www-authenticate", &text)
    }
}

fn who(password: &str) -> Who {
    match password.split('-').next() {
        Some("good") => Who::Good,
        Some("expired") => Who::Expired,
        Some("nobody") => Who::Nobody,
        _ => Who::Bad,
    }
}

fn parse(path: &str) -> Option<Ask<'_>> {
    let (before, target) = path.rsplit_once('/')?;
    let (repository, kind) = before.rsplit_once('/')?;
    let kind = match kind {
        "manifests" => Kind::Manifest,
        "blobs" => Kind::Blob,
        "tags" => Kind::Tags,
        _ => return None,
    };
    Some(Ask { who: Who::Nobody, repository, kind, target })
}

/// 401 of a token service to a wrong login, and nothing else refused.
fn only_logins(who: Who, _: Option<&str>) -> Option<Answer> {
    matches!(who, Who::Bad | Who::Expired)
        .then(|| Answer::error(401, "UNAUTHORIZED", "authentication required"))
}

/// Nobody is refused.
fn nothing(_: &Family, _: &Ask<'_>) -> Option<Answer> {
    None
}
