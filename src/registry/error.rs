//! From a failed exchange to a [`Trouble`]: which environment cause it is, on which host, in words.
//! The rustls error hides inside nested I/O errors, so the whole chain is searched.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use rustls::{CertificateError, Error as TlsError, InvalidMessage};

use crate::diagnosis::cause::{Cause, Reason};
use crate::diagnosis::evidence::Trouble;

/// The text of a connection, its TLS handshake included, that was not made in time.
pub(super) const NO_CONNECTION: &str = "no connection in time";

/// What our own resolver says when it gives no address.
#[derive(Debug)]
pub(super) enum ResolveError {
    /// Every address of the name is refused by the guard.
    AddressRefused,
    /// The name was not resolved; the system's text.
    NotResolved(String),
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResolveError::AddressRefused => f.write_str("address refused"),
            ResolveError::NotResolved(text) => f.write_str(text),
        }
    }
}

impl StdError for ResolveError {}

/// Classifies a failed exchange with `host` over `scheme`.
pub(super) fn classify(error: &reqwest::Error, host: &str, scheme: &str) -> Trouble {
    let (reason, text) = read(error, scheme);
    Trouble { reason, host: host.to_owned(), status: None, text }
}

fn read(error: &reqwest::Error, scheme: &str) -> (Reason, String) {
    let chain = Chain::of(error);
    let seen = |cause: Cause, text: &str| (Reason::Seen(cause), text.to_owned());
    if let Some(resolve) = chain.find::<ResolveError>() {
        return match resolve {
            ResolveError::AddressRefused => {
                (Reason::AddressRefused, "this address is never connected to".to_owned())
            }
            ResolveError::NotResolved(text) => {
                (Reason::Seen(Cause::DnsFailure), format!("the name was not resolved: {text}"))
            }
        };
    }
    if let Some(tls) = chain.find::<TlsError>() {
        return read_tls(tls);
    }
    let shown = chain.text();
    if shown.contains("tunnel error") || shown.contains("proxy") {
        return (Reason::Seen(Cause::ProxyFailure), "the HTTP proxy refused or is dead".to_owned());
    }
    if error.is_timeout() {
        let text = if error.is_connect() { NO_CONNECTION } else { "no answer in time" };
        return seen(Cause::Timeout, text);
    }
    if let Some(hyper) = chain.find::<hyper::Error>() {
        if hyper.is_incomplete_message() && !error.is_body() && !error.is_decode() {
            return seen(Cause::Unreachable, "the connection was closed before an answer came");
        }
        if hyper.is_parse() {
            // hyper keeps the kind to itself: only a first line that is none speaks of another protocol.
            let is_other_protocol = hyper.to_string().contains("version");
            return if scheme == "http" && is_other_protocol {
                seen(
                    Cause::SchemeMismatch,
                    "the answer to plain http is no HTTP; does the port speak TLS?",
                )
            } else {
                seen(Cause::BadAnswer, "the answer is no usable HTTP")
            };
        }
    }
    if let Some(io) = chain.find_io() {
        return read_io(io.kind(), error.is_connect());
    }
    if error.is_body() || error.is_decode() {
        return seen(Cause::BadAnswer, "the body ended before its announced length");
    }
    seen(Cause::Unreachable, "the connection failed")
}

fn read_io(kind: io::ErrorKind, connecting: bool) -> (Reason, String) {
    let (cause, text) = match kind {
        io::ErrorKind::ConnectionRefused => (Cause::ConnectionRefused, "connection refused"),
        io::ErrorKind::TimedOut => (Cause::Timeout, NO_CONNECTION),
        io::ErrorKind::UnexpectedEof if connecting => {
            (Cause::TlsHandshake, "the connection was closed during the TLS handshake")
        }
        io::ErrorKind::UnexpectedEof => {
            (Cause::BadAnswer, "the body ended before its announced length")
        }
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => (Cause::Unreachable, "the connection was reset"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            (Cause::Unreachable, "no route to the host")
        }
        _ => (Cause::Unreachable, "the connection failed"),
    };
    (Reason::Seen(cause), text.to_owned())
}

fn read_tls(error: &TlsError) -> (Reason, String) {
    use CertificateError as C;
    let (cause, text) = match error {
        TlsError::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => {
            (Cause::TlsExpired, "the certificate has expired".to_owned())
        }
        TlsError::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => {
            (Cause::TlsExpired, "the certificate is not valid yet".to_owned())
        }
        TlsError::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            (Cause::TlsHandshake, "the certificate is for another name".to_owned())
        }
        TlsError::InvalidCertificate(C::UnknownIssuer) => {
            (Cause::TlsUntrusted, "the certificate is signed by an unknown authority".to_owned())
        }
        TlsError::InvalidCertificate(other) => {
            (Cause::TlsUntrusted, format!("the certificate is not accepted: {other:?}"))
        }
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => {
            (Cause::SchemeMismatch, "the port does not speak TLS".to_owned())
        }
        TlsError::AlertReceived(alert) => {
            (Cause::TlsHandshake, format!("the registry ended the TLS handshake: {alert:?}"))
        }
        other => (Cause::TlsHandshake, format!("the TLS handshake failed: {other}")),
    };
    (Reason::Seen(cause), crate::text::clean(&text, crate::text::SHOWN))
}

/// All errors below one, those inside I/O errors too.
struct Chain<'a>(Vec<&'a (dyn StdError + 'static)>);

impl<'a> Chain<'a> {
    fn of(error: &'a (dyn StdError + 'static)) -> Self {
        let (mut all, mut todo) = (Vec::new(), vec![error]);
        while let Some(error) = todo.pop() {
            if all.len() == 32 {
                break;
            }
            all.push(error);
            todo.extend(error.source());
            if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                todo.push(inner);
            }
        }
        Self(all)
    }

    fn find<E: StdError + 'static>(&self) -> Option<&'a E> {
        self.0.iter().find_map(|error| error.downcast_ref::<E>())
    }

    /// The innermost I/O error that comes from the system.
    fn find_io(&self) -> Option<&'a io::Error> {
        self.0.iter().rev().find_map(|error| error.downcast_ref::<io::Error>())
    }

    fn text(&self) -> String {
        self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(": ").to_lowercase()
    }
}
