//! Between memory and the network: what an earlier run kept on disk is looked at first, and what the
//! registry gives is kept. An entry is read in place, since waiting for a thread would let questions
//! overtake each other; it is written where that holds up no other question.

use std::time::Duration;

use super::reader::Unread;
use super::{Place, Registry};
use crate::credential::Candidate;
use crate::diagnosis::evidence::Reply;
use crate::image::Digest;
use crate::registry::cache::{Content as Cached, ContentKey, ManifestKey};
use crate::registry::disk::Disk;
use crate::registry::mask::Mask;

impl Registry {
    /// Ends a run: tidies the cache on disk, and tells what was wrong with it.
    pub fn settle(&self) -> Option<String> {
        self.no_disk.clone().or_else(|| self.disk.as_ref()?.settle())
    }

    /// What an earlier run was told of a tag or digest and how long ago, or what the registry
    /// answers now.
    pub(super) async fn kept_or_asked(
        &self,
        place: &Place<'_>,
        sender: Option<&Candidate>,
        key: &ManifestKey,
        digest: Option<&Digest>,
    ) -> (Reply, Option<Duration>) {
        let how = &place.host.settings;
        let is_kept = self.keeps_loopback || !place.host.is_loopback();
        let disk = self.disk.as_ref().filter(|_| is_kept);
        let disk = disk.filter(|_| !place.fresh);
        if let Some((found, age)) = disk.and_then(|disk| disk.present(key, how)) {
            return (Reply::Found(found), Some(age));
        }
        if let Some(trouble) = place.refused() {
            return (Reply::Trouble(trouble), None);
        }
        let reply = self.client(place, sender).manifest(&key.target, digest).await;
        if !is_kept {
            return (reply, None);
        }
        let (asked, how) = (key.clone(), how.clone());
        match &reply {
            Reply::Found(found) if !place.mask.covers(&found.host) => {
                let found = found.clone();
                self.keep(move |disk| disk.keep_present(&asked, &how, &found)).await;
            }
            Reply::Refused(_) => self.keep(move |disk| disk.forget_present(&asked, &how)).await,
            Reply::Found(_) | Reply::Trouble(_) => {}
        }
        (reply, None)
    }

    /// What an earlier run read of a digest, or what is read of it now.
    pub(super) async fn kept_or_read(
        &self,
        key: &ContentKey,
        mask: &Mask,
        read: impl Future<Output = Result<Cached, Unread>>,
    ) -> Result<Cached, Unread> {
        if let Some(content) = self.disk.as_ref().and_then(|disk| disk.content(key)) {
            return Ok(content);
        }
        let content = read.await?;
        let (asked, mask, kept) = (key.clone(), mask.clone(), content.clone());
        let is_secret = move |text: &str| mask.covers(text);
        self.keep(move |disk| disk.keep_content(&asked, &kept, is_secret)).await;
        Ok(content)
    }

    /// Changes the cache on disk, where there is one.
    async fn keep(&self, act: impl FnOnce(&Disk) + Send + 'static) {
        if let Some(disk) = self.disk.clone() {
            // A write that broke off leaves the cache without the entry.
            let _ = tokio::task::spawn_blocking(move || act(&disk)).await;
        }
    }
}
