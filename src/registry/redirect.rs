//! Where a redirect leads, and which redirects are not followed.

use reqwest::header;
use url::Url;

use super::transport::{authority, bad_answer};
use crate::diagnosis::evidence::Trouble;

/// The URL of a redirect, joined to where it came from; what leads out of http, down to plain http or
/// carries a login is refused.
pub(super) fn redirect_target(
    response: &reqwest::Response,
    from: &Url,
    cap: usize,
) -> Result<Url, Trouble> {
    let (host, status) = (authority(from), response.status().as_u16());
    let location = response.headers().get(header::LOCATION).filter(|value| value.len() <= cap);
    let Some(location) = location.and_then(|value| value.to_str().ok()) else {
        return Err(bad_answer(&host, status, "a redirect without a usable target"));
    };
    let next = from
        .join(location)
        .map_err(|_| bad_answer(&host, status, "a redirect to an unusable address"))?;
    if !matches!(next.scheme(), "http" | "https") || next.host().is_none() {
        return Err(bad_answer(&host, status, "a redirect that leaves http"));
    }
    if from.scheme() == "https" && next.scheme() == "http" {
        return Err(bad_answer(&host, status, "a redirect from https to plain http"));
    }
    if !next.username().is_empty() || next.password().is_some() {
        return Err(bad_answer(&host, status, "a redirect with a login in its address"));
    }
    Ok(next)
}
