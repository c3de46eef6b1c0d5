//! The content behind a digest, as far as the choice of the wanted platforms needs it: manifests,
//! nested indexes, configs, each read once for all who ask.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Place, Registry, sender};
use crate::credential::Candidate;
use crate::diagnosis::Question;
use crate::diagnosis::cause::{Cause, Reason};
use crate::diagnosis::evidence::{Answer, Contents, Found, Trouble};
use crate::image::media_type::{Kind, kind};
use crate::image::platform::{Agreement, Content, agreed};
use crate::image::{Digest, Platform};
use crate::registry::body;
use crate::registry::cache::{Content as Cached, ContentKey, Part, cut_at, has_more_time};
use crate::registry::client::Client;
use crate::registry::content::{self, ACCEPT, Listed, Manifest};
use crate::registry::host::Host;
use crate::registry::identity::Identity;
use crate::registry::transport::{Response, bad_answer};
use crate::registry::urls;

impl Registry {
    /// Adds the contents when platforms are wanted. `let_in`: who found the image (`None`: nobody in
    /// particular), and where; what a mirror fails to give is asked of the origin.
    pub(super) async fn add_contents(
        &self,
        place: &Place<'_>,
        question: &Question,
        let_in: Option<(Option<&Candidate>, &Host)>,
        answer: &mut Answer,
    ) {
        if !question.platforms.is_empty()
            && let (Some((candidate, host)), Some((_, found))) = (let_in, answer.found())
        {
            let mut read = self.contents(place, host, question, candidate, found).await;
            if read.is_err() && host.key != place.host.key {
                read = self.contents(place, place.host, question, candidate, found).await;
            }
            answer.contents = Some(read);
        }
    }

    /// Reads what the wanted platforms need: the manifest, nested indexes, configs.
    async fn contents(
        &self,
        place: &Place<'_>,
        host: &Host,
        question: &Question,
        candidate: Option<&Candidate>,
        found: &Found,
    ) -> Result<Contents, Trouble> {
        let place = Place { host, mirrors: &[], ..*place };
        let candidate = candidate.filter(|_| host.takes_logins);
        let client = self.client(&place, sender(candidate));
        Reader { registry: self, place: &place, client }.read(found, question).await
    }
}

/// Reads content by digest for one image.
struct Reader<'a> {
    registry: &'a Registry,
    place: &'a Place<'a>,
    client: Client<'a>,
}

/// Why content was not read: no answer, or bytes that are no image.
#[derive(Clone)]
pub(super) enum Unread {
    Trouble(Trouble),
    Contents(Contents),
}

/// Who failed to read content; nobody else is told of it.
#[derive(Clone, PartialEq)]
struct Asker {
    registry: String,
    repository: String,
    identity: Option<Identity>,
}

struct Failed {
    asker: Asker,
    unread: Unread,
    /// The deadline that cut the reading short.
    cut: Option<Instant>,
}

impl Failed {
    fn new(asker: Asker, unread: Unread, deadline: Instant) -> Self {
        let cut = match &unread {
            Unread::Trouble(trouble) => cut_at(trouble, deadline),
            Unread::Contents(_) => None,
        };
        Self { asker, unread, cut }
    }
}

impl Reader<'_> {
    async fn read(&self, found: &Found, question: &Question) -> Result<Contents, Trouble> {
        match self.read_image(found, question).await {
            Ok(content) => Ok(Contents::Image(content)),
            Err(Unread::Contents(contents)) => Ok(contents),
            Err(Unread::Trouble(trouble)) => Err(trouble),
        }
    }

    async fn read_image(&self, found: &Found, question: &Question) -> Result<Content, Unread> {
        match self.manifest(&found.digest).await? {
            Manifest::Image { config } => {
                Ok(Content::Manifest { config: Some(self.config(&config.digest).await?) })
            }
            Manifest::Artifact { config_type } => Err(Unread::Contents(Contents::Unsupported {
                what: format!("an artifact ({}), not a container image", self.shown(&config_type)),
                pulls: true,
            })),
            Manifest::Index(listed) => self.index(listed, question).await,
        }
    }

    /// Fills in of an index what the wanted platforms' choice needs, and nothing else.
    async fn index(&self, listed: Vec<Listed>, question: &Question) -> Result<Content, Unread> {
        let mut tree = Tree {
            content: Content::Index(listed.iter().map(Listed::entry).collect()),
            lists: HashMap::from([(Vec::new(), listed)]),
        };
        for platform in &question.platforms {
            loop {
                match agreed(&question.runtimes, platform, &tree.content) {
                    Agreement::NeedsConfig(path) => {
                        let digest = tree
                            .digest(&path)
                            .ok_or_else(|| self.bad("an index that cannot be followed"))?;
                        let config = match self.manifest(&digest).await? {
                            Manifest::Image { config } => Some(self.config(&config.digest).await?),
                            Manifest::Artifact { .. } => Some(Platform::default()),
                            Manifest::Index(_) => {
                                return Err(self.bad("an index where a manifest was announced"));
                            }
                        };
                        tree.set(&path, Content::Manifest { config });
                    }
                    Agreement::NeedsIndex(path) => {
                        if path.len() >= self.registry.limits.index_nesting {
                            return Err(self.too_deep());
                        }
                        let digest = tree
                            .digest(&path)
                            .ok_or_else(|| self.bad("an index that cannot be followed"))?;
                        let Manifest::Index(inner) = self.manifest(&digest).await? else {
                            return Err(self.bad("a manifest where an index was announced"));
                        };
                        tree.set(&path, Content::Index(inner.iter().map(Listed::entry).collect()));
                        tree.lists.insert(path, inner);
                    }
                    Agreement::All | Agreement::None | Agreement::Differ => break,
                }
            }
        }
        Ok(tree.content)
    }

    async fn manifest(&self, digest: &Digest) -> Result<Manifest, Unread> {
        match self.content(Part::Manifest, digest).await?.as_ref() {
            Cached::Manifest(manifest) => Ok(manifest.clone()),
            Cached::Config(_) => Err(self.bad("a config where a manifest was announced")),
        }
    }

    async fn config(&self, digest: &Digest) -> Result<Platform, Unread> {
        match self.content(Part::Config, digest).await?.as_ref() {
            Cached::Config(platform) => Ok(platform.clone()),
            Cached::Manifest(_) => Err(self.bad("a manifest where a config was announced")),
        }
    }

    /// Content from memory, or read once for all who ask at the same time.
    async fn content(&self, part: Part, digest: &Digest) -> Result<Arc<Cached>, Unread> {
        let asker = Asker {
            registry: self.client.host.key.clone(),
            repository: self.client.repository.to_owned(),
            identity: self.client.login.map(|(_, identity)| identity),
        };
        let key = ContentKey { part, digest: digest.clone() };
        loop {
            let reading = async {
                let read = self.fetch(part, digest);
                let read = self.registry.kept_or_read(&key, self.client.mask, read).await;
                let deadline = self.place.deadline;
                read.map(Arc::new).map_err(|unread| Failed::new(asker.clone(), unread, deadline))
            };
            match self.registry.facts.contents.try_get_with_by_ref(&key, reading).await {
                Ok(content) => return Ok(content),
                Err(failed)
                    if failed.asker == asker && !has_more_time(self.place.deadline, failed.cut) =>
                {
                    return Err(failed.unread.clone());
                }
                // Another registry, or another login, failed to give it, or in less time.
                Err(_) => {}
            }
        }
    }

    async fn fetch(&self, part: Part, digest: &Digest) -> Result<Cached, Unread> {
        match part {
            Part::Manifest => self.fetch_manifest(digest).await.map(Cached::Manifest),
            Part::Config => self.fetch_config(digest).await.map(Cached::Config),
        }
    }

    async fn fetch_manifest(&self, digest: &Digest) -> Result<Manifest, Unread> {
        let path = format!("v2/{}/manifests/{digest}", self.client.repository);
        let response = self
            .client
            .get(&path, ACCEPT, self.registry.limits.manifest_bytes)
            .await
            .map_err(Unread::Trouble)?;
        let response = self.verified(response, digest, "manifest")?;
        let media_type =
            response.header("content-type", self.registry.limits.header_bytes).unwrap_or_default();
        let kind = kind(media_type);
        match kind {
            Kind::Manifest | Kind::Index => {}
            Kind::Schema1 => return Err(unsupported("a schema 1 manifest", false)),
            Kind::NoRegistry => return Err(self.bad("content without a manifest's type")),
            Kind::Unknown => {
                return Err(unsupported(
                    &format!("the media type {}", self.shown(media_type)),
                    false,
                ));
            }
        }
        content::parse(kind, &response.body, self.registry.limits.index_entries)
            .map_err(|text| self.bad(&text))
    }

    async fn fetch_config(&self, digest: &Digest) -> Result<Platform, Unread> {
        let path = format!("v2/{}/blobs/{digest}", self.client.repository);
        let response = self
            .client
            .get(&path, "*/*", self.registry.limits.config_bytes)
            .await
            .map_err(Unread::Trouble)?;
        let response = self.verified(response, digest, "config")?;
        content::parse_config(&response.body).map_err(|text| self.bad(&text))
    }

    /// Only a 200 whose bytes have the digest passes.
    fn verified(
        &self,
        response: Response,
        digest: &Digest,
        what: &str,
    ) -> Result<Response, Unread> {
        let trouble = |cause: Cause, text: String| {
            Unread::Trouble(Trouble {
                reason: Reason::Seen(cause),
                host: response.host.clone(),
                status: Some(response.status),
                text,
            })
        };
        match response.status {
            200 if content::has_digest(&response.body, digest) => Ok(response),
            200 => Err(Unread::Contents(Contents::Corrupt {
                what: format!("the {what}'s bytes do not have its digest {digest}"),
            })),
            404 => Err(Unread::Contents(Contents::Corrupt {
                what: format!("the {what} {digest} is missing in the registry"),
            })),
            429 => Err(trouble(Cause::RateLimited, body::rate_limit_text(&response))),
            500..=599 => {
                Err(trouble(Cause::RegistryError, format!("an error of its own for the {what}")))
            }
            _ => Err(trouble(Cause::BadAnswer, format!("no {what} although it was announced"))),
        }
    }

    /// A type as the registry names it, fit to be shown.
    fn shown(&self, media_type: &str) -> String {
        crate::text::clean(&urls::plain(&self.client.mask.hide(media_type)), 120)
    }

    fn bad(&self, text: &str) -> Unread {
        Unread::Trouble(bad_answer(&self.place.host.registry, 200, text))
    }

    fn too_deep(&self) -> Unread {
        let text = format!("indexes nested deeper than {}", self.registry.limits.index_nesting);
        Unread::Trouble(Trouble {
            reason: Reason::TooLarge,
            host: self.place.host.registry.clone(),
            status: Some(200),
            text,
        })
    }
}

fn unsupported(what: &str, pulls: bool) -> Unread {
    Unread::Contents(Contents::Unsupported { what: what.to_owned(), pulls })
}

/// An index tree on its way to being known, with the digests of its entries.
struct Tree {
    content: Content,
    lists: HashMap<Vec<usize>, Vec<Listed>>,
}

impl Tree {
    fn digest(&self, path: &[usize]) -> Option<Digest> {
        let (at, parent) = path.split_last()?;
        self.lists.get(parent)?.get(*at).map(|listed| listed.digest.clone())
    }

    fn set(&mut self, path: &[usize], content: Content) {
        let mut place = &mut self.content;
        for at in path {
            let Content::Index(entries) = place else { return };
            place = &mut entries[*at].content;
        }
        *place = content;
    }
}
