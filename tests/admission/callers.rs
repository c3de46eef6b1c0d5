//! Who may call, and how much a stranger is told.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::hook::{Hook, Setup, client, image, pod, registry, review};
use crate::support::{Config, FakeRegistry, Fault, closed_port};

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "front");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn identity(&self, name: &str) -> reqwest::Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let pem = certificate.pem() + &key.serialize_pem();
        reqwest::Identity::from_pem(pem.as_bytes()).unwrap()
    }
}

async fn call(hook: &Hook, identity: Option<reqwest::Identity>) -> bool {
    let builder = client(&hook.authority);
    let builder = match identity {
        Some(identity) => builder.identity(identity),
        None => builder,
    };
    let body = review(pod(&[])).to_string();
    let sent = builder.build().unwrap().post(hook.url("validate")).body(body).send().await;
    sent.is_ok_and(|response| response.status() == 200)
}

#[tokio::test]
async fn t50_only_a_certificate_of_the_authority_with_an_allowed_name_may_call() {
    let (ca, other) = (Ca::new(), Ca::new());
    let setup = Setup {
        client_ca: Some(ca.0.pem()),
        client_names: vec!["kube-apiserver".to_owned()],
        ..Setup::default()
    };
    let hook = setup.start().await;
    assert!(call(&hook, Some(ca.identity("kube-apiserver"))).await);
    assert!(!call(&hook, None).await);
    assert!(!call(&hook, Some(ca.identity("kubelet"))).await);
    assert!(!call(&hook, Some(other.identity("kube-apiserver"))).await);
    super::hook::wait(|| hook.metric("pullproof_handshake_errors_total") >= 3.0).await;
    assert_eq!(
        hook.metric("pullproof_reviews_total{endpoint=\"validate\",verdict=\"exempt\"}"),
        1.0
    );
    // Any name of the authority, where none is named.
    let setup = Setup { client_ca: Some(ca.0.pem()), ..Setup::default() };
    let hook = setup.start().await;
    assert!(call(&hook, Some(ca.identity("anyone"))).await && !call(&hook, None).await);
}

#[tokio::test]
async fn t50_coarse_warnings_read_alike_for_absent_denied_and_unreachable() {
    let config = Config::bearer().user("ci", "pw").private("team/app", &["ci"]);
    let (private, open) = (FakeRegistry::start(config).await, registry().await);
    let sick = registry().await;
    sick.fault(Fault::on("*", "*").answer(503));
    let closed = closed_port();
    let hook = Setup::of(&[private.host(), open.host(), sick.host(), &closed])
        .pin()
        .coarse()
        .start()
        .await;
    let images = [
        image(&private, "team/app:1"),
        image(&open, "app:gone"),
        image(&open, "nobody:1"),
        image(&sick, "app:1"),
        format!("{closed}/app:1"),
        "169.254.169.254/app:1".to_owned(),
    ];
    let mut said = Vec::new();
    for image in &images {
        let (validated, mutated) =
            (hook.validate(pod(&[image])).await, hook.mutate(pod(&[image])).await);
        assert!(!validated.text().contains(image), "{validated:?}");
        assert!(!validated.text().contains("checked"), "{validated:?}");
        said.push((validated.text(), mutated.text().replace(image, "IMAGE")));
    }
    assert!(said.iter().all(|it| *it == said[0]), "{said:?}");
}

#[tokio::test]
async fn t50_coarse_warnings_of_several_images_tell_nothing_either() {
    let open = registry().await;
    let hook = Setup::of(&[open.host()]).coarse().start().await;
    let closed = closed_port();
    let answer = hook
        .validate(pod(&[
            &image(&open, "app:gone"),
            &format!("{closed}/a:1"),
            &image(&open, "app:1"),
        ]))
        .await;
    assert_eq!(
        answer.warnings(),
        [
            "container \"c0\": its image can not be confirmed",
            "container \"c1\": its image can not be confirmed"
        ]
    );
}
