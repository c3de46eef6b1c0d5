//! Texts inside scalars: patches in a kustomization, values in an Application, images in arguments.
//! A place in such a text is the place in the source wherever both show the same characters, as in
//! literal blocks and plain or quoted scalars of one line; else it is that of the whole scalar.

use std::ops::Range;
use std::sync::Arc;

use super::values;
use super::walk::{Object, Walker};
use super::yaml::{Node, Reader};
use super::{delivery, kinds};
use crate::image::usage::{Place, Source};

/// What a text is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum As {
    /// Values of a chart.
    Values,
    /// Objects, or a list of patches.
    Manifests,
    /// Whatever it is.
    Any,
}

impl As {
    fn of(self, root: Node<'_>) -> Self {
        match self {
            As::Any if root.is_sequence() || root.get("kind").is_some() => As::Manifests,
            As::Any => As::Values,
            known => known,
        }
    }
}

/// The scalar whose text is walked.
pub(super) struct Inside<'t> {
    /// The path to the scalar.
    pub path: String,
    /// Whether what is found is a guess.
    pub guess: bool,
    text: &'t str,
    lines: Lines,
}

/// Where a scalar stands.
struct Lines {
    span: Range<usize>,
    line: usize,
    column: usize,
}

impl<'t> Inside<'t> {
    /// The inside of a scalar of the source itself.
    pub fn new(node: Node<'_>, text: &'t str, path: String, guess: bool) -> Self {
        let lines = Lines { span: node.span(), line: node.line(), column: node.column() };
        Self { path, guess, text, lines }
    }

    /// The line of the scalar.
    pub fn line(&self) -> usize {
        self.lines.line
    }

    /// The place of some bytes of the text.
    pub fn place(&self, source: &Arc<Source>, span: Range<usize>) -> Place {
        let Lines { span: whole, line, column } = &self.lines;
        let exact = self.in_one_line(source, &span).or_else(|| self.in_block(source, &span));
        exact.unwrap_or_else(|| Place {
            source: Arc::clone(source),
            span: whole.clone(),
            line: *line,
            column: *column,
        })
    }

    fn in_one_line(&self, source: &Arc<Source>, span: &Range<usize>) -> Option<Place> {
        let Lines { span: whole, line, column } = &self.lines;
        if source.text.get(whole.clone())? != self.text || self.text.contains('\n') {
            return None;
        }
        let before = self.text.get(..span.start)?.chars().count();
        let span = whole.start + span.start..whole.start + span.end;
        Some(Place { source: Arc::clone(source), span, line: *line, column: column + before })
    }

    /// A line of a literal block is a line of the source without its indentation.
    fn in_block(&self, source: &Arc<Source>, span: &Range<usize>) -> Option<Place> {
        let head = self.text.get(..span.start)?;
        let nth = head.bytes().filter(|byte| *byte == b'\n').count();
        let in_line = span.start - head.rfind('\n').map_or(0, |at| at + 1);
        let first = source.text.get(..self.lines.span.start)?.rfind('\n').map_or(0, |at| at + 1);
        let mut start = first;
        for _ in 0..nth {
            start += source.text.get(start..)?.find('\n')? + 1;
        }
        let rest = source.text.get(start..)?;
        let written = rest.lines().next()?;
        let inner = self.text.get(span.start - in_line..)?.lines().next()?;
        let indent = written.strip_suffix(inner)?;
        let at = start + indent.len() + in_line;
        let found = at..at + span.len();
        let column = source.text.get(start..at)?.chars().count() + 1;
        let same = source.text.get(found.clone())? == self.text.get(span.clone())?;
        let line = self.lines.line + nth;
        same.then(|| Place { source: Arc::clone(source), span: found, line, column })
    }
}

/// The place of some bytes of a scalar's text.
pub(super) fn part(walker: &Walker<'_, '_>, node: Node<'_>, span: Range<usize>) -> Place {
    match (walker.inside, node.text()) {
        (None, Some(text)) => {
            Inside::new(node, text, String::new(), false).place(walker.source, span)
        }
        _ => walker.place(node),
    }
}

/// Walks the text of a scalar, or what stands in its place already taken apart.
pub(super) fn walk<'d>(walker: &mut Walker<'_, 'd>, node: Node<'d>, read: As, object: &Object) {
    let Some(text) = node.as_str() else {
        return match read.of(node) {
            As::Values | As::Any => values::walk(walker, node, object, None),
            As::Manifests if node.is_sequence() => delivery::list(walker, node),
            As::Manifests => walker.object(node, None),
        };
    };
    // A text inside a text inside a text is nobody's manifest.
    if walker.inside.is_some() || !text.contains(':') {
        return;
    }
    let inside = Inside::new(node, text, walker.path(&[]), false);
    for document in Reader::new(text).flatten() {
        let mut inner = Walker::new(walker.source, walker.found, walker.extractor, Some(&inside));
        match read.of(document.root()) {
            As::Values | As::Any => values::walk(&mut inner, document.root(), object, None),
            As::Manifests => drop(inner.document(&document, None)),
        }
    }
}

/// Whether an object of this kind may hold texts with manifests that are its own business.
pub(super) fn is_data(object: &Object) -> bool {
    kinds::group(&object.name.api_version).is_empty() && object.name.kind == "ConfigMap"
}
