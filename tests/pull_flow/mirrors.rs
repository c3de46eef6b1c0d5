//! Images of registries that `hosts.toml` gives mirrors and a server of another name.

use super::*;
use crate::registry::mirrors::hosts_toml_client;

struct Hosts {
    a: FakeRegistry,
    b: FakeRegistry,
}

impl Hosts {
    async fn new() -> Self {
        let (a, b) =
            (FakeRegistry::start(Config::open()).await, FakeRegistry::start(Config::open()).await);
        for registry in [&a, &b] {
            registry.push_image("ok", "1", "linux/amd64");
            registry.push_image("nodigest", "1", "linux/amd64");
            registry.push_image("nohead", "1", "linux/amd64");
            registry.fault(Fault::on("HEAD", "/v2/nohead/manifests/1").answer(405));
            registry
                .fault(Fault::in_repository("nodigest").without_header("docker-content-digest"));
            registry.fault(Fault::in_repository("r403").error(403, "DENIED", "blocked by policy"));
        }
        Self { a, b }
    }

    fn pull_only(&self) -> String {
        let (a, b) = (self.a.url(), self.b.url());
        format!("server = \"{b}\"\n[host.\"{a}\"]\ncapabilities = [\"pull\"]\n")
    }

    fn dead_then_live(&self) -> String {
        let (a, b, dead) = (self.a.url(), self.b.url(), closed_port());
        format!("server = \"{b}\"\n[host.\"http://{dead}\"]\n[host.\"{a}\"]\n")
    }
}

#[tokio::test]
async fn flw_046_a_tag_is_not_asked_of_a_mirror_that_only_pulls() {
    let hosts = Hosts::new().await;
    let client = hosts_toml_client("mirrored.test", &hosts.pull_only());
    let asked = image("mirrored.test/ok:1").login("good", "pw").of(&client).await;
    check("flw-046", &asked, "pullable");
    assert_eq!(hosts.b.log(), ["HEAD /v2/ok/manifests/1?ns=mirrored.test"]);
    assert_eq!(hosts.a.count(), 0);
    assert!(hosts.b.requests()[0].authorization.is_none());
}

#[tokio::test]
async fn flw_049_a_tag_without_digest_header() {
    let hosts = Hosts::new().await;
    let client = hosts_toml_client("mirrored.test", &hosts.pull_only());
    let asked = image("mirrored.test/nodigest:1").of(&client).await;
    check("flw-049", &asked, "pullable");
    let path = "/v2/nodigest/manifests/1?ns=mirrored.test";
    assert_eq!(hosts.b.log(), [format!("HEAD {path}"), format!("GET {path}")]);
}

#[tokio::test]
async fn flw_052_a_dead_mirror_and_then_a_live_one() {
    let hosts = Hosts::new().await;
    let client = hosts_toml_client("mirror2.test", &hosts.dead_then_live());
    let asked = image("mirror2.test/nohead:1").of(&client).await;
    check("flw-052", &asked, "pullable");
    let path = "/v2/nohead/manifests/1?ns=mirror2.test";
    assert_eq!(hosts.a.log(), [format!("HEAD {path}"), format!("GET {path}")]);
    assert_eq!(hosts.b.count(), 0);
}

#[tokio::test]
async fn flw_054_a_dead_mirror_and_403_everywhere_else() {
    let hosts = Hosts::new().await;
    let client = hosts_toml_client("mirror2.test", &hosts.dead_then_live());
    let asked = image("mirror2.test/r403:1").of(&client).await;
    let path = "/v2/r403/manifests/1?ns=mirror2.test";
    for registry in [&hosts.a, &hosts.b] {
        assert_eq!(registry.log(), [format!("HEAD {path}"), format!("GET {path}")]);
    }
    // Whether nodes reach the mirror that is dead from here is not known.
    assert_eq!(recorded("flw-054"), (false, false));
    assert_eq!((asked.id(), asked.is_likely()), ("blocked-by-registry", true), "{asked:?}");
    let alive =
        hosts_toml_client("mirror2.test", &hosts.pull_only().replace("pull\"", "resolve\""));
    check("flw-054", &image("mirror2.test/r403:1").of(&alive).await, "blocked-by-registry");
}

#[tokio::test]
async fn flw_055_a_server_with_a_path_that_overrides() {
    let hosts = Hosts::new().await;
    let text = format!("server = \"{}/base/v2\"\noverride_path = true\n", hosts.b.url());
    let client = hosts_toml_client("mirror3.test", &text);
    let asked = image("mirror3.test/pub401:1").of(&client).await;
    assert_eq!(asked.pulls(), Some(false), "{asked:?}");
    check("flw-055", &asked, asked.id());
    assert_eq!(hosts.b.log()[0], "HEAD /base/v2/pub401/manifests/1?ns=mirror3.test");
}
