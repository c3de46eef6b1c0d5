//! Where a question may lead: metadata and link-local addresses never, loopback not for a cluster's
//! roles; refusals look and take the same whether anything listens.

use super::*;
use crate::support::{Config, FakeRegistry, Fault, Trap, closed_port};
use pullproof::settings::registries::AllowedAddress;

#[tokio::test]
async fn b18_metadata_and_link_local_addresses_are_not_dialled_in_any_spelling() {
    let client = client(&settings());
    let mut texts = Vec::new();
    for host in [
        "169.254.169.254",
        "169.254.169.254:80",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]:5000",
        "[fe80::1]",
        "0.0.0.0:5000",
        "224.0.0.1",
        "100.100.100.200",
        "0xa9.0xfe.0xa9.0xfe",
        "0251.0376.0251.0376",
    ] {
        let asked = image(format!("{host}/app:1")).login("ci", CANARY).of(&client).await;
        assert_eq!((asked.id(), asked.is_inconclusive()), ("address-refused", true), "{host}");
        assert!(asked.took < Duration::from_secs(1), "{host}: {:?}", asked.took);
        texts.push(asked.diagnosis.evidence[0].text.rsplit_once(": ").unwrap().1.to_owned());
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "one text for all: {texts:?}");
    assert_eq!(client.requests(), 0);
}

#[tokio::test]
async fn b19_loopback_is_refused_to_a_cluster_whether_a_port_is_open_or_not() {
    let trap = Trap::start().await;
    let client = client_at(Door::Cluster, &settings());
    let port = trap.host().rsplit_once(':').unwrap().1;
    let mut texts = Vec::new();
    for host in [
        trap.host().to_owned(),
        closed_port(),
        format!("localhost:{port}"),
        format!("LOCALHOST:{port}"),
        format!("0177.0.0.1:{port}"),
        format!("0x7f.1:{port}"),
        format!("[::1]:{port}"),
        format!("[::ffff:7f00:1]:{port}"),
    ] {
        let asked = image(format!("{host}/app:1")).login("ci", CANARY).of(&client).await;
        assert_eq!((asked.id(), asked.is_inconclusive()), ("address-refused", true), "{asked:?}");
        texts.push(asked.diagnosis.summary.rsplit_once(": ").unwrap().1.to_owned());
    }
    texts.dedup();
    assert_eq!((texts.len(), trap.connections()), (1, 0), "{texts:?}");
}

#[tokio::test]
async fn b19_an_allowed_address_is_reached_by_a_cluster() {
    let registry = FakeRegistry::start(Config::open()).await;
    registry.push_image("app", "1", "linux/amd64");
    let mut settings = settings_for(registry.host(), plain_http());
    let port = registry.host().rsplit_once(':').unwrap().1.parse().unwrap();
    settings.registries.allow_addresses =
        vec![AllowedAddress { net: "127.0.0.1/32".parse().unwrap(), port: Some(port) }];
    let client = client_at(Door::Cluster, &settings);
    let asked = image(format!("{}/app:1", registry.host())).of(&client).await;
    assert_eq!(asked.id(), "pullable", "{asked:?}");
    let other = image(format!("{}/app:1", closed_port())).of(&client).await;
    assert_eq!(other.id(), "address-refused", "another port");
}

#[tokio::test]
async fn b19_an_allowed_address_and_port_is_reached_by_a_name_too() {
    let registry = FakeRegistry::start(Config::open()).await;
    registry.push_image("app", "1", "linux/amd64");
    let trap = Trap::start().await;
    let port = |host: &str| host.rsplit_once(':').unwrap().1.to_owned();
    let (named, other) = (port(registry.host()), port(trap.host()));
    let mut settings = settings_for("localhost:*", plain_http());
    settings.registries.allow_addresses = vec![AllowedAddress {
        net: "127.0.0.1/32".parse().unwrap(),
        port: Some(named.parse().unwrap()),
    }];
    let client = client_at(Door::Cluster, &settings);
    let asked = image(format!("localhost:{other}/app:1")).of(&client).await;
    assert_eq!((asked.id(), trap.connections()), ("address-refused", 0), "{asked:?}");
    let asked = image(format!("localhost:{named}/app:1")).of(&client).await;
    assert_eq!(asked.id(), "pullable", "{asked:?}");
}

#[tokio::test]
async fn b18_redirects_and_realms_to_refused_addresses_are_not_dialled() {
    let registry = FakeRegistry::start(Config::open()).await;
    registry.push_image("app", "1", "linux/amd64");
    let trap = Trap::start().await;
    let mut settings = settings_for(registry.host(), plain_http());
    let port = registry.host().rsplit_once(':').unwrap().1.parse().unwrap();
    settings.registries.allow_addresses =
        vec![AllowedAddress { net: "127.0.0.1/32".parse().unwrap(), port: Some(port) }];
    let ask = || image(format!("{}/app:1", registry.host())).login("ci", CANARY);

    let away = format!("http://{}", trap.host());
    registry.fault(Fault::on("*", "/v2/").redirect_to_host(&away));
    let asked = ask().of(&client_at(Door::Cluster, &settings)).await;
    assert_eq!((asked.id(), trap.connections()), ("address-refused", 0), "{asked:?}");

    registry.clear_faults();
    registry.fault(Fault::on("*", "/v2/").challenge(&[&format!("Bearer realm=\"{away}/token\"")]));
    let asked = ask().of(&client_at(Door::Cluster, &settings)).await;
    assert_eq!((asked.id(), trap.connections()), ("address-refused", 0), "{asked:?}");
}

#[tokio::test]
async fn t01_a_refused_redirect_says_nothing_of_the_registry_itself() {
    let registry = FakeRegistry::start(Config::open()).await;
    registry.push_image("app", "1", "linux/amd64");
    registry.push_image("other", "1", "linux/amd64");
    registry.fault(Fault::in_repository("app").redirect("http://169.254.169.254/"));
    let client = plain_client(registry.host());
    let asked = image(format!("{}/app:1", registry.host())).of(&client).await;
    assert_eq!(asked.id(), "address-refused");
    let other = image(format!("{}/other:1", registry.host())).of(&client).await;
    assert_eq!(other.id(), "pullable", "{other:?}");
}
