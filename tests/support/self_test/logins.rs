//! Basic and Bearer logins, the token endpoint, and the ways to refuse.

use super::super::{Anonymous, Config, Denial, FakeRegistry, TokenField};
use super::*;

const MANIFEST: &str = "/v2/team/app/manifests/1";
const SCOPE: &str = "repository:team/app:pull";

async fn start(config: Config) -> FakeRegistry {
    let registry = FakeRegistry::start(config.user("ci", "pw").private("team/app", &["ci"])).await;
    registry.push_image("team/app", "1", "linux/amd64");
    registry.push_image("public", "1", "linux/amd64");
    registry
}

/// A token for a scope, with or without a login; the status when refused.
async fn token(
    registry: &FakeRegistry,
    scope: &str,
    login: Option<(&str, &str)>,
) -> Result<String, u16> {
    let url = format!("{}/token?service=s&scope={scope}", registry.url());
    let mut request = client(None).get(url);
    if let Some((user, password)) = login {
        request = request.basic_auth(user, Some(password));
    }
    let response = request.send().await.unwrap();
    match response.status().as_u16() {
        200 => Ok(json(response).await["token"].as_str().unwrap().to_owned()),
        status => Err(status),
    }
}

/// Status and challenge of a manifest asked for with a token.
async fn read(registry: &FakeRegistry, path: &str, token: &str) -> (u16, String) {
    let url = format!("{}{path}", registry.url());
    let response = client(None).get(url).bearer_auth(token).send().await.unwrap();
    (response.status().as_u16(), header(&response, "www-authenticate").to_owned())
}

#[tokio::test]
async fn basic_admits_the_right_password_only() {
    let registry = start(Config::basic().user("guest", "pw")).await;
    let url = format!("{}{MANIFEST}", registry.url());
    for (login, status) in [
        (None, 401),
        (Some(("ci", "wrong")), 401),
        (Some(("guest", "pw")), 403),
        (Some(("ci", "pw")), 200),
    ] {
        let request = client(None).get(&url);
        let request = match login {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{login:?}");
        let challenge = if status == 401 { "Basic realm=\"fake-registry\"" } else { "" };
        assert_eq!(header(&response, "www-authenticate"), challenge);
    }
    assert_eq!(registry.requests()[3].basic(), Some(("ci".into(), "pw".into())));
}

#[tokio::test]
async fn bearer_challenges_then_admits_a_token_of_that_scope() {
    let registry = start(Config::bearer()).await;
    let response = get(&registry, MANIFEST).await;
    assert_eq!(response.status(), 401);
    let challenge = format!(
        "Bearer realm=\"{}/token\",service=\"fake-registry\",scope=\"{SCOPE}\"",
        registry.url()
    );
    assert_eq!(header(&response, "www-authenticate"), challenge);

    let good = token(&registry, SCOPE, Some(("ci", "pw"))).await.unwrap();
    assert_eq!(read(&registry, MANIFEST, &good).await.0, 200);
    let (status, challenge) = read(&registry, "/v2/public/manifests/1", &good).await;
    assert_eq!(status, 401);
    assert!(challenge.ends_with("error=\"insufficient_scope\""), "{challenge}");
    assert_eq!(token(&registry, SCOPE, Some(("ci", "wrong"))).await, Err(401));
    assert_eq!(registry.count_of("GET", "/token"), 2);

    registry.revoke_tokens();
    let (status, challenge) = read(&registry, MANIFEST, &good).await;
    assert_eq!(status, 401);
    assert!(challenge.ends_with("error=\"invalid_token\""), "{challenge}");
}

#[tokio::test]
async fn one_token_may_cover_several_repositories() {
    let registry = start(Config::bearer()).await;
    let scopes = format!("{SCOPE}&scope=repository:public:pull,push%20repository:other:pull");
    let good = token(&registry, &scopes, Some(("ci", "pw"))).await.unwrap();
    assert_eq!(read(&registry, MANIFEST, &good).await.0, 200);
    assert_eq!(read(&registry, "/v2/public/manifests/1", &good).await.0, 200);
    assert_eq!(read(&registry, "/v2/other/manifests/1", &good).await.0, 404);
}

#[tokio::test]
async fn each_registry_refuses_a_stranger_in_its_own_way() {
    for (denial, status, ending) in [
        (Denial::InsufficientScope, 401, "error=\"insufficient_scope\""),
        (Denial::Unauthorized, 401, "scope=\"repository:team/app:pull\""),
        (Denial::Forbidden, 403, ""),
        (Denial::NotFound, 404, ""),
    ] {
        let registry = start(Config::bearer().denial(denial)).await;
        let stranger = token(&registry, SCOPE, None).await.unwrap();
        let (answered, challenge) = read(&registry, MANIFEST, &stranger).await;
        assert_eq!(answered, status, "{denial:?}");
        assert!(challenge.ends_with(ending), "{denial:?}: {challenge}");
    }
    let registry = start(Config::bearer().denial(Denial::AtToken(403))).await;
    assert_eq!(token(&registry, SCOPE, None).await, Err(403));
    assert!(token(&registry, "repository:public:pull", None).await.is_ok());
}

#[tokio::test]
async fn absent_and_private_can_look_alike() {
    let registry = start(Config::bearer().absent_looks_private()).await;
    let scopes = "repository:none:pull&scope=repository:team/app:pull&scope=repository:public:pull";
    let stranger = token(&registry, scopes, None).await.unwrap();
    let absent = read(&registry, "/v2/none/manifests/1", &stranger).await;
    let private = read(&registry, MANIFEST, &stranger).await;
    assert_eq!(absent.0, 401);
    assert_eq!(absent.1.replace("none", "team/app"), private.1);
    assert_eq!(read(&registry, "/v2/public/manifests/2", &stranger).await.0, 404);
}

#[tokio::test]
async fn anonymous_tokens_can_be_refused() {
    let registry = start(Config::bearer().anonymous(Anonymous::Refused(401))).await;
    assert_eq!(token(&registry, "repository:public:pull", None).await, Err(401));
    assert!(token(&registry, SCOPE, Some(("ci", "pw"))).await.is_ok());
}

#[tokio::test]
async fn tokens_are_had_by_post_unless_the_endpoint_takes_none() {
    let registry = start(Config::bearer().identity_token("ci", "refresh-me")).await;
    let url = format!("{}/token", registry.url());
    let post = |body: &'static str| client(None).post(&url).body(body).send();
    for (form, status) in [
        ("grant_type=password&username=ci&password=pw&scope=repository:team/app:pull", 200),
        ("grant_type=refresh_token&refresh_token=refresh-me&scope=repository:team/app:pull", 200),
        ("grant_type=password&username=ci&password=wrong", 401),
        ("grant_type=refresh_token&refresh_token=other", 401),
    ] {
        let response = post(form).await.unwrap();
        assert_eq!(response.status(), status, "{form}");
        if status == 200 {
            let token = json(response).await["token"].as_str().unwrap().to_owned();
            assert_eq!(read(&registry, MANIFEST, &token).await.0, 200);
        }
    }
    assert_eq!(registry.requests()[0].field("username").as_deref(), Some("ci"));

    let old = start(Config::bearer().token_post_answers(404)).await;
    let response = client(None).post(format!("{}/token", old.url())).send().await.unwrap();
    assert_eq!(response.status(), 404);
    assert!(token(&old, SCOPE, Some(("ci", "pw"))).await.is_ok());
}

#[tokio::test]
async fn the_token_answer_can_be_shaped_and_tokens_expire() {
    let shape = |config: Config| async {
        let registry = start(config).await;
        json(get(&registry, "/token").await).await
    };
    let answer =
        shape(Config::bearer().token_field(TokenField::AccessToken).expires_in(None)).await;
    assert!(answer["access_token"].is_string() && answer.get("token").is_none());
    assert!(answer.get("expires_in").is_none());
    let extra = serde_json::json!({ "expires_in": -5, "access_token": "other" });
    let answer = shape(Config::bearer().token_extra(extra)).await;
    assert_eq!((&answer["expires_in"], &answer["access_token"]), (&(-5).into(), &"other".into()));

    let registry = start(Config::bearer().expires_in(0)).await;
    let stale = token(&registry, SCOPE, Some(("ci", "pw"))).await.unwrap();
    assert_eq!(read(&registry, MANIFEST, &stale).await.0, 401);
}

#[tokio::test]
async fn tokens_can_come_from_another_server() {
    let registry = start(Config::bearer()).await;
    let tokens = FakeRegistry::start_token_server(Config::open(), &registry).await;
    let challenge = header(&get(&registry, MANIFEST).await, "www-authenticate").to_owned();
    assert!(
        challenge.contains(&format!("realm=\"http://{}/token\"", tokens.host())),
        "{challenge}"
    );
    let good = token(&tokens, SCOPE, Some(("ci", "pw"))).await.unwrap();
    assert_eq!(read(&registry, MANIFEST, &good).await.0, 200);
    assert_eq!((registry.count_of("*", "/token"), tokens.count_of("*", "/token")), (0, 1));
}

#[tokio::test]
async fn tokens_can_be_granted_in_vain() {
    let registry = start(Config::bearer().tokens_never_work()).await;
    let good = token(&registry, SCOPE, Some(("ci", "pw"))).await.unwrap();
    assert_eq!(read(&registry, MANIFEST, &good).await.0, 401);
}
