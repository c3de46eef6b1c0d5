//! What containerd was recorded to do when it pulls (`tables/pull_flow.json`), held against what we
//! say of the same registry: never the opposite. The expected outcome is read from the table.

use serde_json::Value;

use pullproof::diagnosis::{Class, Outcome, Reason};

use crate::registry::{Ask, Asked, client, image, plain_client, settings};
use crate::support::{Config, Denial, FakeRegistry, Fault, PlatformSpec, closed_port};

mod content;
mod mirrors;
mod refusals;

/// Whether a node's pull went well: in transfer mode, in local mode.
fn recorded(id: &str) -> (bool, bool) {
    let table = crate::conformance::read_own("pull_flow").expect("the table");
    let case = crate::conformance::cases(&table).iter().find(|case| case["id"] == id);
    let case = case.unwrap_or_else(|| panic!("{id} is not in the table"));
    let ok = |name: &str| case[name].as_bool().unwrap_or_else(|| panic!("{id}: no {name}"));
    (ok("ok_transfer"), ok("ok_local"))
}

/// A case of the table beside the registry that behaves so.
struct Flow {
    id: &'static str,
    registry: FakeRegistry,
}

impl Flow {
    async fn new(id: &'static str, config: Config) -> Self {
        Self { id, registry: FakeRegistry::start(config).await }
    }

    fn image(&self, name: &str) -> Ask {
        image(format!("{}/{name}", self.registry.host()))
    }

    /// Asks, and holds cause and outcome against the record.
    async fn expect(&self, ask: Ask, id: &str) -> Asked {
        let asked = ask.of(&plain_client(self.registry.host())).await;
        check(self.id, &asked, id);
        asked
    }

    fn log(&self) -> Vec<String> {
        self.registry.log()
    }
}

fn check(flow: &str, asked: &Asked, id: &str) {
    assert_eq!(asked.id(), id, "{flow}: {asked:?}");
    let may_be_unknown = matches!(
        asked.diagnosis.outcome,
        Outcome::Inconclusive { reason: Reason::Seen(cause) } if cause.class() == Class::Environment
    );
    match (recorded(flow), asked.pulls()) {
        ((transfer, local), Some(pulls)) => {
            assert!(transfer == local && pulls == local, "{flow}: {asked:?}");
        }
        ((transfer, local), None) => {
            assert!(transfer != local || may_be_unknown, "{flow}: nothing said: {asked:?}");
        }
    }
}

#[test]
fn every_case_has_a_test() {
    let table = crate::conformance::read_own("pull_flow").unwrap();
    let ids = crate::conformance::cases(&table).iter().filter_map(|case| case["id"].as_str());
    let sources = [
        include_str!("pull_flow/content.rs"),
        include_str!("pull_flow/mirrors.rs"),
        include_str!("pull_flow/refusals.rs"),
    ];
    for id in ids {
        let named = format!("fn {}_", id.replace('-', "_"));
        assert!(sources.iter().any(|source| source.contains(&named)), "{id} has no test");
    }
    assert_ne!(table["cases"], Value::Null);
}
