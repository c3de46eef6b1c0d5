//! The words of a diagnosis: what is the matter, and what to do now. Names as people write them,
//! outside text cleaned.

use super::Outcome;
use super::cause::{Cause, Certainty};
use super::evidence::{Answer, Attempt, By, Contents, Found, Reply, Repository, Whose};
use super::question::{Context, Question};
use super::{families, suggest};
use crate::credential::Source;
use crate::image::Platform;
use crate::image::platform::offered;
use crate::image::reference::Target;
use crate::text::{SHOWN, clean};

/// Everything the words are made from.
pub(super) struct Words<'a> {
    pub question: &'a Question,
    pub answer: &'a Answer,
    pub context: &'a Context,
}

impl Words<'_> {
    /// The image in normal form, as a runtime pulls it.
    pub fn image(&self) -> String {
        self.question.reference.pull_ref()
    }

    /// The registry as the image names it; the first part of the path where it names none.
    pub fn registry(&self) -> &str {
        match self.question.reference.registry() {
            "" => self.question.reference.repository().split('/').next().unwrap_or_default(),
            registry => registry,
        }
    }

    /// The repository as it is asked for.
    pub fn repository(&self) -> &str {
        self.question.reference.endpoint_repository()
    }

    fn name(&self) -> &str {
        self.question.reference.keyring_lookup()
    }

    fn target(&self) -> String {
        match self.question.reference.target() {
            Target::Tag(tag) => format!("\"{tag}\""),
            Target::Digest(digest) => digest.to_string(),
        }
    }

    fn asker(&self) -> &str {
        if self.own_counts() { "the request" } else { &self.context.asker }
    }

    /// Whether nodes may have a login of their own for the registry.
    pub fn nodes_may_log_in(&self) -> bool {
        let usual = || families::nodes_log_in(self.question.reference.registry());
        self.context.nodes_may_log_in.unwrap_or_else(usual)
    }

    /// Nobody but the person asks, so their own logins are what is judged.
    pub fn own_counts(&self) -> bool {
        self.context.asker.is_empty() || self.context.own_only
    }

    /// Whether the answer to this attempt is the answer to the question.
    pub fn counts(&self, attempt: &Attempt) -> bool {
        attempt.whose == Whose::Pod || self.own_counts()
    }

    /// Who refused, for messages: the registry, or the host that it redirects to.
    fn who(&self) -> String {
        let registry = self.registry();
        let endpoint = self.question.reference.endpoint_host();
        let elsewhere = self.answer.attempts.iter().filter(|it| self.counts(it)).find_map(|it| {
            let Reply::Refused(refusal) = &it.reply else { return None };
            let is_here = refusal.host == registry || Some(&refusal.host) == endpoint.as_ref();
            (refusal.by == By::Registry && !is_here).then_some(&refusal.host)
        });
        match elsewhere {
            Some(host) => format!("{}, where {registry} redirects to,", clean(host, 255)),
            None => registry.to_owned(),
        }
    }

    /// The logins that were sent and count, for messages.
    fn logins(&self) -> Option<String> {
        let mut sources: Vec<String> = Vec::new();
        for attempt in self.answer.attempts.iter().filter(|attempt| self.counts(attempt)) {
            sources.extend(attempt.sent_login().map(|login| login.source.to_string()));
        }
        sources.dedup();
        match sources.len() {
            0 => None,
            1 => Some(format!("the login of {}", sources[0])),
            _ => Some(format!("the logins of {}", sources.join(", "))),
        }
    }

    /// The same where a login was surely tried.
    fn login(&self) -> String {
        self.logins().unwrap_or_else(|| "the login".to_owned())
    }

    /// The registry's words of the last refusal that had any.
    fn refusal_text(&self) -> String {
        let said = self.answer.attempts.iter().rev().find_map(|attempt| match &attempt.reply {
            Reply::Refused(refusal) if !refusal.text.is_empty() => Some(&refusal.text),
            _ => None,
        });
        said.map(|text| format!(": {text}")).unwrap_or_default()
    }

    fn offered(&self) -> String {
        match &self.answer.contents {
            Some(Ok(Contents::Image(content))) => list(&offered(content)),
            _ => String::new(),
        }
    }

    fn unsupported(&self) -> String {
        match (&self.answer.contents, self.answer.found()) {
            (Some(Ok(Contents::Unsupported { what, .. } | Contents::Corrupt { what })), _) => {
                clean(what, SHOWN)
            }
            (_, Some((_, found))) => format!("of type {}", clean(&found.media_type, 120)),
            _ => "not an image".to_owned(),
        }
    }

    /// Whether every rule that blocks the image is about where the request came from.
    pub fn is_blocked_by_place(&self) -> bool {
        let repository = self.question.reference.endpoint_repository();
        let mut blocks = self.answer.attempts.iter().filter_map(|attempt| match &attempt.reply {
            Reply::Refused(refusal) if families::is_blocked(refusal, repository) => Some(refusal),
            _ => None,
        });
        blocks.all(|refusal| families::depends_on_place(refusal, repository))
    }

    /// Whether the tag is in the list of tags although its manifest was refused.
    fn is_listed(&self) -> bool {
        let Target::Tag(asked) = self.question.reference.target() else { return false };
        self.answer.attempts.iter().any(|attempt| {
            matches!(&attempt.repository, Repository::Readable { tags } if tags.iter().any(|tag| tag == asked))
        })
    }

    /// What is the matter, one sentence without a full stop.
    pub fn summary(&self, cause: Cause) -> String {
        let (registry, name, target, asker) =
            (self.registry(), self.name(), self.target(), self.asker());
        let who = self.who();
        let wanted = || list(&self.question.platforms);
        match cause {
            Cause::TagNotFound => format!("{name} has no tag {target}"),
            Cause::DigestNotFound => format!("{name} holds nothing with the digest {target}"),
            Cause::RepositoryNotFound => format!(
                "{registry} has no repository \"{}\"",
                self.question.reference.endpoint_repository()
            ),
            Cause::AbsentOrPrivate => match self.logins() {
                None => {
                    format!("{} is absent or private; {who} does not say which", self.image())
                }
                Some(logins) => format!(
                    "{} is absent, or {logins} may not see it; {who} does not say which",
                    self.image()
                ),
            },
            Cause::CredentialsMissing => {
                format!("{who} wants a login and {asker} brings none")
            }
            Cause::CredentialsRejected => {
                format!("{who} refuses {} as wrong or expired", self.login())
            }
            Cause::AccessDenied => format!("{} may not pull {name}", self.login()),
            Cause::Unauthorized => format!("{who} does not accept {}", self.login()),
            Cause::SecretRegistryMismatch => {
                let it = if who == registry { "it" } else { registry };
                format!("{who} wants a login and no pull secret of {asker} has an entry for {it}")
            }
            Cause::SecretMissing => {
                let missing = &self.context.pod_login.missing;
                let names: Vec<String> = missing.iter().take(5).map(Source::to_string).collect();
                format!("{who} wants a login and {} does not exist", names.join(", "))
            }
            Cause::SecretInvalid => format!("a pull secret of {asker} cannot be used"),
            Cause::BlockedByRegistry => {
                format!("{who} blocks {}{}", self.image(), self.refusal_text())
            }
            Cause::PlatformMissing => format!(
                "{} has nothing for {}; it offers {}",
                self.image(),
                wanted(),
                self.offered()
            ),
            Cause::PlatformPartial => format!(
                "{} is not there for all of {}; it offers {}",
                self.image(),
                wanted(),
                self.offered()
            ),
            Cause::PlatformWrong => format!(
                "{} is built for {} only and will not run on {}",
                self.image(),
                self.offered(),
                wanted()
            ),
            Cause::UnsupportedManifest => format!("{} is {}", self.image(), self.unsupported()),
            Cause::CorruptImage => format!("{} is damaged: {}", self.image(), self.unsupported()),
            other => format!("{}: {}", self.image(), other.means()),
        }
    }

    /// Two or three words beside the caret.
    pub fn label(&self, cause: Cause) -> String {
        match cause {
            Cause::TagNotFound => "no such tag",
            Cause::DigestNotFound => "no such digest",
            Cause::RepositoryNotFound => "no such repository",
            Cause::AbsentOrPrivate => "absent or private",
            Cause::CredentialsMissing => "wants a login",
            Cause::CredentialsRejected => "login refused",
            Cause::AccessDenied => "no right to pull",
            Cause::SecretRegistryMismatch => "no login for this registry",
            Cause::PlatformMissing | Cause::PlatformWrong => "not built for these nodes",
            Cause::PlatformPartial => "not built for all nodes",
            Cause::UnsupportedManifest => "no container image",
            other => return other.id().replace('-', " "),
        }
        .to_owned()
    }
}

/// What to do now, best first.
pub(super) fn advice(cause: Cause, words: &Words<'_>) -> Vec<String> {
    let mut advice = Vec::new();
    if cause == Cause::TagNotFound
        && let Target::Tag(asked) = words.question.reference.target()
    {
        let tags = words.answer.attempts.iter().find_map(|attempt| match &attempt.repository {
            Repository::Readable { tags } if !tags.is_empty() => Some(tags),
            _ => None,
        });
        let near = tags.map(|tags| suggest::nearest(asked, tags)).unwrap_or_default();
        match near.len() {
            0 => {}
            1 => return vec![format!("nearest tag: {}", near[0])],
            _ => return vec![format!("nearest tags: {}", near.join(", "))],
        }
    }
    if cause == Cause::SecretRegistryMismatch {
        for (source, entries) in &words.context.pod_login.without_entry {
            advice.push(mismatch(source, entries, words.registry()));
        }
    }
    if cause == Cause::SecretInvalid {
        for (source, reason) in &words.context.pod_login.ignored {
            advice.push(format!("{source} is ignored by the kubelet: {reason}"));
        }
    }
    advice.extend(cause.cure().iter().map(|cure| (*cure).to_owned()));
    advice
}

/// What a secret has entries for instead.
pub(super) fn mismatch(source: &Source, entries: &[String], registry: &str) -> String {
    let shown: Vec<String> = entries.iter().take(5).map(|entry| clean(entry, 80)).collect();
    let has = if shown.is_empty() {
        "no entry at all".to_owned()
    } else {
        format!("entries for {} only", shown.join(", "))
    };
    format!("{source} has {has}, none that matches {registry}")
}

/// The limit is used up, though this answer was still given.
pub(super) fn none_left(attempt: &Attempt, found: &Found) -> String {
    let who = match &attempt.login {
        Some(login) if !login.sends_nothing => format!("the login of {}", login.source),
        _ => "this address".to_owned(),
    };
    format!(
        "{} has no pulls left for {who} now; a node that shares it will be refused for a while",
        clean(&found.host, 255)
    )
}

/// Why a finding is only likely, why a login of the person's own was not tried, and what else a
/// reader needs.
pub(super) fn remarks(outcome: &Outcome, words: &Words<'_>) -> Vec<String> {
    let context = words.context;
    let mut remarks = Vec::new();
    if words.answer.found().is_none() {
        let failures = context.own_failures.iter();
        remarks.extend(failures.map(|failure| format!("your own login was not tried: {failure}")));
    }
    let Outcome::Finding { cause, certainty } = *outcome else { return remarks };
    if cause == Cause::AbsentOrPrivate && words.is_listed() {
        remarks.push(
            "the tag is in the repository's list all the same: a rule of the registry may hide it, \
             or its manifest is lost"
                .to_owned(),
        );
    }
    if certainty == Certainty::Certain {
        return remarks;
    }
    let mut only = |why: String| remarks.push(format!("only a warning, since {why}"));
    if cause == Cause::BlockedByRegistry && words.is_blocked_by_place() {
        only(
            "the rule is about where the request comes from, and nodes ask from elsewhere"
                .to_owned(),
        );
        return remarks;
    }
    if words.nodes_may_log_in() {
        only(format!("nodes usually bring a login of their own for {}", words.registry()));
    }
    if cause.is_about_login() && !words.nodes_may_log_in() && !context.pod_login.unread.is_empty() {
        let unread = context.pod_login.unread.join(", ");
        only(format!("{unread} could not be read here and may bring the login"));
    }
    if let Some(mirror) = words.answer.missed_mirror() {
        let host = clean(&mirror.host, 255);
        only(format!("nodes may use the mirror {host}, which could not be asked"));
    }
    if cause.is_about_login() && context.own_only && !context.asker.is_empty() {
        only(format!("the pull secrets of {} were not used", context.asker));
    }
    if cause.is_about_login() && own_login_decides(words) {
        only("that login could have been let in".to_owned());
    }
    remarks
}

/// A login of the person's own could not be had, and it might have proved that the image is there
/// where nothing is known of the Pod's.
pub(super) fn own_login_decides(words: &Words<'_>) -> bool {
    !words.context.own_failures.is_empty() && !words.context.pod_login.is_known
}

fn list(platforms: &[Platform]) -> String {
    let shown: Vec<String> = platforms.iter().take(12).map(ToString::to_string).collect();
    match (shown.len(), platforms.len()) {
        (0, _) => "nothing that is known".to_owned(),
        (some, all) if some < all => format!("{} and {} more", shown.join(", "), all - some),
        _ => shown.join(", "),
    }
}
