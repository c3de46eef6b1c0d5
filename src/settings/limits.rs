//! Numbers that bound what a registry or a credential helper may cost: deadlines, sizes, requests in
//! flight.

use std::time::Duration;

/// Bounds of the registry client and of credential helpers. The defaults are those of the command line.
#[derive(Debug, Clone)]
pub struct Limits {
    /// TCP connect and TLS handshake.
    pub connect: Duration,
    /// From the request to the last header of its answer.
    pub headers: Duration,
    /// Everything one question may take.
    pub question: Duration,
    /// Tries after a connection that failed or broke.
    pub connection_retries: u32,
    /// Bytes of a manifest or index: 4 * 1048 * 1048, containerd's own limit.
    pub manifest_bytes: usize,
    pub config_bytes: usize,
    pub token_bytes: usize,
    pub error_bytes: usize,
    pub tag_list_bytes: usize,
    /// One header value that is read.
    pub header_bytes: usize,
    pub index_entries: usize,
    pub index_nesting: usize,
    pub redirects: usize,
    /// Requests in flight to one host, unless its settings say otherwise.
    pub in_flight_host: usize,
    pub in_flight: usize,
    /// Bounds of the pause after a 429: what it asks for is clamped to them.
    pub pause_shortest: Duration,
    pub pause_longest: Duration,
    /// The longest pause after a 429 that does not say how long.
    pub backoff_longest: Duration,
    /// A question waits for the end of a pause that is at most this long, else it is not asked.
    pub pause_waited: Duration,
    /// How long what a tag or digest names counts, in memory.
    pub present: Duration,
    /// How old it may be where the registry is out of order.
    pub stale: Duration,
    pub absent: Duration,
    pub denied: Duration,
    /// How long a host that gave no usable answer is not asked again: the first time, and at most,
    /// as it doubles with every time in a row.
    pub unreachable: Duration,
    pub unreachable_longest: Duration,
    /// So many failures of a host in a row, within this time, open its breaker.
    pub breaker_failures: u32,
    pub breaker_window: Duration,
    /// How often a host behind an open breaker is tried.
    pub breaker_try: Duration,
    /// Bytes of parsed content kept in memory.
    pub content_cache_bytes: u64,
    /// One run of a credential helper.
    pub helper: Duration,
    /// Bytes of a credential helper's answer.
    pub helper_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            headers: Duration::from_secs(15),
            question: Duration::from_secs(30),
            connection_retries: 1,
            manifest_bytes: 4 * 1048 * 1048,
            config_bytes: 4 << 20,
            token_bytes: 256 << 10,
            error_bytes: 64 << 10,
            tag_list_bytes: 1 << 20,
            header_bytes: 16 << 10,
            index_entries: 512,
            index_nesting: 2,
            redirects: 5,
            in_flight_host: 16,
            in_flight: 256,
            pause_shortest: Duration::from_secs(1),
            pause_longest: Duration::from_secs(15 * 60),
            backoff_longest: Duration::from_secs(60),
            pause_waited: Duration::from_secs(5),
            present: Duration::from_secs(60),
            stale: Duration::from_secs(3600),
            absent: Duration::from_secs(15),
            denied: Duration::from_secs(30),
            unreachable: Duration::from_secs(5),
            unreachable_longest: Duration::from_secs(60),
            breaker_failures: 5,
            breaker_window: Duration::from_secs(10),
            breaker_try: Duration::from_secs(10),
            content_cache_bytes: 48 << 20,
            helper: Duration::from_secs(10),
            helper_bytes: 64 << 10,
        }
    }
}

impl Limits {
    /// Those of the admission webhook: an API server waits for the answer, so nothing is waited for
    /// that the next review may find done.
    pub fn webhook() -> Self {
        Self {
            connect: Duration::from_secs(1),
            headers: Duration::from_secs(2),
            // A review gives each question what is left of its own time; this is the most.
            question: Duration::from_millis(4600),
            pause_waited: Duration::ZERO,
            ..Self::default()
        }
    }
}
