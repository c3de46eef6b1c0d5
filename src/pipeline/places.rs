//! The order of a report: by the places where images stand in their files.

use crate::image::ImageUse;
use crate::report::Result as Answered;

pub(super) type PlaceKey = (bool, String, usize, usize, String);

pub(super) fn place_of_use(found: &ImageUse) -> PlaceKey {
    match &found.site.place {
        Some(place) => {
            (false, place.source.name.clone(), place.line, place.column, found.site.path.clone())
        }
        None => (true, String::new(), 0, 0, found.text.clone()),
    }
}

pub(super) fn place_of(result: &Answered) -> PlaceKey {
    match (&result.broken, result.uses.first()) {
        (Some(broken), _) => (
            false,
            broken.place.source.name.clone(),
            broken.place.line,
            broken.place.column,
            String::new(),
        ),
        (None, Some(found)) => place_of_use(found),
        (None, None) => (true, String::new(), 0, 0, String::new()),
    }
}
