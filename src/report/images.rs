//! The images that manifests name and where each is written: `pullproof.images.v1`, a table, a plain
//! list, and all the places of one image. Nothing here was asked of a registry.

use std::collections::BTreeMap;

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::heading::Level;
use super::json::{self, Note, Use};
use super::{Format, concise, json_lines, markdown, outside, place};
use crate::diagnosis::Cause;
use crate::image::reference::Parts;
use crate::image::{ImageUse, Reference};
use crate::manifest::Extraction;

/// Columns get no wider than this for the sake of one long name.
const WIDEST: usize = 80;

/// The images in one format, with a line break at the end of each line.
pub fn render(extraction: &Extraction, format: Format) -> String {
    match format {
        Format::Full => table(extraction),
        Format::Concise => list(extraction),
        Format::Json => json(extraction),
        Format::JsonLines => json_lines::images(by_image(extraction), extraction),
        Format::Markdown => markdown::images(by_image(extraction)),
    }
}

/// The places of the images that `asked` names: by the text as written, by what a pull would ask
/// for, or, when it has no tag and no digest, by the name alone. Empty when there are none.
pub fn why(extraction: &Extraction, asked: &str) -> String {
    let wanted = Reference::parse(asked).ok();
    let mut out = String::new();
    for (image, uses) in by_image(extraction) {
        if image != asked && !uses.iter().any(|it| is_named(it, wanted.as_ref())) {
            continue;
        }
        out.push_str(&format!("{}\n", outside::first(image)));
        for it in uses {
            out.push_str(&format!("  {}\n", described(it)));
        }
    }
    out
}

/// What does not parse and what is worth saying, one line each, for standard error.
pub fn remarks(extraction: &Extraction) -> String {
    let mut out = String::new();
    for broken in &extraction.broken {
        let (place, reason) = (place::file(&broken.place), outside::sentence(&broken.reason));
        let (word, id) = (Level::Error.word(), Cause::UnparsableManifest);
        out.push_str(&format!("{place}: {word}[{id}]: {reason}\n"));
    }
    out.extend(extraction.notes.iter().map(concise::note_line));
    out
}

fn is_named(image: &ImageUse, wanted: Option<&Reference>) -> bool {
    let (Ok(written), Some(wanted)) = (&image.reference, wanted) else { return false };
    let any = wanted.tag().is_none() && wanted.digest().is_none();
    written == wanted || (any && written.keyring_lookup() == wanted.keyring_lookup())
}

/// `apps/web/pod.yaml:4:12  Deployment shop/web  spec.containers[0].image  (init)`
fn described(image: &ImageUse) -> String {
    let mut parts = vec![place::of_use(image)];
    if image.site.place.is_some() {
        parts.push(place::object(&image.workload.object));
        parts.push(outside::sentence(&image.site.path));
    }
    parts.push(format!("({})", image.role.id()));
    if image.guess {
        parts.push("(a guess)".to_owned());
    }
    parts.retain(|it| !it.is_empty());
    parts.join("  ")
}

/// Images by text, the uses of each by file, line and column.
pub(super) type ByImage<'a> = BTreeMap<&'a str, Vec<&'a ImageUse>>;

fn by_image(extraction: &Extraction) -> ByImage<'_> {
    let mut images = ByImage::new();
    for it in &extraction.uses {
        images.entry(&it.text).or_default().push(it);
    }
    for uses in images.values_mut() {
        uses.sort_by_key(|it| {
            it.site.place.as_ref().map(|at| (at.source.name.as_str(), at.line, at.column))
        });
    }
    images
}

fn list(extraction: &Extraction) -> String {
    let images = by_image(extraction).into_keys().filter(|image| !image.is_empty());
    images.map(|image| outside::first(image) + "\n").collect()
}

fn table(extraction: &Extraction) -> String {
    let mut rows = vec![["IMAGE".to_owned(), "PLACES".to_owned(), "FIRST PLACE".to_owned()]];
    for (image, uses) in by_image(extraction) {
        let guess = if uses.iter().all(|it| it.guess) { "  (a guess)" } else { "" };
        let first = uses.first().map(|it| place::of_use(it)).unwrap_or_default();
        let name = if image.is_empty() { "(empty)".to_owned() } else { outside::first(image) };
        rows.push([name, uses.len().to_string(), first + guess]);
    }
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].width());
        widths.max().unwrap_or_default().min(WIDEST)
    };
    let (first, second) = (width(0), width(1));
    rows.iter()
        .map(|row| format!("{}  {}  {}\n", pad(&row[0], first), pad(&row[1], second), row[2]))
        .collect()
}

fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

fn json(extraction: &Extraction) -> String {
    let broken = extraction.broken.iter().map(Note::of_broken);
    json::document(&Document {
        schema: "pullproof.images.v1",
        images: by_image(extraction).into_iter().map(Image::of).collect(),
        notes: broken.chain(extraction.notes.iter().map(Note::of)).collect(),
    })
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    images: Vec<Image<'a>>,
    notes: Vec<Note<'a>>,
}

/// One image and its places.
#[derive(Serialize)]
pub(super) struct Image<'a> {
    image: &'a str,
    reference: Option<Parts<'a>>,
    uses: Vec<Use<'a>>,
}

impl<'a> Image<'a> {
    pub(super) fn of((image, uses): (&'a str, Vec<&'a ImageUse>)) -> Self {
        let reference = uses.first().and_then(|it| it.reference.as_ref().ok());
        Self {
            image,
            reference: reference.map(Reference::parts),
            uses: uses.into_iter().map(Use::of).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::text;

    #[test]
    fn b45_every_format_is_safe_and_whole() {
        let extraction = sample::extraction();
        for format in Format::ALL {
            let text = render(&extraction, format);
            assert!(!text.contains(|c| c != '\n' && text::is_unsafe(c)), "{format:?}");
            assert!(!text.contains("##["), "{format:?}");
            assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{format:?}");
            insta::assert_snapshot!(format!("images-{}", format.id()), text);
        }
    }

    #[test]
    fn why_finds_every_spelling_of_an_image() {
        let extraction = sample::extraction();
        for asked in ["nginx:nope", "docker.io/library/nginx:nope", "index.docker.io/nginx:nope"] {
            let text = "nginx:nope\n  all.json:1:840021  Pod shop/min  spec.template.spec.containers[0].image  (container)\n";
            assert_eq!(why(&extraction, asked), text);
        }
        let text = why(&extraction, "docker.io/library/nginx");
        assert_eq!(text.lines().filter(|line| line.starts_with("nginx:")).count(), 3, "{text}");
        assert_eq!(why(&extraction, "redis:0"), "");
        assert!(
            why(&extraction, "ghcr.io/acme/nothing:1")
                .ends_with("  --image ghcr.io/acme/nothing:1  (container)\n")
        );
    }

    #[test]
    fn remarks_hold_broken_texts_and_notes() {
        let text = remarks(&sample::extraction());
        assert!(
            text.contains("apps/web/broken.yaml:2:7: error[unparsable-manifest]: did not"),
            "{text}"
        );
        assert!(text.contains("apps/web/job.yaml:7: note[duplicate-key]: the key"), "{text}");
    }
}
