//! `pullproof explain`: what an id means and how to cure it, the list of all ids, and how an image
//! name is understood. Texts come from the catalogue of causes; only their shape is made here.

use super::{Options, outside};
use crate::diagnosis::{Cause, Class, Reason};
use crate::image::{Reference, pull_policy, reference};

/// Longest lines for reading, whatever the terminal.
const READABLE: usize = 100;
/// Column of the meaning in the list of ids.
const MEANING: usize = 30;
/// Columns from which on the meaning stands beside its id.
const ROOM: usize = 76;

/// What a cause or a reason means and how to cure it; `None` when there is no such id.
pub fn id(id: &str, options: &Options) -> Option<String> {
    if let Ok(cause) = id.parse::<Cause>() {
        return Some(cause_text(cause, options));
    }
    let reason = Reason::own().find(|reason| reason.id() == id)?;
    let mut out = format!("{reason} (could not tell)\n\n");
    out.push_str(&wrap(&sentence(reason.means()), "", "", options));
    out.push('\n');
    if reason.is_of_webhook() {
        out.push_str(&wrap(WEBHOOK, "", "", options));
    }
    out.push_str(&wrap(DOUBT, "", "", options));
    Some(out)
}

/// The id that was most likely meant by a text that is none and hardly an image.
pub fn nearest(text: &str) -> Option<&'static str> {
    if text.len() > 60 || text.contains(['/', ':', '@', '.']) {
        return None;
    }
    let letters = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_ascii_lowercase()
    };
    let asked = letters(text);
    let ids = Cause::all().map(Cause::id).chain(Reason::own().map(Reason::id));
    let near = ids.map(|id| (strsim::damerau_levenshtein(&asked, &letters(id)), id));
    // One letter in six may be wrong: `redis` is no `timeout`.
    near.filter(|(edits, id)| edits * 6 <= id.len()).min().map(|(_, id)| id)
}

/// All ids by class, one a line.
pub fn list(options: &Options) -> String {
    let classes =
        [Class::Image, Class::Credential, Class::Environment, Class::Node, Class::Hygiene];
    let mut out = String::new();
    for class in classes {
        out.push_str(&line(&format!("{}: {}", class.id(), class_text(class)), "", options));
        for cause in Cause::all().filter(|cause| cause.class() == class) {
            out.push_str(&entry(cause.id(), cause.means(), options));
        }
        out.push('\n');
    }
    out.push_str(&line(&format!("could not tell: {DOUBT}"), "", options));
    for reason in Reason::own() {
        let only = if reason.is_of_webhook() { " (webhook only)" } else { "" };
        out.push_str(&entry(reason.id(), &format!("{}{only}", reason.means()), options));
    }
    out
}

/// How an image name is understood and what a node would ask for.
pub fn image(text: &str) -> String {
    let policy = pull_policy::effective(text, None);
    match Reference::parse(text) {
        Ok(reference) => {
            understood(&reference)
                + &row("pull policy", &format!("{policy}, unless the manifest names one"))
        }
        Err(error) => refused(text, error),
    }
}

fn refused(text: &str, error: reference::Error) -> String {
    let image = if text.is_empty() { "(empty)".to_owned() } else { outside::first(text) };
    let why = outside::sentence(&error.describe(text));
    format!("{image}\n  {}: {why}\n", Cause::InvalidReference)
}

fn understood(reference: &Reference) -> String {
    let digest = reference.digest().map(ToString::to_string);
    let tag = match (reference.tag(), &digest) {
        (Some(tag), Some(_)) => format!("{tag} (not looked at: the digest decides)"),
        (Some(tag), None) => tag.to_owned(),
        (None, Some(_)) => "none".to_owned(),
        (None, None) => "latest (none is written)".to_owned(),
    };
    let registry = match reference.registry() {
        "" => "none by the grammar; a runtime takes the first part of the path",
        registry => registry,
    };
    let host = reference
        .endpoint_host()
        .unwrap_or_else(|| "none: containerd refuses this name before it connects".to_owned());
    [
        outside::first(reference.text()) + "\n",
        row("registry", registry),
        row("repository", reference.repository()),
        row("tag", &tag),
        row("digest", digest.as_deref().unwrap_or("none")),
        row("pulled", &reference.pull_ref()),
        row("host asked", &host),
        row("logins for", reference.keyring_lookup()),
    ]
    .concat()
}

fn row(name: &str, value: &str) -> String {
    format!("  {name:<12} {}\n", outside::sentence(value))
}

fn cause_text(cause: Cause, options: &Options) -> String {
    let class = cause.class();
    let mut out = format!("{cause} ({})\n\n", class.id());
    out.push_str(&wrap(&sentence(cause.means()), "", "", options));
    out.push_str("\nWhat to do:\n");
    for cure in cause.cure() {
        out.push_str(&wrap(cure, "  - ", "    ", options));
    }
    out.push('\n');
    out.push_str(&wrap(&format!("Class {}: {}.", class.id(), class_text(class)), "", "", options));
    out
}

const WEBHOOK: &str = "Only the webhook gives this reason.";
const DOUBT: &str = "Nobody knows whether the image would pull; it is never called a bad image. The policy decides what that means.";

fn class_text(class: Class) -> &'static str {
    match class {
        Class::Image => "the image is wrong; a registry's answer or the text itself proves it",
        Class::Credential => "the Pod has no right to the image",
        Class::Environment => {
            "the registry could not be reached or did not answer; seen from here this only means that it could not be told, since a node may fare better"
        }
        Class::Node => "trouble of a node, known from its kubelet only",
        Class::Hygiene => "unwise, but no pull fails of it; told beside the outcome",
    }
}

/// An id and what it means: beside it where there is room, else below.
fn entry(id: &str, means: &str, options: &Options) -> String {
    match options.width {
        Some(width) if width < ROOM => {
            format!("  {id}\n{}", wrap(means, "      ", "      ", options))
        }
        _ => {
            let head = format!("  {id:<width$}", width = MEANING - 2);
            line(&(head + means), &" ".repeat(MEANING), options)
        }
    }
}

/// A text that may be of several lines on a terminal, and is one for programs.
fn line(text: &str, next: &str, options: &Options) -> String {
    if options.width.is_none() {
        return format!("{text}\n");
    }
    let words = text.trim_start();
    let blanks = text.len() - words.len();
    // The blanks between an id and its meaning are kept: only what follows them is words.
    let start = words.find("  ").map_or(blanks, |at| {
        let gap = words[at..].len() - words[at..].trim_start().len();
        blanks + at + gap
    });
    wrap(&text[start..], &text[..start], next, options)
}

/// A phrase as a sentence.
fn sentence(phrase: &str) -> String {
    let mut chars = phrase.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// Lines of words, the first after `first`, the others after `next`.
fn wrap(text: &str, first: &str, next: &str, options: &Options) -> String {
    let width = options.width.unwrap_or(READABLE).clamp(Options::NARROWEST, READABLE);
    let mut out = String::new();
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > width {
            out.push_str(&line);
            out.push('\n');
            line = next.to_owned();
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out + &line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    const NARROW: Options = Options { colour: false, width: Some(72) };

    #[test]
    fn explains_a_cause() {
        insta::assert_snapshot!("cause", id("tag-not-found", &NARROW).unwrap());
    }

    #[test]
    fn explains_a_reason_of_our_own() {
        insta::assert_snapshot!("reason", id("realm-not-trusted", &NARROW).unwrap());
    }

    #[test]
    fn every_id_has_an_explanation_and_a_line_in_the_list() {
        let list = list(&Options::default());
        let causes = Cause::all().map(Cause::id);
        for known in causes.chain(Reason::own().map(Reason::id)) {
            assert!(id(known, &NARROW).is_some_and(|text| text.starts_with(known)), "{known}");
            let lines = list.lines().filter(|line| line.split_whitespace().next() == Some(known));
            assert_eq!(lines.count(), 1, "{known}");
        }
        assert_eq!(id("no-such-id", &NARROW), None);
    }

    #[test]
    fn lines_are_as_long_as_the_terminal_allows() {
        let long = |text: String| text.lines().map(|it| it.chars().count()).max();
        assert!(Cause::all().all(|cause| long(cause_text(cause, &NARROW)) <= Some(72)));
        assert!(
            list(&NARROW)
                .lines()
                .filter(|it| it.starts_with("  "))
                .all(|it| it.chars().count() <= 72)
        );
    }

    #[test]
    fn tells_how_a_name_is_understood() {
        let pinned = format!("localhost:5000/a/b:1@{}", sample::DIGEST);
        let names = ["nginx", &pinned, "my_reg.local/app:latest", "Nginx:1", ""];
        insta::assert_snapshot!("names", names.map(image).join("\n"));
    }

    #[test]
    fn b45_a_name_that_is_none_drives_no_terminal() {
        let text = image(&format!("::error::{}", sample::HOSTILE));
        assert!(!text.contains(|c| c != '\n' && crate::text::is_unsafe(c)), "{text}");
        assert!(!text.contains("##[") && !text.starts_with("::"), "{text}");
    }
}
