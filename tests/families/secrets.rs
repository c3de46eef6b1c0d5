//! Who may hear a login: T04 for the pinned pairs and against foreign realms, T06, T07 and T09.
//! Listeners that must not hear a secret keep every byte.

use pullproof::manifest::source::{SourceOptions, extract};
use pullproof::pipeline::{Options, Road};

use super::*;
use crate::support::families::{Ask, Scheme, Who};
use crate::support::{Answer, Config, Fault, Recorded, Trap};

/// Whether a request holds this password, in its form or as Basic.
fn tells(request: &Recorded, password: &str) -> bool {
    request.basic().is_some_and(|(_, said)| said == password) || request.form.contains(password)
}

/// The hosts that heard the password of this login, each once.
fn heard(server: &FakeRegistry, login: &str) -> Vec<String> {
    let password = secret(login);
    let requests = server.requests().into_iter().filter(|request| tells(request, &password));
    let mut hosts: Vec<String> = requests.map(|request| request.host).collect();
    hosts.dedup();
    hosts
}

#[tokio::test]
async fn t04_the_login_of_a_pinned_pair_goes_to_its_token_service_and_nowhere_else() {
    for (family, realm) in [("docker-hub", "auth.docker.io"), ("gitlab", "gitlab.com")] {
        let world = World::of(family).await;
        let diagnosis = world.ask(&world.client(), "team/private:1", Some("good")).await;
        assert_eq!(id(&diagnosis), "pullable", "{family}");
        assert_eq!(heard(&world.server, "good"), [realm], "{family}");
    }
}

/// A token service under a foreign name; the world's registry sends its callers there.
async fn foreign(world: &mut World, name: &'static str) -> FakeRegistry {
    let authority = Authority::new();
    let server = FakeRegistry::start(Config::bearer().tls(&authority.for_names(&[name]))).await;
    lead(&mut world.settings, name, server.host());
    let ca = CertificateFile { file: PathBuf::from("foreign-ca.pem"), pem: authority.pem() };
    let entry = HostSettings { ca: Some(ca), ..HostSettings::default() };
    world.settings.registries = world.settings.registries.clone().with_host(name, entry);
    let challenge = format!("Bearer realm=\"https://{name}/token\",service=\"registry.docker.io\"");
    world.server.fault(Fault::on("*", "/v2/").challenge(&[&challenge]));
    server
}

#[tokio::test]
async fn t04_a_foreign_realm_is_asked_for_a_token_and_hears_no_login() {
    for (family, name) in [
        ("docker-hub", "auth.evil.test"),
        ("docker-hub", "auth.docker.io.evil.test"),
        // Pinned, but for another registry.
        ("ghcr", "auth.docker.io"),
        ("ghcr", "gitlab.com"),
        ("gitlab", "auth.docker.io"),
        ("harbor", "gitlab.com"),
    ] {
        let mut world = World::of(family).await;
        let realm = foreign(&mut world, name).await;
        let diagnosis = world.ask(&world.client(), "team/private:1", Some("good")).await;
        assert_eq!(id(&diagnosis), "realm-not-trusted", "{family}, {name}");
        assert_eq!(diagnosis.pulls, None);
        assert!(diagnosis.summary.contains(name), "{}", diagnosis.summary);
        assert!(realm.count_of("GET", "/token") > 0, "a token is asked for anonymously");
        for server in [&realm, &world.server] {
            assert!(heard(server, "good").is_empty(), "{family}, {name}");
            let sent = format!("{:?}", server.requests());
            assert!(!sent.contains("CANARY"), "{family}, {name}");
        }
    }
}

/// A GitLab of one's own: its token service has a name of its own.
fn own_gitlab() -> Family {
    Family {
        name: "own-gitlab",
        registry: "registry.acme.example",
        hosts: &["registry.acme.example", "gitlab.acme.example"],
        user: "ci",
        scheme: Scheme::Bearer {
            realm: "https://gitlab.acme.example/jwt/auth",
            service: "container_registry",
            scope: None,
            post: Some(404),
        },
        no_token: |who, repository| match (who, repository) {
            (Who::Nobody, Some("team/private" | "team/absent")) => {
                Some(Answer::error(403, "DENIED", "access forbidden"))
            }
            _ => None,
        },
        refuse: |_: &Family, _: &Ask<'_>| None,
    }
}

#[tokio::test]
async fn t04_a_gitlab_of_ones_own_gets_the_login_once_the_settings_trust_its_realm() {
    let mut world = World::start(own_gitlab()).await;
    let diagnosis = world.ask(&world.client(), "team/private:1", Some("good")).await;
    assert_eq!((id(&diagnosis), diagnosis.pulls), ("realm-not-trusted", None));
    assert!(heard(&world.server, "good").is_empty());
    let public = world.ask(&world.client(), "team/public:1", Some("good")).await;
    assert_eq!(id(&public), "pullable", "an anonymous token does for a public image");

    let mut entry = world.settings.registries.host("registry.acme.example");
    entry.token_realms = vec!["https://gitlab.acme.example/jwt/auth".to_owned()];
    let registries = world.settings.registries.clone();
    world.settings.registries = registries.with_host("registry.acme.example", entry);
    let diagnosis = world.ask(&world.client(), "team/private:1", Some("good")).await;
    assert_eq!(id(&diagnosis), "pullable");
    assert_eq!(heard(&world.server, "good"), ["gitlab.acme.example"]);
}

#[tokio::test]
async fn t04_nobody_is_refused_with_403_by_a_gitlab_of_ones_own_for_absent_and_private_alike() {
    let world = World::start(own_gitlab()).await;
    for image in ["team/private:1", "team/absent:1"] {
        let diagnosis = world.ask(&world.client(), image, None).await;
        assert_eq!(id(&diagnosis), "absent-or-private", "{image}");
    }
}

#[tokio::test]
async fn t06_a_link_in_a_list_of_tags_leads_nowhere() {
    let trap = Trap::start().await;
    let world = World::of("docker-hub").await;
    for link in [
        format!("<http://{}/v2/team/private/tags/list?last=1>; rel=\"next\"", trap.host()),
        format!("<//{}/next>; rel=\"next\"", trap.host()),
        "</v2/team/private/tags/list?last=1&n=1>; rel=\"next\"".to_owned(),
    ] {
        world.server.clear_faults();
        world.server.reset_counts();
        let tags = "/v2/team/private/tags/list";
        world.server.fault(Fault::on("GET", tags).header("link", &link));
        let diagnosis = world.ask(&world.client(), "team/private:9", Some("good")).await;
        assert_eq!(id(&diagnosis), "tag-not-found");
        assert_eq!(world.server.count_of("GET", "/v2/team/private/tags/"), 1, "{link}");
    }
    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn t07_a_registry_that_does_not_speak_tls_is_never_spoken_to_in_plain_text() {
    for named in [true, false] {
        let trap = Trap::start().await;
        let mut world = World::of("harbor").await;
        lead(&mut world.settings, "harbor.acme.example", trap.host());
        if !named {
            world.settings.registries = Default::default();
        }
        let diagnosis = world.ask(&world.client(), "team/private:1", Some("good")).await;
        assert!(matches!(diagnosis.outcome, Outcome::Inconclusive { .. }), "{diagnosis:?}");
        assert!(trap.connections() > 0);
        let text = trap.text();
        assert!(!text.contains("HTTP/1.") && !text.contains("/v2/"), "{text:?}");
        assert!(!trap.heard(&secret("good")));
    }
}

#[tokio::test]
async fn t07_a_realm_in_plain_text_and_a_way_back_to_it_hear_no_login() {
    let world = World::of("harbor").await;
    let trap = Trap::start().await;
    let plain = format!("Bearer realm=\"http://{}/token\",service=\"s\"", trap.host());
    world.server.fault(Fault::on("*", "/v2/").challenge(&[&plain]));
    let diagnosis = world.ask(&world.client(), "team/private:1", Some("good")).await;
    assert!(matches!(diagnosis.outcome, Outcome::Inconclusive { .. }), "{diagnosis:?}");
    assert!(!trap.heard(&secret("good")), "{}", trap.text());

    let trap = Trap::start().await;
    world.server.clear_faults();
    let there = format!("http://{}/v2/", trap.host());
    world.server.fault(Fault::on("*", "/v2/team/private/").redirect(&there));
    let diagnosis = world.ask(&world.client(), "team/private:1", Some("good")).await;
    assert_eq!(id(&diagnosis), "bad-answer");
    assert_eq!(trap.connections(), 0);
}

/// Namespace bank has a secret, a ServiceAccount and a Pod that use it; what `thief` in shop says
/// leads to none of them.
fn manifests(registry: &str, thief: &str) -> String {
    use base64::Engine as _;
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("ci:{}", secret("good")));
    let config = format!("{{\"auths\": {{\"{registry}\": {{\"auth\": \"{auth}\"}}}}}}");
    let pod = |name: &str, namespace: &str, spec: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             spec:\n  {spec}\n  containers: [{{name: app, image: {registry}/team/private:1}}]\n"
        )
    };
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: pull, namespace: bank}}\n\
         type: kubernetes.io/dockerconfigjson\nstringData:\n  .dockerconfigjson: '{config}'\n\
         ---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: teller, namespace: bank}}\n\
         imagePullSecrets: [{{name: pull}}]\n{}{}",
        pod("own", "bank", "imagePullSecrets: [{name: pull}]"),
        pod("thief", "shop", thief),
    )
}

#[tokio::test]
async fn t09_a_secret_of_another_namespace_is_never_borrowed() {
    for thief in [
        "imagePullSecrets: [{name: pull}]",
        "imagePullSecrets: [{name: bank/pull}]",
        "imagePullSecrets: [{name: pull, namespace: bank}]",
        "serviceAccountName: teller",
        "serviceAccountName: bank/teller",
    ] {
        let world = World::of("harbor").await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("all.yaml");
        std::fs::write(&file, manifests("harbor.acme.example", thief)).unwrap();
        let inputs = [file.display().to_string()];
        let extraction = extract(&inputs, &SourceOptions::default()).unwrap();
        let registry = world.client();
        let options = Options::default();
        let road = Road {
            settings: &world.settings,
            policies: &[],
            registry: &registry,
            options: &options,
        };
        let report = road.check(extraction, &|_, _| ()).await;
        let of = |name: &str| {
            let about = |result: &&pullproof::report::Result| {
                result.uses.iter().any(|found| found.workload.object.name == name)
            };
            report.results.iter().find(about).unwrap_or_else(|| panic!("no result for {name}"))
        };
        assert_eq!(id(&of("own").diagnosis), "pullable", "{thief}");
        let stolen = &of("thief").diagnosis;
        assert_ne!(id(stolen), "pullable", "{thief}");
        assert!(stolen.evidence.iter().all(|seen| seen.credential.is_none()), "{thief}");
    }
}
