//! One report that holds every kind of outcome, verdict and place. Each format has a snapshot of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Report, Result, Summary};
use crate::diagnosis::{Cause, Certainty, Diagnosis, Lacking, Listed, Outcome, Reason, Seen};
use crate::image::usage::{ObjectName, Place, Source, Workload};
use crate::image::{Digest, ImageUse, Platform, Reference, Role, Site};
use crate::manifest::{Broken, Extraction, Note};
use crate::policy::{Action, Verdict, Waiver};

pub const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// What a registry, a file or a manifest may hold to mislead a terminal or a CI system.
pub const HOSTILE: &str = "\x1b]0;t\x07\n::error::x\n##[group]\u{202e}<b>\"'</b>";

pub fn source(name: &str, text: &str) -> Arc<Source> {
    Arc::new(Source { name: name.into(), text: text.into() })
}

/// The place of `needle`, as the reader of manifests finds it.
pub fn place(source: &Arc<Source>, needle: &str) -> Place {
    let start = source.text.find(needle).expect("the needle is in the text");
    let head = &source.text[..start];
    let line = head.matches('\n').count() + 1;
    let column = head.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Place { source: source.clone(), span: start..start + needle.len(), line, column }
}

pub fn workload(kind: &str, name: &str) -> Arc<Workload> {
    let object = ObjectName {
        api_version: "apps/v1".into(),
        kind: kind.into(),
        namespace: "shop".into(),
        name: name.into(),
    };
    Arc::new(Workload { object, pull_secrets: vec!["ghcr-pull".into()], ..Workload::default() })
}

pub fn image_use(image: &str, place: Option<Place>, workload: Arc<Workload>) -> ImageUse {
    ImageUse {
        text: image.into(),
        reference: Reference::parse(image),
        site: Site { place, path: "spec.template.spec.containers[0].image".into() },
        role: Role::Container,
        pull_policy: None,
        workload,
        guess: false,
    }
}

/// A use in a Deployment, in a file of some lines.
fn written(file: &str, image: &str) -> ImageUse {
    let lines = format!("spec:\n  containers:\n    - name: main\n      image: {image}\n");
    let name = file.rsplit('/').nth(1).unwrap_or("web");
    let source = source(file, &lines);
    image_use(image, Some(place(&source, image)), workload("Deployment", name))
}

fn seen(host: &str, status: Option<u16>, codes: &[&str], text: &str) -> Seen {
    let codes = codes.iter().map(|it| it.to_string()).collect();
    Seen { host: host.into(), status, codes, credential: None, text: text.into() }
}

fn diagnosis(outcome: Outcome, summary: &str, label: &str) -> Diagnosis {
    let findings = match &outcome {
        Outcome::Finding { cause, .. } => vec![Listed { cause: *cause, text: summary.into() }],
        Outcome::Pullable | Outcome::Inconclusive { .. } => Vec::new(),
    };
    let pulls = match &outcome {
        Outcome::Pullable => Some(true),
        Outcome::Finding { certainty: Certainty::Certain, .. } => Some(false),
        Outcome::Finding { .. } | Outcome::Inconclusive { .. } => None,
    };
    Diagnosis {
        outcome,
        summary: summary.into(),
        label: label.into(),
        digest: None,
        offered: Vec::new(),
        pulls,
        runs: None,
        findings,
        evidence: Vec::new(),
        advice: Vec::new(),
        remarks: Vec::new(),
        age: None,
        never_pulled: false,
        is_placeholder: false,
        lacking: Lacking::default(),
    }
}

fn result(image: &str, action: Action, uses: Vec<ImageUse>, diagnosis: Diagnosis) -> Result {
    let verdict = Verdict { action, policy: None, rule: "causes".into() };
    Result {
        image: image.into(),
        uses,
        broken: None,
        diagnosis,
        verdict,
        waived: Vec::new(),
        wanted: BTreeMap::new(),
    }
}

fn finding(cause: Cause, certainty: Certainty) -> Outcome {
    Outcome::Finding { cause, certainty }
}

fn tag_not_found() -> Result {
    let image = "nginx:1.27.9-alpin";
    let outcome = finding(Cause::TagNotFound, Certainty::Certain);
    let summary = "docker.io/library/nginx has no tag \"1.27.9-alpin\"";
    let mut diagnosis = diagnosis(outcome, summary, "no such tag");
    let answer =
        "registry-1.docker.io without login: 404 MANIFEST_UNKNOWN; the repository is readable";
    diagnosis.evidence =
        vec![seen("registry-1.docker.io", Some(404), &["MANIFEST_UNKNOWN"], answer)];
    diagnosis.advice = vec!["nearest tags: 1.27.9-alpine, 1.27-alpine".into()];
    diagnosis.findings.push(Listed { cause: Cause::Unpinned, text: "no digest".into() });
    let mut result =
        result(image, Action::Deny, vec![written("apps/web/deployment.yaml", image)], diagnosis);
    result.verdict.policy = Some("production".into());
    result
}

fn credentials_missing() -> Result {
    let image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/cart:7";
    let files = ["apps/cart/deployment.yaml", "apps/cart/job.yaml", "apps/till/cron.yaml"];
    let more = ["apps/till/a.yaml", "apps/till/b.yaml"];
    let uses = files.into_iter().chain(more).map(|file| written(file, image)).collect();
    let summary = "123456789012.dkr.ecr.eu-west-1.amazonaws.com wants a login and Deployment shop/cart brings none";
    let outcome = finding(Cause::CredentialsMissing, Certainty::Likely);
    let mut diagnosis = diagnosis(outcome, summary, "wants a login");
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    diagnosis.evidence = vec![seen(host, Some(401), &[], "the registry without login: 401, Basic")];
    diagnosis.remarks =
        vec!["only a warning, since ECR nodes usually bring a login of their own".into()];
    result(image, Action::Warn, uses, diagnosis)
}

fn inconclusive(reason: Reason, action: Action, image: &str, said: &str) -> Result {
    let summary = format!("{image}: {said}");
    let mut diagnosis = diagnosis(Outcome::Inconclusive { reason }, &summary, "");
    diagnosis.evidence = vec![seen("registry-1.docker.io", None, &[], said)];
    result(image, action, vec![written("apps/cache/statefulset.yaml", image)], diagnosis)
}

fn pullable(image: &str, action: Action) -> Result {
    let summary = format!("{image} pulls");
    let mut diagnosis = diagnosis(Outcome::Pullable, &summary, "");
    diagnosis.digest = Some(Digest::parse(DIGEST).expect("a digest"));
    result(image, action, vec![written("apps/web/job.yaml", image)], diagnosis)
}

fn pulled_with_own_login() -> Result {
    let mut result = pullable("ghcr.io/acme/web:1.4.2", Action::Allow);
    let login = ("ci-bot".to_owned(), "docker config /home/ci/.docker/config.json".to_owned());
    let text = "ghcr.io as ci-bot (docker config /home/ci/.docker/config.json): 200";
    let mut seen = seen("ghcr.io", Some(200), &[], text);
    seen.credential = Some(login);
    result.diagnosis.evidence = vec![seen];
    result.diagnosis.remarks = vec!["pulled with your own login; the Pod brings none".into()];
    result
}

fn pullable_with(cause: Cause, text: &str, action: Action) -> Result {
    let mut result = pullable("quay.io/acme/api:latest", action);
    result.diagnosis.findings = vec![Listed { cause, text: text.into() }];
    result
}

fn platform_partial() -> Result {
    let image = "registry.example/acme/tool:2";
    let summary = "registry.example/acme/tool:2 has nothing for linux/arm64";
    let outcome = finding(Cause::PlatformPartial, Certainty::Certain);
    let mut diagnosis = diagnosis(outcome, summary, "not for linux/arm64");
    diagnosis.offered = vec![Platform::parse("linux/amd64").expect("a platform")];
    diagnosis.runs = Some(false);
    let use_ = image_use(image, None, workload("DaemonSet", "tool"));
    let mut result = result(image, Action::Audit, vec![use_], diagnosis);
    for platform in ["linux/amd64", "linux/arm64"] {
        result.wanted.insert(Platform::parse(platform).expect("a platform"), "--platform".into());
    }
    result
}

fn from_a_flag() -> Result {
    let image = "ghcr.io/acme/nothing:1";
    let mut image_use = image_use(image, None, Arc::default());
    image_use.site.path = String::new();
    let outcome = finding(Cause::AbsentOrPrivate, Certainty::Likely);
    let summary =
        "ghcr.io refuses ghcr.io/acme/nothing and does not say whether it is absent or private";
    let mut diagnosis = diagnosis(outcome, summary, "absent or private");
    let words = "ghcr.io without login: 403 DENIED \"requested access to the resource is denied\"";
    diagnosis.evidence = vec![seen("ghcr.io", Some(403), &["DENIED"], words)];
    diagnosis.advice =
        vec!["check the spelling".into(), "if it is private, give the Pod a pull secret".into()];
    result(image, Action::Allow, vec![image_use], diagnosis)
}

fn ignored() -> Result {
    let image = "ghcr.io/acme/next:2";
    let outcome = finding(Cause::TagNotFound, Certainty::Certain);
    let summary = "ghcr.io/acme/next has no tag \"2\"";
    let uses = vec![written("apps/next/deployment.yaml", image)];
    let mut result = result(image, Action::Allow, uses, diagnosis(outcome, summary, "no such tag"));
    result.waived = vec![Waiver::ignored(Cause::TagNotFound, "pushed by the release")];
    result.verdict.rule = result.waived[0].rule.clone();
    result
}

fn minified() -> Result {
    let image = "nginx:nope";
    let far = "{\"kind\":\"ConfigMap\"},".repeat(40_000);
    let text = format!("{{\"items\":[{far}{{\"image\":\"{image}\"}},{far}{{}}]}}");
    let source = source("all.json", &text);
    let use_ = image_use(image, Some(place(&source, image)), workload("Pod", "min"));
    let outcome = finding(Cause::TagNotFound, Certainty::Certain);
    let summary = "docker.io/library/nginx has no tag \"nope\"";
    result(image, Action::Deny, vec![use_], diagnosis(outcome, summary, "no such tag"))
}

fn broken(file: &str, text: &str, needle: &str) -> Result {
    let reason = "did not find expected key".to_owned();
    let outcome = finding(Cause::UnparsableManifest, Certainty::Certain);
    let summary = format!("{file} does not parse: {reason}");
    let diagnosis = diagnosis(outcome, &summary, "here");
    let place = place(&source(file, text), needle);
    let broken = Some(Broken { place, reason });
    Result { broken, ..result("", Action::Deny, Vec::new(), diagnosis) }
}

fn hostile() -> Result {
    let image = format!("::error::{HOSTILE}");
    let file = format!("::error::{HOSTILE}.yaml");
    let outcome = finding(Cause::InvalidReference, Certainty::Certain);
    let mut diagnosis = diagnosis(outcome, &image, HOSTILE);
    diagnosis.evidence = vec![seen(HOSTILE, Some(400), &[HOSTILE], HOSTILE)];
    diagnosis.advice = vec![HOSTILE.into()];
    diagnosis.remarks = vec![HOSTILE.into()];
    diagnosis.findings.push(Listed { cause: Cause::Unknown, text: HOSTILE.into() });
    let uses = vec![written(&file, &image), written(&file, &image)];
    result(&image, Action::Deny, uses, diagnosis)
}

fn note(id: &'static str, text: &str, place: Option<(&str, usize)>) -> Note {
    let place = place.map(|(file, line)| (file.to_owned(), line));
    Note { id, text: text.into(), place, object: None }
}

/// The report.
pub fn report() -> Report {
    let limit = "Docker Hub's limit for this address is used up, again in 41 min";
    let rate = Reason::Seen(Cause::RateLimited);
    let refused = "169.254.169.254 is a link-local address";
    let results = vec![
        tag_not_found(),
        credentials_missing(),
        inconclusive(rate, Action::Warn, "docker.io/library/redis:7.4", limit),
        inconclusive(Reason::AddressRefused, Action::Allow, "metadata.local/x:1", refused),
        inconclusive(
            Reason::Seen(Cause::Timeout),
            Action::Deny,
            "slow.example/x:1",
            "no answer in 10 s",
        ),
        pullable("nginx:1.27.4", Action::Allow),
        pulled_with_own_login(),
        pullable_with(Cause::LatestTag, "the tag is `latest`", Action::Warn),
        pullable_with(Cause::Unpinned, "no digest", Action::Allow),
        pullable_with(Cause::SecretMissing, "secret shop/old does not exist", Action::Allow),
        platform_partial(),
        from_a_flag(),
        ignored(),
        minified(),
        broken("apps/web/broken.yaml", "kind: Pod\nspec: {\n", "{"),
        broken("apps/web/secret.yaml", "kind: Secret\ndata: {\n  password: aHVudGVyMg==\n", "{"),
        hostile(),
    ];
    let notes = vec![
        note(
            "duplicate-key",
            "the key \"image\" stands twice; the last one counts",
            Some(("apps/web/job.yaml", 7)),
        ),
        note("helm-template", HOSTILE, Some((HOSTILE, 1))),
        note("unused-ignore", "nothing was ignored", None),
    ];
    let summary = Summary {
        images: 15,
        files: 12,
        pullable: 5,
        own_only: 1,
        findings: 9,
        inconclusive: 3,
        deny: 6,
        warn: 3,
        requests: 62,
        elapsed: Duration::from_millis(431),
        cached: 3,
        oldest: Some(Duration::from_secs(372)),
        never_pulled: 1,
        ..Summary::default()
    };
    Report { results, notes, summary }
}

/// What a reader of the same manifests hands to the `images` command, in no particular order.
pub fn extraction() -> Extraction {
    let Report { results, notes, .. } = report();
    let mut extraction = Extraction { notes, files: 12, ..Extraction::default() };
    for result in results.into_iter().rev() {
        extraction.uses.extend(result.uses);
        extraction.broken.extend(result.broken);
    }
    extraction
}
