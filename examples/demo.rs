#[path = "../tests/support/mod.rs"]
mod support;
use support::*;
#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let registry =
        FakeRegistry::start(Config::bearer().user("ci", "pw").private("team/app", &["ci"])).await;
    registry.push_index("web", "1.4.1", &["linux/amd64".into(), "linux/arm64".into()]);
    registry.push_image("web", "1.4.20", "linux/amd64");
    registry.push_image("team/app", "1", "linux/amd64");
    println!("{}", registry.host());
    std::thread::sleep(std::time::Duration::from_secs(600));
}
