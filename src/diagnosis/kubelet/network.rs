//! Rows of what keeps a node from an answer: limits, proxies, certificates, names, connections, and
//! servers in trouble. Texts of Go's `net`, `net/http`, `crypto/tls` and `crypto/x509`, which all
//! runtimes pass on, on Linux and Windows. The order matters: a proxy's trouble wraps all the others,
//! a look-up that times out is a matter of names, and a handshake that times out is none of a
//! certificate.

use super::rows::Mark::{Ends, Status, Words};
use super::rows::{Row, row};
use crate::diagnosis::Cause::*;

pub(super) const RATE_LIMIT: &[Row] = &[row(
    &[RateLimited],
    &[
        Words("toomanyrequests"),
        Words("too many requests"),
        Words("pull rate limit"),
        Words("rate exceeded"),
        Words("rate limit"),
        Words("ratelimit"),
        Status(429, 429),
    ],
)];

pub(super) const CONNECTION: &[Row] = &[
    // The kubelet's connection to the runtime, before any registry.
    row(
        &[PullInterrupted, NodeRuntime],
        &[Words("error reading from server"), Words("transport is closing")],
    ),
    row(&[NodeRuntime], &[Words("dial unix"), Words("connect to the docker daemon")]),
    row(
        &[ProxyFailure],
        &[
            Words("proxyconnect"),
            Words("proxy authentication required"),
            Words("proxy error"),
            Words("proxy connect"),
            Words("socks connect"),
            Words("error connecting to proxy"),
            Words("unable to connect to proxy"),
            Words("invalid proxy"),
            Status(407, 407),
        ],
    ),
    row(
        &[TlsExpired],
        &[
            Words("certificate has expired"),
            Words("certificate is expired"),
            Words("expired certificate"),
            Words("not yet valid"),
        ],
    ),
    row(
        &[TlsUntrusted, TlsHandshake],
        &[
            Words("x509: certificate is valid for"),
            Words("x509: certificate is not valid for any names"),
            Words("x509: cannot validate certificate for"),
            Words("doesn't contain any ip sans"),
        ],
    ),
    row(
        &[TlsUntrusted],
        &[
            Words("x509:"),
            Words("unknown authority"),
            Words("certificate is not trusted"),
            Words("certificate verify failed"),
            Words("failed to verify certificate"),
            Words("self signed certificate"),
            Words("self-signed certificate"),
        ],
    ),
    row(
        &[SchemeMismatch],
        &[
            Words("http response to https client"),
            Words("http request to an https server"),
            Words("http request was sent to https port"),
            Words("does not look like a tls handshake"),
            Words("oversized record received"),
            Words("malformed http response \"\\x15"),
            Words("malformed http response*\\x03"),
            Words("malformed http status code*\\x"),
        ],
    ),
    row(&[BadAnswer], &[Words("malformed http")]),
    row(&[TlsHandshake, Timeout], &[Words("tls handshake timeout")]),
    row(
        &[TlsHandshake],
        &[
            Words("remote error: tls"),
            Words("tls: "),
            Words("handshake failure"),
            Words("ssl handshake"),
            Words("tls handshake"),
            Words("bad certificate"),
        ],
    ),
    row(
        &[DnsFailure],
        &[
            Words("no such host"),
            Words("dial tcp: lookup "),
            Words("name resolution"),
            Words("name or service not known"),
            Words("server misbehaving"),
            Words("could not resolve host"),
            Words("couldn't resolve host"),
            Words("failed to resolve host"),
            Words("no address associated with hostname"),
            Words("getaddrinfo"),
            Words("lookup *: i/o timeout"),
            Words("nxdomain"),
            Words("servfail"),
        ],
    ),
    row(
        &[ConnectionRefused],
        &[
            Words("connection refused"),
            Words("actively refused"),
            Words("econnrefused"),
            Words("registryunavailable"),
            Words("because the registry is unavailable"),
        ],
    ),
    row(
        &[Unreachable],
        &[
            Words("no route to host"),
            Words("network is unreachable"),
            Words("network unreachable"),
            Words("unreachable network"),
            Words("unreachable host"),
            Words("host is unreachable"),
            Words("host is down"),
            Words("cannot assign requested address"),
            Words("connection reset"),
            Words("forcibly closed"),
            Words("broken pipe"),
            Words("closed network connection"),
            Words("connection abort"),
            Words("connect: permission denied"),
            Words("connect: operation not permitted"),
            Words("connect: invalid argument"),
            Words("an attempt was made to access a socket"),
            Words("connection broken"),
            Words("server closed idle connection"),
            Words("could not reach any registry endpoint"),
            Words("server sent goaway"),
            Words("http2: client connection lost"),
            Words("stream error: stream id"),
        ],
    ),
    row(
        &[Timeout],
        &[
            Words("i/o timeout"),
            Words("client.timeout"),
            Words("timeout exceeded"),
            Words("canceled while waiting for connection"),
            Words("awaiting headers"),
            Words("awaiting response headers"),
            Words("connection timed out"),
            Words("operation timed out"),
            Words("request timed out"),
            Words("did not properly respond after a period of time"),
            Words("timed out"),
            Words("time out"),
            Status(408, 408),
        ],
    ),
];

pub(super) const SERVER_ERROR: &[Row] = &[
    row(
        &[RegistryError],
        &[
            Status(500, 599),
            Words("internal server error"),
            Words("bad gateway"),
            Words("service unavailable"),
            Words("service temporarily unavailable"),
            Words("gateway time-out"),
            Words("gateway timeout"),
            Words("unknown: internal error"),
        ],
    ),
    row(&[RegistryError, BlockedByRegistry], &[Status(402, 402)]),
    row(&[UnsupportedManifest], &[Status(406, 406), Status(415, 415)]),
    // The connection was there and was closed before an answer.
    row(&[RegistryError, Unreachable], &[Ends("_\": eof"), Ends("_: eof")]),
    row(&[CorruptImage, Unreachable], &[Words("unexpected eof"), Ends(": eof")]),
];
