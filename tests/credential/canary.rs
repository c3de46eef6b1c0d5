//! A password with a name of its own, looked for in every text about a secret.

use pullproof::credential::docker_config::Note;
use pullproof::credential::{DockerConfig, Keyring, PullSecret};
use serde_json::json;

use super::secret;

const CANARY: &str = "CANARY-s3cr3t";
/// Base64 of `u:CANARY-s3cr3t`.
const CANARY_AUTH: &str = "dTpDQU5BUlktczNjcjN0";
/// Secrets with the canary at every place where a password or a token may stand.
fn canary_documents() -> Vec<String> {
    let auths = |fields: String| format!(r#"{{"auths":{{"r.io":{{{fields}}}}}}}"#);
    let mut documents: Vec<_> = [
        format!(r#""auth":"{CANARY_AUTH}""#),
        format!(r#""auth":"{CANARY_AUTH}!""#),
        format!(r#""auth":"{CANARY}""#),
        format!(r#""auth":["{CANARY_AUTH}"]"#),
        r#""auth":"Q0FOQVJZLXMzY3IzdA==""#.to_owned(),
        format!(r#""username":"u","password":"{CANARY}""#),
        format!(r#""password":{{"{CANARY}":1}}"#),
        format!(r#""password":"{CANARY}","email":1"#),
        format!(r#""identitytoken":"{CANARY}","auth":"!""#),
        format!(r#""registrytoken":"{CANARY}""#),
    ]
    .map(auths)
    .into();
    documents.extend([
        format!(r#"{{"auths":{{"r.io":"{CANARY}"}}}}"#),
        format!(r#"{{"auths":"{CANARY_AUTH}"}}"#),
        format!(r#"{{"auths":{{"u:{CANARY}@r.io":{{"auth":"!"}}}}}}"#),
        format!(r#"{{"auths":{{"u:{CANARY}@r.io":{{"auth":"{CANARY_AUTH}"}}}}}}"#),
        format!(r#"{{"auths":{{"r.io":{{"password":"{CANARY}"}}"#),
        format!(r#""{CANARY}""#),
        CANARY.to_owned(),
    ]);
    documents
}

#[test]
fn b31_no_text_about_a_secret_contains_its_password() {
    let mut said = Vec::new();
    for document in canary_documents() {
        let secret = secret(document.clone());
        said.push(format!("{secret:?} {:#?} {:?}", secret, secret.registries()));
        match Keyring::new([&secret], None) {
            Ok(keyring) => said.push(format!("{keyring:?} {:?}", keyring.lookup("r.io/app"))),
            Err(error) => said.push(format!("{error} {error:?}")),
        }
        for config in [
            DockerConfig::node("config.json", document.as_bytes()),
            DockerConfig::own("config.json", document.as_bytes()),
        ] {
            match config {
                Ok(config) => {
                    let notes: Vec<_> = config.notes().iter().map(Note::to_string).collect();
                    said.push(format!("{config:?} {notes:?} {:?}", config.registries()));
                }
                Err(error) => said.push(format!("{error} {error:?}")),
            }
        }
        for manifest in [
            json!({"data": {".dockerconfigjson": document}}),
            json!({"stringData": {".dockerconfigjson": document}}),
            json!({"stringData": {".dockerconfigjson": {"x": document}}}),
        ] {
            let secret = PullSecret::from_value("team", "x", &manifest);
            said.push(format!("{secret:?}"));
            said.extend(secret.err().map(|e| e.to_string()));
        }
    }
    for text in said {
        for canary in [CANARY, CANARY_AUTH, "Q0FOQVJZLXMzY3IzdA", "NBTkFSWS1zM2NyM3"] {
            assert!(!text.contains(canary), "{text}");
        }
    }
}
