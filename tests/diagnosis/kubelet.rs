//! Texts made after the format strings of the kubelet and the runtimes, each with the cause that is
//! to be read first. `X` in a text stands for an image, `U` for its manifest's address.

mod answer;
mod content;
mod names;
mod network;
mod node;
mod pods;
mod wrapped;

use pullproof::diagnosis::kubelet::{Reading, Text, read};

/// A text, and the id of its first cause; empty where it is no failure of a pull.
type Case = (&'static str, &'static str);

const IMAGE: &str = "registry.acme.example/team/web:1.4";
const URL: &str = "https://registry.acme.example/v2/team/web/manifests/1.4";

/// Texts, where a short form of the names reads better.
fn spelt(text: &str) -> String {
    text.replace("{X}", IMAGE).replace("{U}", URL)
}

fn of(message: &str) -> Reading {
    read(&Text { message, waiting_reason: None, event_reason: None })
}

fn first(message: &str) -> &'static str {
    of(message).cause().map_or("", |cause| cause.id())
}

/// Containerd's words around an error while a name is resolved, before and after 2.1.
fn containerd(error: &str) -> [String; 3] {
    [
        format!(
            r#"rpc error: code = Unknown desc = failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": {error}"#
        ),
        format!(r#"failed to pull and unpack image "{IMAGE}": failed to resolve image: {error}"#),
        format!(
            r#"failed to pull and unpack image "{IMAGE}": failed to copy: httpReadSeeker: failed open: {error}"#
        ),
    ]
}

/// Words around an error in CRI-O and in the Docker engine.
fn others(error: &str) -> [String; 3] {
    [
        format!(
            "initializing source docker://{IMAGE}: pinging container registry registry.acme.example: {error}"
        ),
        format!(
            "unable to pull image or OCI artifact: pull image err: initializing source docker://{IMAGE}: {error}; artifact err: provided artifact is a container image"
        ),
        format!("rpc error: code = Unknown desc = Error response from daemon: {error}"),
    ]
}

/// Every case in every coat of the kubelet; what differs, all at once.
fn check(cases: &[Case]) {
    let mut wrong = Vec::new();
    for (text, cause) in cases {
        let text = spelt(text);
        let got = first(&text);
        if got != *cause {
            wrong.push(format!("{got:?}, not {cause:?}: {text}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// The errors of one request inside the words of every runtime.
fn check_inside(cases: &[Case]) {
    let mut wrong = Vec::new();
    for (error, cause) in cases {
        let error = spelt(error);
        for text in containerd(&error).into_iter().chain(others(&error)) {
            let got = first(&text);
            if got != *cause {
                wrong.push(format!("{got:?}, not {cause:?}: {text}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
