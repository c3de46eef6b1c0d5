//! Where something stands, in words a person or an editor can follow.

use super::{Result, outside};
use crate::image::ImageUse;
use crate::image::usage::{ObjectName, Place};
use crate::manifest::Note;

/// All places of a result, never empty; fit to begin a line.
pub fn all(result: &Result) -> Vec<String> {
    if let Some(broken) = &result.broken {
        return vec![file(&broken.place)];
    }
    if result.uses.is_empty() {
        return vec![flag(&result.image)];
    }
    // Uses by an alias stand at one place, and sorted they follow each other.
    let mut places: Vec<String> = result.uses.iter().map(of_use).collect();
    places.dedup();
    places
}

/// The place in a text, the object, or the flag that named the image.
pub fn of_use(image: &ImageUse) -> String {
    if let Some(place) = &image.site.place {
        return file(place);
    }
    match object(&image.workload.object) {
        object if object.is_empty() => flag(&image.text),
        object if image.site.path.is_empty() => object,
        object => format!("{object} {}", outside::sentence(&image.site.path)),
    }
}

/// `file:line:column`
pub fn file(place: &Place) -> String {
    format!("{}:{}:{}", outside::path(&place.source.name), place.line, place.column)
}

/// The place or the object of a note.
pub fn of_note(note: &Note) -> Option<String> {
    match (&note.place, &note.object) {
        (Some((file, line)), _) => Some(format!("{}:{line}", outside::path(file))),
        (None, Some(name)) => Some(object(name)).filter(|it| !it.is_empty()),
        (None, None) => None,
    }
}

/// `Deployment shop/cart`; empty when the text names neither.
pub fn object(name: &ObjectName) -> String {
    let slash = if name.namespace.is_empty() || name.name.is_empty() { "" } else { "/" };
    let text = format!("{} {}{slash}{}", name.kind, name.namespace, name.name);
    outside::first(text.trim())
}

fn flag(image: &str) -> String {
    format!("--image {}", outside::sentence(image))
}
