//! B24: one image in many spellings is one question, from the manifest to the wire.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::tls::Authority;
use crate::support::{Config, FakeRegistry, RawServer};

const SPELLINGS: [&str; 6] = [
    "nginx",
    "nginx:latest",
    "library/nginx",
    "docker.io/nginx",
    "docker.io/library/nginx:latest",
    "index.docker.io/library/nginx",
];

/// An HTTP proxy that leads every host to one server, as if that were the internet.
fn internet(server: &FakeRegistry) -> RawServer {
    let server = server.host().to_owned();
    RawServer::start_blocking(move |mut stream: TcpStream| {
        let server = server.clone();
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => return,
                }
            }
            let answer = b"HTTP/1.1 200 Connection established\r\n\r\n";
            let sent = stream.write_all(answer).await;
            if let (Ok(()), Ok(mut there)) = (sent, TcpStream::connect(server).await) {
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut there).await;
            }
        }
    })
}

/// The report of `pullproof validate` on a manifest, with Docker Hub played by this server.
fn validate(hub: &FakeRegistry, authority: &Authority, manifest: &str) -> serde_json::Value {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    write("hub.pem", &authority.pem());
    let registries = write("registries.toml", "[registry.\"docker.io\"]\nca = \"hub.pem\"\n");
    let manifest = write("pods.yaml", manifest);
    let proxy = internet(hub);
    let run = assert_cmd::Command::cargo_bin("pullproof")
        .expect("the program")
        .env_clear()
        .env("HTTPS_PROXY", format!("http://{}", proxy.host()))
        .args(["validate", "-o", "json", "--registries"])
        .arg(&registries)
        .arg(&manifest)
        .output()
        .expect("it ran");
    serde_json::from_slice(&run.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&run.stderr)))
}

#[test]
fn b24_six_spellings_of_one_image_are_one_question_and_one_head() {
    let authority = Authority::new();
    let identity = authority.for_names(&["registry-1.docker.io"]);
    let hub = FakeRegistry::start_blocking(Config::open().tls(&identity));
    hub.push_image("library/nginx", "latest", "linux/amd64");
    let containers: Vec<String> = SPELLINGS
        .iter()
        .enumerate()
        .map(|(n, text)| format!("{{name: c{n}, image: \"{text}\"}}"))
        .collect();
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec:\n  containers: [{}]\n",
        containers.join(", ")
    );
    let report = validate(&hub, &authority, &manifest);
    assert_eq!(hub.log(), ["HEAD /v2/library/nginx/manifests/latest"], "{report}");
    let results = report["results"].as_array().unwrap();
    assert_eq!(results.len(), 1, "{report}");
    assert_eq!(results[0]["outcome"], "pullable");
    assert_eq!(results[0]["uses"].as_array().unwrap().len(), SPELLINGS.len());
}

#[test]
fn b24_other_tags_digests_and_hosts_are_questions_of_their_own() {
    let authority = Authority::new();
    let identity = authority.for_names(&["registry-1.docker.io"]);
    let hub = FakeRegistry::start_blocking(Config::open().tls(&identity));
    let digest = hub.push_image("library/nginx", "latest", "linux/amd64");
    hub.push_image("library/nginx", "1", "linux/amd64");
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec:\n  containers: [{{name: a, image: nginx}}, {{name: b, image: \"nginx:1\"}}, {{name: c, image: \"nginx@{digest}\"}}, {{name: d, image: \"nginx:1@{digest}\"}}]\n"
    );
    let report = validate(&hub, &authority, &manifest);
    let mut log = hub.log();
    log.sort();
    // The tag beside a digest does not count.
    let path = |target: &str| format!("HEAD /v2/library/nginx/manifests/{target}");
    assert_eq!(log, [path("1"), path("latest"), path(&digest)], "{report}");
}
