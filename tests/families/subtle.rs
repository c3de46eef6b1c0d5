//! What is subtle about the families, one sentence a test.

use super::*;
use crate::support::Recorded;

fn tokens(world: &World) -> Vec<Recorded> {
    let is_token =
        |request: &Recorded| !request.path().starts_with("/v2/") || request.path() == "/v2/auth";
    world.server.requests().into_iter().filter(is_token).collect()
}

#[tokio::test]
async fn a_stale_login_to_ghcr_breaks_a_public_image_and_is_told_from_a_private_one() {
    let world = World::of("ghcr").await;
    let stale = world.ask(&world.client(), "team/public:1", Some("expired")).await;
    assert_eq!((id(&stale), stale.pulls), ("credentials-rejected", Some(false)));
    let last = tokens(&world).pop().unwrap();
    assert_eq!(last.field("scope"), None, "the last question is about the login alone");
    assert_eq!(last.basic(), Some(("ci".to_owned(), secret("expired"))));

    let foreign = world.ask(&world.client(), "team/foreign:1", Some("good")).await;
    assert_eq!(id(&foreign), "absent-or-private");
    assert!(foreign.evidence[0].text.contains("the login itself was accepted"), "{foreign:?}");
}

#[tokio::test]
async fn a_login_is_asked_about_alone_only_where_the_answer_is_open() {
    for (family, image, password, asked) in [
        ("docker-hub", "team/public:1", "bad", 2),
        ("quay", "team/public:1", "bad", 2),
        ("ghcr", "team/private:1", "good", 2),
        ("ghcr", "team/private:1", "bad", 3),
        ("gitlab", "team/foreign:1", "good", 3),
    ] {
        let world = World::of(family).await;
        world.ask(&world.client(), image, Some(password)).await;
        assert_eq!(tokens(&world).len(), asked, "{family} {image} {password}");
    }
}

#[tokio::test]
async fn what_is_absent_and_what_is_private_read_alike_where_the_registry_says_the_same() {
    for family in ["docker-hub", "ghcr", "quay", "gitlab", "gar", "gcr", "acr", "harbor"] {
        let world = World::of(family).await;
        let client = world.client();
        let private = world.ask(&client, "team/private:1", None).await;
        let absent = world.ask(&client, "team/absent:1", None).await;
        assert_eq!(private.outcome, absent.outcome, "{family}");
        assert_eq!(private.summary.replace("private:1", "absent:1"), absent.summary, "{family}");
        assert_eq!(private.advice, absent.advice, "{family}");
    }
}

#[tokio::test]
async fn a_login_of_ones_own_that_sees_the_image_tells_that_the_pods_is_missing() {
    for family in ["docker-hub", "ghcr", "quay", "gitlab"] {
        let world = World::of(family).await;
        let mut question = world.question("team/private:1", None);
        question.own = world.question("team/private:1", Some("good")).candidates;
        let diagnosis = ask(&world.settings, &world.client(), &question).await;
        assert_eq!(id(&diagnosis), "credentials-missing", "{family}");
        assert_eq!(diagnosis.pulls, Some(false), "{family}");
    }
}

#[tokio::test]
async fn clouds_whose_nodes_log_in_get_a_warning_with_its_reason() {
    for family in ["ecr", "gar", "gcr", "acr", "openshift"] {
        let world = World::of(family).await;
        let diagnosis = world.ask(&world.client(), "team/private:1", None).await;
        let remark = "only a warning, since nodes usually bring a login of their own";
        assert!(diagnosis.remarks.iter().any(|text| text.starts_with(remark)), "{diagnosis:?}");
    }
}

#[tokio::test]
async fn a_rule_about_addresses_is_a_warning_since_nodes_ask_from_elsewhere() {
    for (family, image) in [("acr", "team/firewalled:1"), ("gar", "team/perimeter:1")] {
        let world = World::of(family).await;
        let diagnosis = world.ask(&world.client(), image, Some("good")).await;
        assert_eq!((id(&diagnosis), diagnosis.pulls), ("blocked-by-registry", None));
        assert!(diagnosis.remarks.iter().any(|text| text.contains("elsewhere")), "{diagnosis:?}");
    }
}

#[tokio::test]
async fn a_tag_that_is_listed_and_not_given_is_not_called_absent_nor_its_own_neighbour() {
    let world = World::of("artifactory").await;
    let diagnosis = world.ask(&world.client(), "team/virtual:1", Some("good")).await;
    assert_eq!(id(&diagnosis), "absent-or-private");
    assert!(diagnosis.remarks.iter().any(|text| text.contains("list")), "{diagnosis:?}");
    assert!(diagnosis.advice.iter().all(|text| !text.contains("nearest")), "{diagnosis:?}");
}

#[tokio::test]
async fn an_entry_without_a_password_is_nobody_to_every_family() {
    for (family, expected) in
        [("docker-hub", "pullable"), ("ghcr", "pullable"), ("ecr", "credentials-missing")]
    {
        let world = World::of(family).await;
        let diagnosis = world.ask(&world.client(), "team/public:1", Some("")).await;
        assert_eq!(id(&diagnosis), expected, "{family}");
        assert!(world.server.requests().iter().all(|request| request.basic().is_none()));
    }
}

#[tokio::test]
async fn the_settings_may_say_that_nodes_of_a_cloud_have_no_login() {
    let mut world = World::of("acr").await;
    let registry = "acme.azurecr.io";
    let mut entry = world.settings.registries.host(registry);
    entry.node_credentials = Some(NodeCredentials::None);
    world.settings.registries = world.settings.registries.clone().with_host(registry, entry);
    let diagnosis = world.ask(&world.client(), "team/private:1", None).await;
    assert_eq!((id(&diagnosis), diagnosis.pulls), ("credentials-missing", Some(false)));
}

#[tokio::test]
async fn a_name_that_is_led_elsewhere_is_judged_by_where_it_leads() {
    use pullproof::registry::Door;
    let mut world = World::of("ghcr").await;
    let cluster = Guard { door: Door::Cluster, ..Guard::default() };
    let question = world.question("team/public:1", None);
    let diagnosis = ask(&world.settings, &Registry::new(&world.settings, cluster), &question).await;
    assert_eq!(id(&diagnosis), "address-refused");
    lead(&mut world.settings, "ghcr.io", "169.254.169.254:80");
    let diagnosis = ask(&world.settings, &world.client(), &question).await;
    assert_eq!(id(&diagnosis), "address-refused");
    assert_eq!(world.server.count(), 0);
}
