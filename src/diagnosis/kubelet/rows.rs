//! The form of what is known about texts: rows of causes and of the words that lead to them. Words
//! are matched in lower case over a text whose names are hidden (see `text`), so no row can be
//! fooled by an image called `unauthorized`. HTTP statuses are told by their shape and never as bare
//! numbers, which also occur in digests, dates, tags and ports.

use super::text::Part;
use crate::diagnosis::Cause;

/// What a text must hold for a row to hold: one of these is enough.
#[derive(Debug)]
pub(super) enum Mark {
    /// Words in this order; `*` stands for any text between them.
    Words(&'static str),
    /// One name, whatever it is, between these words.
    Named(&'static str, &'static str),
    /// The words close the text.
    Ends(&'static str),
    /// An HTTP status of this range, from and to.
    Status(u16, u16),
    /// The words, and an HTTP status of this range.
    Both(&'static str, u16, u16),
}

/// Causes, most likely first, and the marks that lead to them.
#[derive(Debug)]
pub(super) struct Row {
    pub causes: &'static [Cause],
    pub marks: &'static [Mark],
}

/// A row.
pub(super) const fn row(causes: &'static [Cause], marks: &'static [Mark]) -> Row {
    Row { causes, marks }
}

impl Row {
    fn holds(&self, part: &Part) -> bool {
        self.marks.iter().any(|mark| match mark {
            Mark::Words(words) => part.has(words),
            Mark::Named(before, after) => part.has_named(before, after),
            Mark::Ends(words) => part.ends_with(words),
            Mark::Status(from, to) => part.has_status(*from, *to),
            Mark::Both(words, from, to) => part.has_status(*from, *to) && part.has(words),
        })
    }
}

/// The first row that holds.
pub(super) fn first_match<'a>(stages: &[&'a [Row]], part: &Part) -> Option<&'a Row> {
    stages.iter().flat_map(|rows| rows.iter()).find(|row| row.holds(part))
}
