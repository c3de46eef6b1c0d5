//! What a run costs: one request an image, one token a repository, and nothing twice.

use futures_util::future::join_all;

use super::*;
use crate::support::{Config, FakeRegistry, PlatformSpec};

const REPOSITORIES: usize = 20;
const TAGS: usize = 3;

enum What {
    Plain,
    Index,
}

/// Three tags in each of twenty repositories, every one of its own content.
async fn registry(config: Config, what: &What) -> FakeRegistry {
    let latency = Duration::from_millis(5);
    let registry = FakeRegistry::start(config.user("ci", CANARY).latency(latency)).await;
    for repository in 0..REPOSITORIES {
        for tag in 0..TAGS {
            let (repository, tag) = (format!("team/app{repository}"), format!("t{tag}"));
            match what {
                What::Plain => registry.push_image(&repository, &tag, "linux/amd64"),
                What::Index => {
                    let entries: [PlatformSpec; 2] = ["linux/amd64".into(), "linux/arm64".into()];
                    registry.push_index(&repository, &tag, &entries)
                }
            };
        }
    }
    registry
}

/// Asks for all of them at once; how many requests that took.
async fn ask_all(registry: &FakeRegistry, client: &Registry, bend: impl Fn(Ask) -> Ask) -> usize {
    registry.reset_counts();
    let asks = (0..REPOSITORIES * TAGS).map(|n| {
        let (repository, tag) = (n / TAGS, n % TAGS);
        let text = format!("{}/team/app{repository}:t{tag}", registry.host());
        bend(image(text)).of(client)
    });
    for asked in join_all(asks).await {
        assert_eq!(asked.id(), "pullable", "{asked:?}");
    }
    registry.count()
}

const IMAGES: usize = REPOSITORIES * TAGS;

#[tokio::test]
async fn sixty_images_behind_a_login_take_81_requests_and_none_the_second_time() {
    let registry = registry(Config::bearer(), &What::Plain).await;
    let client = plain_client(registry.host());
    let login = |ask: Ask| ask.login("ci", CANARY);
    let requests = ask_all(&registry, &client, login).await;
    assert!(requests <= 1 + REPOSITORIES + IMAGES, "{requests} requests");
    assert_eq!(client.requests(), requests as u64);
    assert!(registry.peak_in_flight() <= limits().in_flight_host, "{}", registry.peak_in_flight());
    assert_eq!(ask_all(&registry, &client, login).await, 0);
}

#[tokio::test]
async fn sixty_images_behind_anonymous_tokens_take_81_requests_too() {
    let registry = registry(Config::bearer(), &What::Plain).await;
    let client = plain_client(registry.host());
    let requests = ask_all(&registry, &client, |ask| ask).await;
    assert!(requests <= 1 + REPOSITORIES + IMAGES, "{requests} requests");
    assert_eq!(ask_all(&registry, &client, |ask| ask).await, 0);
}

#[tokio::test]
async fn sixty_images_behind_basic_take_one_request_more_than_images() {
    let registry = registry(Config::basic(), &What::Plain).await;
    let client = plain_client(registry.host());
    let requests = ask_all(&registry, &client, |ask| ask.login("ci", CANARY)).await;
    assert!(requests <= 1 + IMAGES, "{requests} requests");
}

#[tokio::test]
async fn platforms_cost_one_request_a_distinct_index() {
    let registry = registry(Config::bearer(), &What::Index).await;
    let client = plain_client(registry.host());
    let platforms =
        |ask: Ask| ask.login("ci", CANARY).platform("linux/amd64").platform("linux/arm64");
    let requests = ask_all(&registry, &client, platforms).await;
    assert!(requests <= 1 + REPOSITORIES + 2 * IMAGES, "{requests} requests");
    assert_eq!(ask_all(&registry, &client, platforms).await, 0);
}

#[tokio::test]
async fn platforms_of_plain_images_cost_a_manifest_and_a_config() {
    let registry = registry(Config::bearer(), &What::Plain).await;
    let client = plain_client(registry.host());
    let platforms = |ask: Ask| ask.login("ci", CANARY).platform("linux/amd64");
    let requests = ask_all(&registry, &client, platforms).await;
    assert!(requests <= 1 + REPOSITORIES + 3 * IMAGES, "{requests} requests");
    assert_eq!(ask_all(&registry, &client, platforms).await, 0);
}

#[tokio::test]
async fn one_index_under_many_names_is_read_once() {
    let registry = FakeRegistry::start(Config::open()).await;
    let digest = registry.push_index("app", "t0", &["linux/amd64".into()]);
    let tags: Vec<String> = (0..20).map(|n| format!("t{n}")).collect();
    tags.iter().for_each(|tag| registry.tag("app", tag, &digest));
    let client = plain_client(registry.host());
    let asks = tags.iter().map(|tag| {
        image(format!("{}/app:{tag}", registry.host())).platform("linux/amd64").of(&client)
    });
    assert!(join_all(asks).await.iter().all(|asked| asked.id() == "pullable"));
    assert_eq!(registry.count_of("GET", &format!("/v2/app/manifests/{digest}")), 1);
}

#[tokio::test]
async fn f28_a_hundred_equal_questions_at_once_are_asked_once() {
    let config = Config::bearer().user("ci", CANARY).private("app", &["ci"]);
    let registry = FakeRegistry::start(config.latency(Duration::from_millis(20))).await;
    registry.push_image("app", "1", "linux/amd64");
    let client = plain_client(registry.host());
    let asks = (0..100).map(|_| {
        let ask = image(format!("{}/app:1", registry.host())).platform("linux/amd64");
        ask.login("ci", CANARY).of(&client)
    });
    assert!(join_all(asks).await.iter().all(|asked| asked.id() == "pullable"));
    // The anonymous question, the token, the tag, the manifest, the config.
    assert_eq!(registry.count(), 5, "{:?}", registry.log());
}

#[tokio::test]
async fn settings_may_allow_fewer_requests_in_flight() {
    let registry = registry(Config::open(), &What::Plain).await;
    let entry = HostSettings { requests_in_flight: Some(3), ..plain_http() };
    let client = client(&settings_for(registry.host(), entry));
    ask_all(&registry, &client, |ask| ask).await;
    assert!(registry.peak_in_flight() <= 3, "{}", registry.peak_in_flight());
}
