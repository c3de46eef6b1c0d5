//! Between memory and the network: what an earlier run kept on disk is looked at first, and what the
//! registry gives is kept. Files are read and written where they hold up no other question.

use std::sync::Arc;

use super::{Cached, Place, Registry, Unread};
use crate::credential::Candidate;
use crate::diagnosis::evidence::Reply;
use crate::image::Digest;
use crate::registry::cache::{ContentKey, ManifestKey};
use crate::registry::disk::Disk;
use crate::registry::mask::Mask;

impl Registry {
    /// Ends a run: tidies the cache on disk, and tells what was wrong with it.
    pub fn settle(&self) -> Option<String> {
        self.no_disk.clone().or_else(|| self.disk.as_ref()?.settle())
    }

    /// What an earlier run was told of a tag or digest, or what the registry answers now.
    pub(super) async fn kept_or_asked(
        &self,
        place: &Place<'_>,
        sender: Option<&Candidate>,
        key: &ManifestKey,
        digest: Option<&Digest>,
    ) -> Reply {
        let reached = &place.host.settings;
        let (asked, how) = (key.clone(), reached.clone());
        if let Some(found) = self.on_disk(move |disk| disk.present(&asked, &how)).await {
            return Reply::Found(found);
        }
        let reply = self.client(place, sender).manifest(&key.target, digest).await;
        let (asked, how) = (key.clone(), reached.clone());
        match &reply {
            Reply::Found(found) if !place.mask.covers(&found.host) => {
                let found = found.clone();
                let keep = move |disk: &Disk| disk.keep_present(&asked, &how, &found);
                self.on_disk(move |disk| Some(keep(disk))).await;
            }
            Reply::Refused(_) => {
                self.on_disk(move |disk| Some(disk.forget_present(&asked, &how))).await;
            }
            Reply::Found(_) | Reply::Trouble(_) => {}
        }
        reply
    }

    /// What an earlier run read of a digest, or what is read of it now.
    pub(super) async fn kept_or_read(
        &self,
        key: &ContentKey,
        mask: &Mask,
        read: &impl AsyncFn() -> Result<Cached, Unread>,
    ) -> Result<Cached, Unread> {
        let asked = key.clone();
        if let Some(content) = self.on_disk(move |disk| disk.content(&asked)).await {
            return Ok(content);
        }
        let content = read().await?;
        let (asked, mask, kept) = (key.clone(), mask.clone(), content.clone());
        let keep = move |disk: &Disk| disk.keep_content(&asked, &kept, |text| mask.covers(text));
        self.on_disk(move |disk| Some(keep(disk))).await;
        Ok(content)
    }

    /// Does something with the cache on disk where there is one.
    async fn on_disk<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Disk) -> Option<T> + Send + 'static,
    ) -> Option<T> {
        let disk = Arc::clone(self.disk.as_ref()?);
        tokio::task::spawn_blocking(move || act(&disk)).await.ok().flatten()
    }
}
