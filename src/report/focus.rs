//! Which part of an image a result is about, so that the caret stands under the tag that is missing
//! and not under the whole name.

use std::ops::Range;

use super::Result;
use crate::diagnosis::{Cause, Outcome, Reason};
use crate::image::usage::Place;
use crate::image::{ImageUse, Reference};

/// The bytes of the source to be marked for a result's first place.
pub fn span(result: &Result, place: &Place) -> Range<usize> {
    let whole = place.span.clone();
    let Some(found) = result.uses.first() else { return whole };
    // Escapes and folded lines make the text differ from its source: then all of it is marked.
    if place.source.text.get(whole.clone()) != Some(found.text.as_str()) {
        return whole;
    }
    match part(result, found) {
        Some(part) => whole.start + part.start..whole.start + part.end,
        None => whole,
    }
}

fn part(result: &Result, found: &ImageUse) -> Option<Range<usize>> {
    let text = found.text.as_str();
    let cause = match result.diagnosis.outcome {
        Outcome::Finding { cause, .. } => cause,
        Outcome::Inconclusive { reason: Reason::Seen(cause) } => cause,
        Outcome::Inconclusive { .. } | Outcome::Pullable => return None,
    };
    let reference = match &found.reference {
        Ok(reference) => reference,
        Err(error) => {
            let at = error.position(text)?;
            let rest = text.get(at..)?.chars().next()?;
            return Some(at..at + rest.len_utf8());
        }
    };
    match cause {
        Cause::TagNotFound => tag(text, reference),
        Cause::DigestNotFound => text.find('@').map(|at| at + 1..text.len()),
        Cause::RepositoryNotFound => {
            let start = host(text, reference).map_or(0, |host| host.end + 1);
            let end = tag(text, reference).map_or(text.len(), |tag| tag.start - 1);
            (start < end).then_some(start..end)
        }
        Cause::CredentialsMissing
        | Cause::CredentialsRejected
        | Cause::SecretRegistryMismatch
        | Cause::DnsFailure
        | Cause::ConnectionRefused
        | Cause::Unreachable
        | Cause::Timeout
        | Cause::TlsUntrusted
        | Cause::TlsExpired
        | Cause::TlsHandshake
        | Cause::SchemeMismatch => host(text, reference),
        _ => None,
    }
}

fn tag(text: &str, reference: &Reference) -> Option<Range<usize>> {
    let tag = reference.tag()?;
    let name = text.split('@').next()?;
    name.ends_with(tag).then(|| name.len() - tag.len()..name.len())
}

fn host(text: &str, reference: &Reference) -> Option<Range<usize>> {
    let registry = reference.registry();
    let is_written = text.strip_prefix(registry).is_some_and(|rest| rest.starts_with('/'));
    (is_written && !registry.is_empty()).then_some(0..registry.len())
}
