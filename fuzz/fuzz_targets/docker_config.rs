//! Pull secrets and docker configuration files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pullproof::credential::{DockerConfig, Keyring, PullSecret, pull_secret};

fuzz_target!(|bytes: &[u8]| {
    let secret = PullSecret {
        namespace: "shop".to_owned(),
        name: "pull".to_owned(),
        secret_type: pull_secret::TYPE_DOCKER_CONFIG_JSON.to_owned(),
        data: [(pull_secret::KEY_DOCKER_CONFIG_JSON.to_owned(), bytes.to_vec())].into(),
    };
    if let Ok(keyring) = Keyring::new([&secret], None) {
        let _ = keyring.lookup("docker.io/library/nginx");
        let _ = keyring.lookup("r.io:5000/team/app");
    }
    let _ = DockerConfig::node("config.json", bytes);
    let _ = DockerConfig::own("config.json", bytes);
});
