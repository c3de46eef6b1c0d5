//! Scripted faults, written so that a test reads as a sentence:
//! `Fault::on("HEAD", "/v2/app/manifests/1").answer(503).once()`.
//!
//! A fault says which requests it takes, how often, and what goes wrong. The first fault that takes
//! a request wins; a fault that is used up lets requests through to the next one.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, header};

use super::answer::{Answer, header_name, header_value};
use super::wire::Step;

/// One thing going wrong, for some requests.
#[derive(Clone, Debug)]
pub struct Fault {
    method: String,
    path: String,
    often: Often,
    seen: usize,
    pub(super) delay: Duration,
    pub(super) instead: Option<String>,
    answer: Option<Answer>,
    redirect: Option<Redirect>,
    changes: Vec<Change>,
    wire: Option<Wire>,
}

#[derive(Clone, Debug)]
enum Often {
    Always,
    Times(usize),
    Nth(usize),
    After(usize),
    EveryOther,
}

#[derive(Clone, Debug)]
enum Redirect {
    To(String),
    ToHost(String),
    Chain(usize),
}

#[derive(Clone, Debug)]
enum Change {
    Without(HeaderName),
    With(HeaderName, HeaderValue),
    Also(HeaderName, HeaderValue),
    Body(Vec<u8>),
}

#[derive(Clone, Debug)]
enum Wire {
    SlowHeaders(Duration),
    SlowBody(Duration),
    EndlessBody,
    Claims(u64),
    ShortBody,
    Reset,
    Close,
    Hang,
    Raw(Vec<u8>),
}

/// Which requests, and how often.
impl Fault {
    /// For this method (`*` for any) and path (see `matches`).
    pub fn on(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            often: Often::Always,
            seen: 0,
            delay: Duration::ZERO,
            instead: None,
            answer: None,
            redirect: None,
            changes: Vec::new(),
            wire: None,
        }
    }

    /// For any method and any path below this repository.
    pub fn in_repository(repository: &str) -> Self {
        Self::on("*", &format!("/v2/{repository}/"))
    }

    pub fn once(self) -> Self {
        self.times(1)
    }

    /// The first `n` such requests.
    pub fn times(self, n: usize) -> Self {
        Self { often: Often::Times(n), ..self }
    }

    /// Only the `n`-th such request, counted from 1.
    pub fn nth(self, n: usize) -> Self {
        Self { often: Often::Nth(n), ..self }
    }

    /// All such requests but the first `n`.
    pub fn after(self, n: usize) -> Self {
        Self { often: Often::After(n), ..self }
    }

    /// The first, the third, and so on.
    pub fn every_other(self) -> Self {
        Self { often: Often::EveryOther, ..self }
    }

    /// Whether this request is one to spoil; counts it if method and path fit.
    pub(super) fn takes(&mut self, method: &str, path: &str) -> bool {
        if !matches(&self.method, method) || !matches(&self.path, path) {
            return false;
        }
        self.seen += 1;
        match self.often {
            Often::Always => true,
            Often::Times(n) => self.seen <= n,
            Often::Nth(n) => self.seen == n,
            Often::After(n) => self.seen > n,
            Often::EveryOther => self.seen % 2 == 1,
        }
    }
}

/// What is answered, in place of what the registry would say.
impl Fault {
    /// This status, with an OCI error body naming it.
    pub fn answer(self, status: u16) -> Self {
        let code = match status {
            401 => "UNAUTHORIZED",
            403 => "DENIED",
            404 => "MANIFEST_UNKNOWN",
            405 => "UNSUPPORTED",
            429 => "TOOMANYREQUESTS",
            _ => "UNKNOWN",
        };
        self.error(status, code, "as scripted")
    }

    /// This status with an OCI error body.
    pub fn error(self, status: u16, code: &str, message: &str) -> Self {
        Self { answer: Some(Answer::error(status, code, message)), ..self }
    }

    /// This status, media type and body; an empty media type leaves the header out.
    pub fn answer_with(self, status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let body: Vec<u8> = body.into();
        let answer = match media_type {
            "" => Answer { body: body.into(), ..Answer::empty(status) },
            _ => Answer::new(status, media_type, body),
        };
        Self { answer: Some(answer), ..self }
    }

    /// A login page with status 200, as a captive portal sends.
    pub fn captive_portal(self) -> Self {
        self.answer_with(
            200,
            "text/html; charset=utf-8",
            "<html><body>Please sign in</body></html>",
        )
    }

    /// 401 with these challenges, one header line each; none at all for an empty list.
    pub fn challenge(self, challenges: &[&str]) -> Self {
        let fault = self.answer(401);
        challenges.iter().fold(fault, |fault, text| fault.also_header("www-authenticate", text))
    }

    /// 429 with this Retry-After.
    pub fn retry_after(self, text: &str) -> Self {
        self.answer(429).header("retry-after", text)
    }

    /// 307 to this Location.
    pub fn redirect(self, location: &str) -> Self {
        Self { redirect: Some(Redirect::To(location.to_owned())), ..self }
    }

    /// 307 to the same path and query at this origin, such as `http://127.0.0.1:5000`.
    pub fn redirect_to_host(self, origin: &str) -> Self {
        Self { redirect: Some(Redirect::ToHost(origin.to_owned())), ..self }
    }

    /// 307 to where the request came from, for ever.
    pub fn redirect_to_self(self) -> Self {
        self.redirect_to_host("")
    }

    /// 307 to itself `hops` times, then the usual answer.
    pub fn redirect_chain(self, hops: usize) -> Self {
        Self { redirect: Some(Redirect::Chain(hops)), ..self }
    }

    /// The answer another path would get, such as a manifest under a wrong digest.
    pub fn instead(self, path: &str) -> Self {
        Self { instead: Some(path.to_owned()), ..self }
    }

    /// Waits before the answer, spoiled or not.
    pub fn delayed(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

/// What is changed in the answer.
impl Fault {
    pub fn without_header(self, name: &str) -> Self {
        self.change(Change::Without(header_name(name)))
    }

    /// Sets a header, in place of any of that name.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.change(Change::With(header_name(name), header_value(value)))
    }

    /// Adds a header line beside those of that name.
    pub fn also_header(self, name: &str, value: &str) -> Self {
        self.change(Change::Also(header_name(name), header_value(value)))
    }

    /// Replaces the body and keeps the headers, the digest too.
    pub fn body(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.change(Change::Body(bytes.into()))
    }

    fn change(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }
}

/// What goes wrong below HTTP. The connection ends with it. HTTP/1.1 only, but for `close` and `hang`.
impl Fault {
    /// Status line and headers one byte at a time.
    pub fn slow_headers(self, each_byte: Duration) -> Self {
        self.on_wire(Wire::SlowHeaders(each_byte))
    }

    /// Headers at once, then the body one byte at a time.
    pub fn slow_body(self, each_byte: Duration) -> Self {
        self.on_wire(Wire::SlowBody(each_byte))
    }

    /// Chunks for ever, as fast as they are read.
    pub fn endless_body(self) -> Self {
        self.on_wire(Wire::EndlessBody)
    }

    /// A Content-Length that is not true; after the real body nothing more comes.
    pub fn claims_length(self, bytes: u64) -> Self {
        self.on_wire(Wire::Claims(bytes))
    }

    /// Half of the promised body, then an orderly end.
    pub fn short_body(self) -> Self {
        self.on_wire(Wire::ShortBody)
    }

    /// Half of the body, then a TCP reset; for HEAD, half of the headers.
    pub fn reset_mid_body(self) -> Self {
        self.on_wire(Wire::Reset)
    }

    /// The connection closes without an answer.
    pub fn close(self) -> Self {
        self.on_wire(Wire::Close)
    }

    /// Nothing comes, and the connection stays open.
    pub fn hang(self) -> Self {
        self.on_wire(Wire::Hang)
    }

    /// These bytes, whatever they are, then the end.
    pub fn raw(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.on_wire(Wire::Raw(bytes.into()))
    }

    fn on_wire(self, wire: Wire) -> Self {
        Self { wire: Some(wire), ..self }
    }
}

/// How the server carries a fault out.
impl Fault {
    /// The scripted answer for this request, if there is one in place of the usual.
    pub(super) fn replacement(&self, path_and_query: &str) -> Option<Answer> {
        let location = match &self.redirect {
            None => return self.answer.clone(),
            Some(Redirect::To(location)) => location.clone(),
            Some(Redirect::ToHost(origin)) => format!("{origin}{path_and_query}"),
            Some(Redirect::Chain(hops)) => {
                let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
                let hop: usize =
                    query.strip_prefix("hop=").and_then(|n| n.parse().ok()).unwrap_or(0);
                if hop == *hops {
                    return None;
                }
                format!("{path}?hop={}", hop + 1)
            }
        };
        Some(Answer::empty(307).with("location", &location))
    }

    pub(super) fn change_answer(&self, answer: &mut Answer) {
        for change in &self.changes {
            match change {
                Change::Without(name) => drop(answer.headers.remove(name)),
                Change::With(name, value) => drop(answer.headers.insert(name, value.clone())),
                Change::Also(name, value) => drop(answer.headers.append(name, value.clone())),
                Change::Body(bytes) => answer.body = bytes.clone().into(),
            }
        }
    }

    /// What to do to the connection in place of sending the answer.
    pub(super) fn script(&self, answer: &Answer, head: bool) -> Option<Vec<Step>> {
        let body = if head { Vec::new() } else { answer.body.to_vec() };
        let half = body[..body.len() / 2].to_vec();
        let headers = answer.head(&format!("{}: {}", header::CONTENT_LENGTH, answer.body.len()));
        Some(match self.wire.as_ref()? {
            Wire::SlowHeaders(each) => vec![Step::Drip(headers, *each), Step::Send(body)],
            Wire::SlowBody(each) => vec![Step::Send(headers), Step::Drip(body, *each)],
            Wire::EndlessBody => {
                let chunk = [b"4000\r\n".as_slice(), &[b' '; 0x4000], b"\r\n"].concat();
                vec![Step::Send(answer.head("transfer-encoding: chunked")), Step::Forever(chunk)]
            }
            Wire::Claims(length) => {
                let headers = answer.head(&format!("{}: {length}", header::CONTENT_LENGTH));
                let rest = if head { None } else { Some(Step::Hang) };
                [Step::Send(headers), Step::Send(body)].into_iter().chain(rest).collect()
            }
            Wire::ShortBody => vec![Step::Send(headers), Step::Send(half)],
            Wire::Reset if head => {
                vec![Step::Send(headers[..headers.len() / 2].to_vec()), Step::Reset]
            }
            Wire::Reset => vec![Step::Send(headers), Step::Send(half), Step::Reset],
            Wire::Close => vec![],
            Wire::Hang => vec![Step::Hang],
            Wire::Raw(bytes) => vec![Step::Send(bytes.clone())],
        })
    }
}

/// Whether a pattern fits: `*` stands for anything, a pattern ending in `/` is a beginning, any other is exact.
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern = if pattern.ends_with('/') { format!("{pattern}*") } else { pattern.to_owned() };
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}
