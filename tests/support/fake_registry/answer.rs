//! One HTTP answer as a value: it can be bent by a fault, sent by the server, or written out as raw bytes.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn empty(status: u16) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    pub fn new(status: u16, media_type: &str, body: impl Into<Bytes>) -> Self {
        let answer = Self { body: body.into(), ..Self::empty(status) };
        answer.with("content-type", media_type)
    }

    pub fn json(status: u16, value: &Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    /// An error as the OCI distribution specification writes it.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let error = json!({ "code": code, "message": message, "detail": null });
        Self::json(status, &json!({ "errors": [error] }))
    }

    /// The same with this header, in place of any of that name.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(header_name(name), header_value(value));
        self
    }

    /// The answer for the server to send; a HEAD answer keeps the length and loses the body.
    pub fn into_response(self, head: bool) -> Response<Body> {
        let length = self.body.len();
        let mut response = Response::new(if head { Body::empty() } else { Body::from(self.body) });
        *response.status_mut() =
            StatusCode::from_u16(self.status).expect("a status of three digits");
        *response.headers_mut() = self.headers;
        if !matches!(self.status, 100..=199 | 204 | 304) {
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }

    /// Status line and headers as HTTP/1.1 writes them, with this framing header.
    pub fn head(&self, framing: &str) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} Scripted\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            text.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        text.extend(format!("{framing}\r\n\r\n").bytes());
        text
    }
}

pub fn header_name(name: &str) -> HeaderName {
    HeaderName::from_bytes(name.as_bytes()).expect("a header name")
}

/// A header value; what HTTP forbids in one (CR, LF, NUL) can be sent by `Fault::raw` only.
pub fn header_value(value: &str) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).expect("a header value; use Fault::raw for others")
}
