//! A question to an answer: the Pod's credentials in the kubelet's order until one finds the image,
//! then, where they were refused, the logins of the person who asks; after a 404 the repository's
//! tags; and, when platforms are wanted, as much of the content as their choice needs.

mod kept;
mod mirrors;
mod own;

pub use own::another_login_may_help;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::body;
use super::cache::{Content as Cached, ContentKey, Facts, ManifestKey, Part, RepositoryKey};
use super::client::Client;
use super::content::{self, ACCEPT, Listed, Manifest};
use super::disk::Disk;
use super::guard::Guard;
use super::host::Host;
use super::identity::{Identities, Identity};
use super::mask::Mask;
use super::token::Tokens;
use super::transport::{Response, Transport, bad_answer};
use crate::credential::Candidate;
use crate::diagnosis::Question;
use crate::diagnosis::cause::Reason;
use crate::diagnosis::evidence::{
    Answer, Answerer, Attempt, Contents, Found, Login, Reply, Repository, Trouble, Whose,
};
use crate::image::media_type::{Kind, kind};
use crate::image::platform::{Agreement, Content, agreed};
use crate::image::reference::Target;
use crate::image::{Digest, Platform, Reference};
use crate::settings::{Limits, Settings};
use mirrors::{Way, lacks_login, withheld};

/// All registries, as one process asks them.
pub struct Registry {
    transport: Transport,
    tokens: Tokens,
    facts: Facts,
    /// Facts of earlier runs, where the settings name a cache.
    disk: Option<Arc<Disk>>,
    keeps_loopback: bool,
    /// Why the cache that the settings name is not used.
    no_disk: Option<String>,
    identities: Identities,
    pub(super) limits: Limits,
    settings: crate::settings::Registries,
    hosts: Mutex<HashMap<String, Option<Arc<Host>>>>,
    ways: Mutex<HashMap<String, Way>>,
}

/// Where a reference is asked, and by whom.
pub(super) struct Place<'a> {
    pub host: &'a Host,
    /// Asked before the host.
    pub mirrors: &'a [Arc<Host>],
    pub reference: &'a Reference,
    pub deadline: Instant,
    /// Hides the logins of the question.
    pub mask: Mask,
}

impl Registry {
    pub fn new(settings: &Settings, guard: Guard) -> Self {
        let limits = settings.limits.clone();
        let (disk, no_disk) = match settings.disk_cache.as_ref().map(Disk::open) {
            None => (None, None),
            Some(Ok(disk)) => (Some(Arc::new(disk)), None),
            Some(Err(reason)) => (None, Some(reason)),
        };
        let shared = disk.as_ref().map(|disk| Identities::with_key(disk.identity_key()));
        Self {
            transport: Transport::new(guard, limits.clone(), settings.addresses.clone()),
            tokens: Tokens::new(),
            facts: Facts::new(limits.content_cache_bytes),
            identities: shared.unwrap_or_default(),
            disk,
            keeps_loopback: settings.disk_cache.as_ref().is_some_and(|cache| cache.loopback),
            no_disk,
            settings: settings.registries.clone(),
            limits,
            hosts: Mutex::default(),
            ways: Mutex::default(),
        }
    }

    /// HTTP requests sent so far, token requests included.
    pub fn requests(&self) -> u64 {
        self.transport.requests()
    }

    /// Who a credential is, for telling equal questions; never the secret.
    pub fn identity(&self, candidate: &Candidate) -> Identity {
        self.identities.of(&candidate.credential)
    }

    /// Asks one question; ends within the limit for a question.
    pub async fn ask(&self, question: &Question) -> Answer {
        let deadline = Instant::now() + self.limits.question;
        let Some(way) = self.way(&question.reference) else {
            return unusable_host(&question.reference);
        };
        let place = way.place(question, deadline);
        let mut answer = Answer::default();
        let anonymous = [None];
        let pods: Vec<Option<&Candidate>> = question.candidates.iter().map(Some).collect();
        let mut let_in = None;
        for candidate in if pods.is_empty() { &anonymous[..] } else { &pods } {
            if let Some(host) = self.attempt(&place, *candidate, Whose::Pod, &mut answer).await {
                let_in = Some((*candidate, host));
                break;
            }
        }
        if let_in.is_none() {
            let_in = self.attempt_own(&place, question, &mut answer).await;
        }
        self.add_contents(&place, question, let_in, &mut answer).await;
        answer
    }

    /// Makes one attempt and adds it; the host that found the image.
    async fn attempt<'p>(
        &self,
        place: &Place<'p>,
        candidate: Option<&Candidate>,
        whose: Whose,
        answer: &mut Answer,
    ) -> Option<&'p Host> {
        let mut mirrors = Vec::new();
        for mirror in place.mirrors {
            // Without a login it would only say again what it said to the first attempt.
            if !answer.attempts.is_empty() && !mirror.takes_logins {
                continue;
            }
            let tried = self.ask_mirror(place, mirror, candidate).await;
            if matches!(tried.reply, Reply::Found(_)) {
                let (login, reply) = (tried.login, tried.reply);
                let (by, repository) = (Answerer::Mirror, Repository::Unknown);
                answer.attempts.push(Attempt { login, whose, reply, repository, by, mirrors });
                return Some(mirror);
            }
            mirrors.push(tried);
        }
        let has_login = sender(candidate).is_some();
        let candidate = candidate.filter(|_| place.host.takes_logins);
        let sender = sender(candidate);
        let mut reply = self.manifest(place, sender).await.as_ref().clone();
        let mut repository = Repository::Unknown;
        if let Reply::Refused(refusal) = &reply
            && refusal.status == 404
        {
            match self.repository(place, sender).await.as_ref() {
                Ok(Repository::Unknown) if sender.is_some() && refusal.codes.is_empty() => {
                    self.reread(place, sender, &mut reply).await;
                }
                Ok(known) => repository = known.clone(),
                Err(trouble) => reply = Reply::Trouble(trouble.clone()),
            }
        }
        if let Reply::Refused(refusal) = &reply
            && repository == Repository::Unknown
            && lacks_login(place.host, refusal, has_login)
        {
            reply = Reply::Trouble(withheld(place.host, refusal));
        }
        let login = candidate.map(Login::of);
        let found = matches!(reply, Reply::Found(_));
        let by = Answerer::Origin;
        answer.attempts.push(Attempt { login, whose, reply, repository, by, mirrors });
        found.then_some(place.host)
    }

    /// Reads the codes of a 404 that came to a HEAD, which has no body, where the tags are not told.
    async fn reread(&self, place: &Place<'_>, sender: Option<&Candidate>, reply: &mut Reply) {
        let Reply::Refused(refusal) = reply else { return };
        let target = match place.reference.target() {
            Target::Tag(tag) => tag.to_owned(),
            Target::Digest(digest) => digest.to_string(),
        };
        let client = self.client(place, sender);
        let path = format!("v2/{}/manifests/{target}", client.repository);
        let sent = client.get(&path, ACCEPT, self.limits.manifest_bytes).await;
        if let Ok(response) = sent
            && response.status == refusal.status
        {
            let (codes, _) = body::error(&response, self.limits.error_bytes, client.mask);
            let is_code =
                |code: &String| code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
            refusal.codes = codes.into_iter().filter(is_code).collect();
        }
    }

    async fn manifest(&self, place: &Place<'_>, sender: Option<&Candidate>) -> Arc<Reply> {
        let (target, digest) = match place.reference.target() {
            Target::Tag(tag) => (tag.to_owned(), None),
            Target::Digest(digest) => (digest.to_string(), Some(digest)),
        };
        let key = ManifestKey {
            registry: place.host.key.clone(),
            repository: place.reference.endpoint_repository().to_owned(),
            target,
            identity: sender.map(|candidate| self.identity(candidate)),
        };
        let ask = async { Arc::new(self.kept_or_asked(place, sender, &key, digest).await) };
        self.facts.manifests.get_with_by_ref(&key, ask).await
    }

    /// What is known of the repository after a 404: one bounded listing of its tags.
    async fn repository(
        &self,
        place: &Place<'_>,
        sender: Option<&Candidate>,
    ) -> Arc<Result<Repository, Trouble>> {
        let key = RepositoryKey {
            registry: place.host.key.clone(),
            repository: place.reference.endpoint_repository().to_owned(),
            identity: sender.map(|candidate| self.identity(candidate)),
        };
        let ask = async {
            let listed = self.client(place, sender).tags().await;
            Arc::new(self.read_tags(place.host, listed, &place.mask))
        };
        self.facts.repositories.get_with_by_ref(&key, ask).await
    }

    fn read_tags(
        &self,
        host: &Host,
        listed: Result<Response, Trouble>,
        mask: &Mask,
    ) -> Result<Repository, Trouble> {
        let response = match listed {
            Ok(response) => response,
            // A listing too long to read proves the repository all the same.
            Err(trouble) if trouble.reason == Reason::TooLarge => {
                return Ok(Repository::Readable { tags: Vec::new() });
            }
            Err(_) => return Ok(Repository::Unknown),
        };
        match response.status {
            200 if response.is_html() => {
                Err(bad_answer(&response.host, 200, "a web page instead of a list of tags"))
            }
            200 => Ok(tag_names(&response.body).map_or(Repository::Unknown, |mut tags| {
                tags.retain(|tag| !mask.covers(tag));
                Repository::Readable { tags }
            })),
            404 if response.is_html() => {
                Err(bad_answer(&response.host, 404, "a web page instead of a registry's answer"))
            }
            404 => {
                let (codes, _) = body::error(&response, self.limits.error_bytes, mask);
                let unknown = codes.iter().any(|code| code == "NAME_UNKNOWN");
                Ok(if unknown {
                    Repository::NameUnknown { login_demanded: host.demands_login() }
                } else {
                    Repository::Unknown
                })
            }
            _ => Ok(Repository::Unknown),
        }
    }

    /// Adds the contents when platforms are wanted. `let_in`: who found the image (`None`: nobody in
    /// particular), and where; what a mirror fails to give is asked of the origin.
    async fn add_contents(
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
        let place = Place { host, mirrors: &[], mask: place.mask.clone(), ..*place };
        let candidate = candidate.filter(|_| host.takes_logins);
        let client = self.client(&place, sender(candidate));
        Reader { registry: self, place: &place, client }.read(found, question).await
    }

    pub(super) fn client<'a>(
        &'a self,
        place: &'a Place<'a>,
        sender: Option<&'a Candidate>,
    ) -> Client<'a> {
        Client {
            transport: &self.transport,
            tokens: &self.tokens,
            registries: &self.settings,
            limits: &self.limits,
            host: place.host,
            repository: place.reference.endpoint_repository(),
            login: sender.map(|candidate| (&candidate.credential, self.identity(candidate))),
            deadline: place.deadline,
            mask: &place.mask,
        }
    }

    pub(super) fn host(&self, reference: &Reference) -> Option<Arc<Host>> {
        let endpoint = reference.endpoint_host()?;
        let registry =
            if reference.registry().is_empty() { endpoint.as_str() } else { reference.registry() };
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = hosts.entry(registry.to_owned()).or_insert_with(|| {
            Host::new(registry, &endpoint, self.settings.host(registry), &self.limits).map(Arc::new)
        });
        host.clone()
    }
}

/// Hides all logins of a question.
fn mask(question: &Question) -> Mask {
    let logins = question.candidates.iter().chain(&question.own);
    Mask::new(logins.map(|candidate| &candidate.credential))
}

/// The candidate as far as it sends anything.
fn sender(candidate: Option<&Candidate>) -> Option<&Candidate> {
    candidate.filter(|candidate| !candidate.credential.sends_nothing())
}

/// A host that the runtime itself could not make a URL of.
fn unusable_host(reference: &Reference) -> Answer {
    Answer { attempts: vec![no_attempt(reference)], contents: None }
}

fn no_attempt(reference: &Reference) -> Attempt {
    let trouble = Trouble {
        reason: Reason::Seen(crate::diagnosis::Cause::DnsFailure),
        host: reference.registry().to_owned(),
        status: None,
        text: "the host is no usable address".to_owned(),
    };
    let reply = Reply::Trouble(trouble);
    let (by, repository) = (Answerer::Origin, Repository::Unknown);
    Attempt { login: None, whose: Whose::Pod, reply, repository, by, mirrors: Vec::new() }
}

/// At most this many tags are kept of a listing.
const MAX_TAGS: usize = 10_000;

/// The names in a tags/list body; `None` when it is none.
fn tag_names(body: &[u8]) -> Option<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Tags {
        #[serde(default)]
        tags: Option<Vec<String>>,
    }
    let tags: Tags = serde_json::from_slice(body).ok()?;
    let usable = |tag: &String| tag.len() <= 128 && tag.bytes().all(|byte| byte.is_ascii_graphic());
    Some(tags.tags.unwrap_or_default().into_iter().filter(usable).take(MAX_TAGS).collect())
}

/// Reads content by digest for one image.
struct Reader<'a> {
    registry: &'a Registry,
    place: &'a Place<'a>,
    client: Client<'a>,
}

/// Why content was not read: no answer, or bytes that are no image.
#[derive(Clone)]
enum Unread {
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
                read.map(Arc::new).map_err(|unread| Failed { asker: asker.clone(), unread })
            };
            match self.registry.facts.contents.try_get_with_by_ref(&key, reading).await {
                Ok(content) => return Ok(content),
                Err(failed) if failed.asker == asker => return Err(failed.unread.clone()),
                // Another registry, or another login, failed to give it.
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
        use crate::diagnosis::Cause;
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
        crate::text::clean(&self.client.mask.hide(media_type), 120)
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
