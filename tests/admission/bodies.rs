//! Bodies, paths and headers that are no review, or more of one than anybody needs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::hook::{Hook, Setup, deployment, image, pod, registry, review, sent_to, with};
use crate::support::tls::Authority;

/// What came back for a body; every answer leaves the connection usable or says that it ends.
async fn refused(hook: &Hook, body: impl Into<reqwest::Body>, status: u16, part: &str) {
    let response = hook.post("validate", body).await;
    assert_eq!(response.status(), status);
    let text = response.text().await.unwrap();
    assert!(text.contains(part), "{part} in {text}");
    assert!(text.len() < 300 && text.ends_with('\n'), "{text}");
}

#[tokio::test]
async fn b01_b02_what_is_no_json_is_told_so_with_status_400() {
    let hook = Setup::default().start().await;
    for body in [
        b"".to_vec(),
        b"not json".to_vec(),
        b"{\"apiVersion\":\"admission.k8s.io/v1\"".to_vec(),
        b"\xff\xfe{}".to_vec(),
        [b"\xef\xbb\xbf".as_slice(), review(pod(&["a"])).to_string().as_bytes()].concat(),
        b"\0".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"7".to_vec(),
        b"{\"request\":\"\xc3\x28\"}".to_vec(),
    ] {
        refused(&hook, body, 400, "the body is not ").await;
    }
    // None of them cost the connection.
    hook.validate(pod(&[])).await.silent();
}

#[tokio::test]
async fn b05_another_version_or_kind_and_a_missing_or_odd_uid_are_status_400() {
    let hook = Setup::default().start().await;
    let good = review(pod(&[]));
    let mut other = good.clone();
    other["apiVersion"] = json!("admission.k8s.io/v1beta1");
    refused(&hook, other.to_string(), 400, "not an AdmissionReview of admission.k8s.io/v1").await;
    other = good.clone();
    other["kind"] = json!("ConversionReview");
    refused(&hook, other.to_string(), 400, "not an AdmissionReview").await;
    other["kind"] = json!("AdmissionReview");
    other["request"] = Value::Null;
    refused(&hook, other.to_string(), 400, "no request").await;
    refused(&hook, with(good.clone(), "uid", "").to_string(), 400, "no uid").await;
    refused(&hook, with(good.clone(), "uid", Value::Null).to_string(), 400, "no uid").await;
    refused(&hook, with(good.clone(), "uid", 7).to_string(), 400, "wrong type").await;
    let answer = hook.send("validate", &with(good, "object", "text")).await;
    answer.warns("could not read this object");
}

/// The API server says what kind it was sent; what an object says of itself lets it pass nothing.
#[tokio::test]
async fn b05_an_object_of_another_kind_than_its_request_is_status_400() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).deny().start().await;
    let gone = image(&registry, "app:gone");
    for (kind, object) in [("Pod", pod(&[&gone])), ("Deployment", deployment(&gone))] {
        let with_kind = |own: Value| {
            let mut sent = review(object.clone());
            sent["request"]["object"]["kind"] = own;
            assert_eq!(sent["request"]["kind"]["kind"], kind);
            sent
        };
        for other in ["ConfigMap", "CronJob", "pod", "\u{0}"] {
            refused(&hook, with_kind(json!(other)).to_string(), 400, "the object's kind").await;
        }
        for own in [json!(kind), json!(""), Value::Null] {
            hook.send("validate", &with_kind(own)).await.denies("app:gone");
        }
    }
}

/// Names are kept as keys, logged and told as Events: what no object can be called goes no further.
#[tokio::test]
async fn names_longer_than_any_object_has_are_status_400() {
    let hook = Setup::of(&[]).start().await;
    let long = "n".repeat(1 << 20);
    for field in ["uid", "namespace", "name", "operation", "subResource"] {
        let body = with(review(pod(&["app"])), field, long.clone()).to_string();
        refused(&hook, body, 400, field).await;
    }
    let mut kind = review(pod(&["app"]));
    kind["request"]["kind"]["kind"] = json!(long);
    refused(&hook, kind.to_string(), 400, "kind").await;
    hook.send("validate", &with(review(pod(&[])), "name", "n".repeat(253))).await.silent();
}

#[tokio::test]
async fn b03_deep_nesting_is_refused_or_never_walked() {
    let hook = Setup::default().deny().start().await;
    let deep =
        |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    refused(&hook, deep("[", "]"), 400, "the body is not ").await;
    refused(&hook, deep("{\"request\":", "}"), 400, "the body is not ").await;
    let inside = review(pod(&[]))
        .to_string()
        .replace("\"object\":{", &format!("\"object\":{{\"x\":{},", deep("[", "]")));
    let response = hook.post("validate", inside).await;
    assert!(matches!(response.status().as_u16(), 200 | 400));
    assert_eq!(hook.metric("pullproof_panics_total"), 0.0);
    hook.validate(pod(&[])).await.silent();
}

/// A spec has a template, and that a spec: what is read without an end would end the program.
#[tokio::test]
async fn b03_templates_in_templates_without_end_are_refused_and_end_nothing() {
    let hook = Setup::default().deny().start().await;
    let nested = |inner: &str, levels: usize| {
        let open = format!("{{\"spec\":{{{inner}").repeat(levels);
        format!("{open}{{}}{}", "}}".repeat(levels))
    };
    for (version, kind) in [("v1", "Pod"), ("apps/v1", "Deployment"), ("batch/v1", "CronJob")] {
        for inner in ["\"template\":", "\"jobTemplate\":"] {
            for field in ["object", "oldObject"] {
                let mut sent = review(json!({"apiVersion": version, "kind": kind}));
                sent["request"]["operation"] = json!("UPDATE");
                sent["request"][field] = json!("here");
                let of = |levels| sent.to_string().replace("\"here\"", &nested(inner, levels));
                // It is the depth that counts, and nothing else in it.
                let shallow = hook.post("validate", of(20)).await.text().await.unwrap();
                assert!(shallow.contains("\"allowed\":true") && !shallow.contains("could not"));
                let text = of(100_000);
                for path in ["validate", "mutate"] {
                    let response = hook.post(path, text.clone()).await;
                    let status = response.status().as_u16();
                    let said = response.text().await.unwrap();
                    // No JSON for us, an object that nothing is known of, or one without images.
                    let is_told = match status {
                        200 if field == "object" => said.contains("could not read this object"),
                        200 => said.contains("\"allowed\":true"),
                        _ => status == 400 && said.contains("the body is not "),
                    };
                    assert!(is_told, "{kind} {field}: {status} {said}");
                }
            }
        }
    }
    assert_eq!(hook.metric("pullproof_panics_total"), 0.0);
    hook.validate(pod(&[])).await.silent();
}

/// The API server takes the last of two; whatever passes here must have been judged by the last.
#[tokio::test]
async fn b04_of_two_images_of_a_container_the_first_is_never_judged_in_place_of_the_last() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).deny().start().await;
    let (good, bad) = (image(&registry, "app:1"), image(&registry, "app:gone"));
    let twice = review(pod(&[&bad]))
        .to_string()
        .replace("\"image\":", &format!("\"image\":\"{good}\",\"image\":"));
    let response = hook.post("validate", twice).await;
    assert_eq!(response.status(), 200);
    let body: Value = response.json().await.unwrap();
    let answer = super::hook::Answer::of(body, &review(json!({}))["request"]["uid"]);
    assert!(!answer.allowed() || !answer.warnings().is_empty(), "{answer:?}");
}

#[tokio::test]
async fn b06_a_body_is_read_up_to_8_mib_and_not_a_byte_more() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).deny().start().await;
    let exact = |size: usize| {
        let mut object = pod(&[&image(&registry, "app:gone")]);
        object["metadata"]["annotations"] = json!({"pad": ""});
        let bare = review(object.clone()).to_string().len();
        object["metadata"]["annotations"]["pad"] = json!("x".repeat(size - bare));
        review(object).to_string()
    };
    const MIB: usize = 1 << 20;
    for size in [7 * MIB, 8 * MIB] {
        let body = exact(size);
        assert_eq!(body.len(), size);
        for client in [hook.client.clone(), hook.http1()] {
            let response =
                client.post(hook.url("validate")).body(body.clone()).send().await.unwrap();
            assert_eq!(response.status(), 200);
            assert!(response.text().await.unwrap().contains("app:gone"));
        }
    }
    for size in [8 * MIB + 1, 64 * MIB] {
        refused(&hook, exact(size), 413, "larger than 8 MiB").await;
    }
    // Without a length it is counted as it comes.
    let chunks = |count: usize| {
        let chunk = vec![b' '; MIB];
        let stream = (0..count).map(move |_| Ok::<_, std::io::Error>(chunk.clone()));
        body_of(stream)
    };
    refused(&hook, chunks(9), 413, "larger than 8 MiB").await;
    refused(&hook, chunks(8), 400, "not JSON").await;
    hook.validate(pod(&[&image(&registry, "app:gone")])).await.denies("app:gone");
}

fn body_of(
    chunks: impl Iterator<Item = Result<Vec<u8>, std::io::Error>> + Send + Sync + 'static,
) -> reqwest::Body {
    let stream = futures_util::stream::iter(chunks.map(|it| it.map(data)));
    reqwest::Body::wrap(http_body_util::StreamBody::new(stream))
}

fn data(bytes: Vec<u8>) -> hyper::body::Frame<axum::body::Bytes> {
    hyper::body::Frame::data(bytes.into())
}

/// A TLS connection of HTTP/1.1 to write on by hand.
pub async fn by_hand(hook: &Hook) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    use rustls::pki_types::pem::PemObject as _;
    let pem = hook.authority.pem();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let config =
        rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(hook.address).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    tokio_rustls::TlsConnector::from(std::sync::Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap()
}

/// What is answered until the other side is silent for a while or ends.
async fn answered(stream: &mut (impl tokio::io::AsyncRead + Unpin), patience: Duration) -> String {
    let (mut text, mut part) = (Vec::new(), vec![0; 4096]);
    while let Ok(Ok(read)) = tokio::time::timeout(patience, stream.read(&mut part)).await {
        if read == 0 {
            break;
        }
        text.extend_from_slice(&part[..read]);
        if text.windows(4).any(|it| it == b"\r\n\r\n") && text.ends_with(b"\n") {
            break;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn b06_a_body_that_does_not_come_is_answered_408_in_time() {
    let hook = Setup::default().start().await;
    let mut stream = by_hand(&hook).await;
    let head = "POST /validate?timeout=1s HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let began = Instant::now();
    let text = answered(&mut stream, Duration::from_secs(20)).await;
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    assert!(text.contains("did not come in time"), "{text}");
    assert!(began.elapsed() < Duration::from_secs(3));
    assert_eq!(hook.metric("pullproof_reviews_in_flight"), 0.0);
}

#[tokio::test]
async fn b06_bodies_that_are_announced_and_never_come_do_not_hold_up_others() {
    let hook = Setup::default().start().await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        let mut stream = by_hand(&hook).await;
        let head = "POST /validate HTTP/1.1\r\nhost: x\r\ncontent-length: 8388608\r\n\r\n{";
        stream.write_all(head.as_bytes()).await.unwrap();
        silent.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    hook.validate(pod(&[])).await.silent();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

/// Nearly whole bodies wait for their last byte: as many as there is room for, and the others are told
/// so at once.
#[tokio::test]
async fn b06_what_is_in_memory_of_bodies_is_bounded_and_the_next_is_told_503() {
    let hook = Setup::default().start().await;
    let mut object = pod(&[]);
    object["metadata"]["annotations"] = json!({"pad": "x".repeat(7 << 20)});
    let body = review(object).to_string();
    let (most, last) = body.as_bytes().split_at(body.len() - 1);
    let head =
        format!("POST /validate HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    // 96 MiB hold thirteen of them.
    let send = async || {
        let mut stream = by_hand(&hook).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let written = stream.write_all(most).await.and(stream.flush().await);
        let text = answered(&mut stream, Duration::from_millis(300)).await;
        (written.is_ok() && text.is_empty()).then_some(stream).ok_or(text)
    };
    let sent = futures_util::future::join_all((0..16).map(|_| send())).await;
    let refused: Vec<&String> = sent.iter().filter_map(|it| it.as_ref().err()).collect();
    assert!((2..=8).contains(&refused.len()), "{refused:?} of 16 were refused");
    // Who still writes may see the end of the connection before the answer.
    assert!(refused.iter().all(|it| it.is_empty() || it.starts_with("HTTP/1.1 503 ")));
    hook.validate(pod(&[])).await.silent();
    for mut stream in sent.into_iter().flatten() {
        stream.write_all(last).await.unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        assert!(matches!(&status, b"HTTP/1.1 200" | b"HTTP/1.1 408"), "{status:?}");
    }
    hook.validate(pod(&[])).await.silent();
}

/// A place that is only held is given to others after ten seconds; one that is used stays.
#[tokio::test]
async fn who_connects_and_says_nothing_is_cut_off_and_who_has_spoken_is_not() {
    let hook = Setup::default().start().await;
    let (mut silent, mut spoken) = (by_hand(&hook).await, by_hand(&hook).await);
    let began = Instant::now();
    let ask = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    spoken.write_all(ask).await.unwrap();
    let patience = Duration::from_secs(5);
    assert!(answered(&mut spoken, patience).await.starts_with("HTTP/1.1 200 "));
    let read = tokio::time::timeout(Duration::from_secs(40), silent.read(&mut [0; 1])).await;
    let is_over = matches!(read, Ok(Ok(0) | Err(_)));
    assert!(is_over && began.elapsed() > Duration::from_secs(5), "{read:?} {:?}", began.elapsed());
    spoken.write_all(ask).await.unwrap();
    assert!(answered(&mut spoken, patience).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn who_hangs_up_is_not_counted_as_being_answered_for_ever() {
    let silent = crate::support::RawServer::silent().await;
    let hook = Setup::of(&[silent.host()]).start().await;
    let body = review(pod(&[&format!("{}/app:1", silent.host())])).to_string();
    for client in [hook.client.clone(), hook.http1()] {
        let request = client.post(hook.url("validate")).body(body.clone());
        let asked = request.timeout(Duration::from_millis(300)).send().await;
        assert!(asked.unwrap_err().is_timeout());
    }
    super::hook::wait(|| hook.metric("pullproof_reviews_in_flight") == 0.0).await;
}

#[tokio::test]
async fn b07_paths_and_methods_that_are_not_there_are_4xx_and_nothing_is_ever_3xx() {
    let hook = Setup::default().start().await;
    let body = review(pod(&[])).to_string();
    for client in [hook.client.clone(), hook.http1()] {
        for path in [
            "",
            "metrics",
            "debug/pprof",
            "admin",
            "shutdown",
            "validate/",
            "Validate",
            "validate/x",
            "/validate",
            "mutate//",
            "?url=http://169.254.169.254",
        ] {
            for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
                let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
                let request = client.request(method, hook.url(path)).body(body.clone());
                let response = request.send().await.unwrap();
                assert!(response.status().is_client_error(), "{path}: {response:?}");
                assert!(!response.headers().contains_key("location"));
            }
        }
        for path in ["validate", "mutate"] {
            for method in ["GET", "PUT", "HEAD", "DELETE", "OPTIONS"] {
                let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
                let response = client.request(method, hook.url(path)).send().await.unwrap();
                assert_eq!(response.status(), 405, "{path}");
            }
        }
        for path in ["livez", "readyz"] {
            assert_eq!(client.get(hook.url(path)).send().await.unwrap().status(), 200);
        }
    }
}

#[tokio::test]
async fn b07_what_does_not_say_to_be_json_is_status_415() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).deny().start().await;
    let body = review(pod(&[&image(&registry, "app:gone")])).to_string();
    let send = |kind: Option<&'static str>| {
        let mut request = hook.client.post(hook.url("validate")).body(body.clone());
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        async { request.send().await.unwrap() }
    };
    for kind in ["text/plain", "application/yaml", "", "application/json-patch+json", "json"] {
        assert_eq!(send(Some(kind)).await.status(), 415, "{kind}");
    }
    assert_eq!(registry.count(), 0);
    for kind in [None, Some("application/json; charset=utf-8"), Some("Application/JSON")] {
        let response = send(kind).await;
        assert!(response.text().await.unwrap().contains("\"allowed\":false"), "{kind:?}");
    }
}

#[tokio::test]
async fn b40_header_floods_are_refused_and_others_are_served() {
    let hook = Setup::default().start().await;
    let many: String = (0..200).map(|nth| format!("x-{nth}: y\r\n")).collect();
    let long = format!("x: {}\r\n", "y".repeat(64 << 10));
    for headers in [many, long] {
        let mut stream = by_hand(&hook).await;
        let head =
            format!("POST /validate HTTP/1.1\r\nhost: x\r\n{headers}content-length: 2\r\n\r\n{{}}");
        let _ = stream.write_all(head.as_bytes()).await;
        let text = answered(&mut stream, Duration::from_secs(20)).await;
        assert!(text.starts_with("HTTP/1.1 431 "), "{text}");
    }
    let long = hook.client.post(hook.url("validate")).header("x", "y".repeat(64 << 10));
    let response = long.body("{}").send().await;
    assert!(response.is_err() || response.unwrap().status().is_client_error());
    hook.validate(pod(&[])).await.silent();
}

#[tokio::test]
async fn a_client_that_speaks_no_tls_or_trusts_another_authority_is_counted() {
    let hook = Setup::default().start().await;
    let mut plain = tokio::net::TcpStream::connect(hook.address).await.unwrap();
    plain.write_all(b"POST /validate HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let _ = answered(&mut plain, Duration::from_secs(20)).await;
    let other = super::hook::client(&Authority::new()).build().unwrap();
    assert!(other.post(hook.url("validate")).send().await.is_err());
    super::hook::wait(|| hook.metric("pullproof_handshake_errors_total") >= 2.0).await;
    hook.validate(pod(&[])).await.silent();
}

#[tokio::test]
async fn b12_b13_hostile_names_and_images_come_back_clean() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()])
        .policy("all", json!({"action": "Deny", "inconclusive": "Deny"}))
        .start()
        .await;
    let long = format!("{}/{}:1", registry.host(), "x/".repeat(300) + "y");
    let huge = "a".repeat(64 << 10);
    for text in [
        "evil\u{0}:1",
        "a\r\nX: y",
        "\u{1b}[31mred:1",
        "a\u{202e}b:1",
        "z\u{200b}w:1",
        "",
        " ",
        "a b",
        "http://user:pw@h/a:1",
        "a@b",
        "../../a",
        "%2f:1",
        "a?x=1",
        "a#b",
        "a\\b",
        &long,
        &huge,
        "\u{feff}a",
        "::error::x",
        "<script>alert(1)</script>",
        "a:\u{85}",
    ] {
        let mut object = pod(&[text]);
        object["spec"]["containers"][0]["name"] =
            json!(format!("\u{1b}[2J\u{202e}{}", "n".repeat(5000)));
        object["metadata"]["name"] = json!("\r\n\u{1b}]0;x\u{7}");
        let answer = hook.validate(object).await;
        assert_eq!(answer.allowed(), text.is_empty(), "{text:?}: {answer:?}");
        assert!(answer.text().len() < 8000);
    }
}

#[tokio::test]
async fn b25_the_namespace_is_the_requests_and_a_strange_one_borrows_nothing() {
    let registry = registry().await;
    let spec = json!({"action": "Deny", "match": {"namespaces": ["prod"]}});
    let hook = Setup::of(&[registry.host()]).policy("prod", spec).start().await;
    let object = pod(&[&image(&registry, "app:gone")]);
    hook.send("validate", &sent_to("shop", review(object.clone()))).await.warns("app:gone");
    hook.send("validate", &sent_to("prod", review(object.clone()))).await.denies("app:gone");
    for other in ["prod", ""] {
        let review = with(review(object.clone()), "namespace", other).to_string();
        let response = hook.client.post(hook.url("validate")).body(review).send().await.unwrap();
        assert_eq!(response.status(), 400);
        assert!(response.text().await.unwrap().contains("namespace"));
    }
    for strange in ["", "../prod", "prod/x", "PROD", "prod\0", "a\u{1b}[31m"] {
        let review = sent_to(strange, review(object.clone()));
        hook.send("validate", &review).await.warns("app:gone");
    }
}

#[tokio::test]
async fn b30_hostile_annotations_do_no_harm() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).pin().deny().start().await;
    for value in ["\u{1b}[31m\r\n".repeat(10), "v".repeat(256 << 10), "{".repeat(10_000)] {
        let mut object = pod(&[&image(&registry, "app:1")]);
        object["metadata"]["annotations"] =
            json!({"a/b": value, "pullproof.dev/original-images": value, "\u{0}~1/": value});
        hook.validate(object.clone()).await.silent();
        let answer = hook.mutate(object.clone()).await;
        let annotation =
            answer.applied(object)["metadata"]["annotations"]["pullproof.dev/original-images"]
                .clone();
        let images: Value = serde_json::from_str(annotation.as_str().unwrap()).unwrap();
        assert_eq!(images, json!({"c0": image(&registry, "app:1")}));
    }
}
