//! One collection, watched: listed in pages, kept up to date, and listed again when the watch can
//! not go on (410 Gone). Each object is converted as it comes, so that no more than its view is
//! kept. Runs until it is dropped.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

/// First and longest pause after a failure: an API server that is back is noticed soon.
const SHORT: Duration = Duration::from_millis(250);
const LONG: Duration = Duration::from_secs(3);
/// Longest wait for a page of a list.
const LISTING: Duration = Duration::from_secs(30);
const PAGE: u32 = 500;

/// What is told to the one who keeps the state.
pub(super) enum News<'a, V> {
    /// All there is, by name.
    Now(&'a BTreeMap<String, V>),
    /// Something came, and nothing of it counts.
    Unchanged,
    /// The collection can not be read for now; what was known stays.
    Failed(Failure),
}

/// Why a collection can not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The kind is not installed.
    NoSuchKind,
    Forbidden,
    Other,
}

/// Follows a collection and tells the news, in order.
pub(super) async fn follow<K, V>(
    api: Api<K>,
    convert: impl Fn(K) -> V,
    mut tell: impl FnMut(News<'_, V>),
) where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
    V: PartialEq,
{
    let config = watcher::Config::default().page_size(PAGE);
    let (mut known, mut listed) = (BTreeMap::new(), BTreeMap::new());
    let mut pause = SHORT;
    loop {
        let mut events = pin!(watcher(api.clone(), config.clone()));
        let mut listing = true;
        loop {
            let next = if listing {
                let Ok(next) = tokio::time::timeout(LISTING, events.next()).await else { break };
                next
            } else {
                // A watch that has gone silent is ended by the watcher itself.
                events.next().await
            };
            match next {
                None => break,
                Some(Ok(Event::Init)) => {
                    listing = true;
                    listed.clear();
                }
                Some(Ok(Event::InitApply(object))) => {
                    listed.insert(object.name_any(), convert(object));
                }
                Some(Ok(Event::InitDone)) => {
                    listing = false;
                    known = std::mem::take(&mut listed);
                    tell(News::Now(&known));
                }
                Some(Ok(Event::Apply(object))) => {
                    pause = SHORT;
                    let (name, view) = (object.name_any(), convert(object));
                    // Most events of a Node are heartbeats.
                    if known.get(&name) != Some(&view) {
                        known.insert(name, view);
                        tell(News::Now(&known));
                    } else {
                        tell(News::Unchanged);
                    }
                }
                Some(Ok(Event::Delete(object))) => {
                    pause = SHORT;
                    if known.remove(&object.name_any()).is_some() {
                        tell(News::Now(&known));
                    }
                }
                Some(Err(error)) => {
                    tell(News::Failed(failure(&error)));
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONG);
                    // The watcher would ask for the same version for ever.
                    if is_too_old(&error) {
                        break;
                    }
                }
            }
        }
        tell(News::Failed(Failure::Other));
        tokio::time::sleep(SHORT).await;
    }
}

/// A watch refused before it began, as some servers do; most send 410 over the watch.
fn is_too_old(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 410)
}

fn failure(error: &watcher::Error) -> Failure {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => status,
        _ => return Failure::Other,
    };
    match status.code {
        404 => Failure::NoSuchKind,
        403 => Failure::Forbidden,
        _ => Failure::Other,
    }
}
