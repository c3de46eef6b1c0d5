//! YAML and JSON text to trees with byte spans, one document at a time.
//!
//! A broken document becomes a [`ParseError`] and reading goes on with the next one. Anchors,
//! aliases and merge keys are resolved; of duplicate keys the last wins, as kubectl has it, and each
//! is noted. Every size is bounded, so hostile text ends in an error that names the limit. JSON is
//! read as flow YAML, a stream of JSON values (as `kubectl` and `jq` write it) as many documents.

mod build;
pub(super) mod repair;
mod scalar;
mod tree;

use std::ops::Range;

use granit_parser::{ErrorKind, Event, Marker, Options, Parser, ScanError, Span, StrInput};

use build::Builder;
pub use tree::{Document, DuplicateKey, Node, Style};

/// Largest text that is read, in bytes.
pub const FILE_LIMIT: usize = 64 << 20;
/// Most documents in one text.
pub const DOCUMENT_LIMIT: usize = 20_000;
/// Most nodes in one document.
pub const NODE_LIMIT: usize = 1_000_000;
/// Most nodes that aliases and merge keys of one document may stand for.
pub const EXPANSION_LIMIT: usize = 1_000_000;
/// Deepest nesting of lists and maps.
pub const DEPTH_LIMIT: usize = 128;
const BOM: &str = "\u{feff}";

/// All documents of a text, and what went wrong on the way.
#[derive(Debug, Default)]
pub struct Documents<'a> {
    pub documents: Vec<Document<'a>>,
    pub errors: Vec<ParseError>,
    /// Keys written more than once in one map.
    pub notes: Vec<DuplicateKey>,
}

/// Why a document can not be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The place of the error; often empty.
    pub span: Range<usize>,
    /// Counts from 1.
    pub line: usize,
    /// Counts characters from 1.
    pub column: usize,
    /// One lowercase phrase.
    pub reason: String,
    /// First byte of the broken document.
    pub document: usize,
    /// Whether a quoted scalar is indented too little, which kubectl accepts.
    pub(super) is_quoted_indent: bool,
}

/// Reads every document of a text.
pub fn parse(text: &str) -> Documents<'_> {
    let mut all = Documents::default();
    for document in Reader::new(text) {
        match document {
            Ok(mut document) => {
                all.notes.append(&mut document.duplicates);
                all.documents.push(document);
            }
            Err(error) => all.errors.push(error),
        }
    }
    all
}

/// Where a part of a text begins; parts are parsed one by one.
#[derive(Clone, Copy, Default)]
struct Base {
    byte: usize,
    lines: usize,
    columns: usize,
}

impl Base {
    fn byte(self, mark: &Marker) -> usize {
        self.byte + mark.byte_offset().unwrap_or_default()
    }

    fn line(self, mark: &Marker) -> usize {
        self.lines + mark.line()
    }

    /// Counts from 0.
    fn column(self, mark: &Marker) -> usize {
        mark.col() + if mark.line() == 1 { self.columns } else { 0 }
    }

    fn at(self, mark: &Marker) -> Self {
        Self { byte: self.byte(mark), lines: self.line(mark) - 1, columns: self.column(mark) }
    }
}

/// Reads the documents of a text in order, keeping none.
pub struct Reader<'a> {
    text: &'a str,
    /// Ends of the parts still to read, last part first.
    ends: Vec<usize>,
    base: Base,
    parser: Option<Parser<'a, StrInput<'a>>>,
    read: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of a text.
    pub fn new(text: &'a str) -> Self {
        let mut reader =
            Self { text, ends: part_ends(text), base: Base::default(), parser: None, read: 0 };
        reader.start();
        reader
    }

    /// Starts parsing at `self.base`, up to the end of the current part.
    fn start(&mut self) {
        let options = options();
        self.parser = self
            .ends
            .last()
            .and_then(|end| self.text.get(self.base.byte..*end))
            .map(|part| Parser::new_from_str_with_options(part, options));
    }

    fn next_part(&mut self) {
        if let Some(end) = self.ends.pop() {
            let lines = self.text.get(self.base.byte..end).map_or(0, count_lines);
            self.base = Base { byte: end, lines: self.base.lines + lines, columns: 0 };
        }
        self.start();
    }

    fn refuse_all(&mut self, reason: String) -> ParseError {
        self.parser = None;
        self.ends.clear();
        ParseError { span: 0..0, line: 1, column: 1, reason, document: 0, is_quoted_indent: false }
    }

    /// Reads events up to the end of one document.
    fn document(&mut self) -> Option<Result<Document<'a>, ParseError>> {
        let mut builder: Option<Builder<'a>> = None;
        loop {
            let Some(event) = self.parser.as_mut()?.next_event() else {
                self.next_part();
                continue;
            };
            let (event, span) = match event {
                Ok(pair) => pair,
                Err(error) => {
                    let Some(error) = self.scan_error(&error, builder.as_ref()) else { continue };
                    return Some(Err(error));
                }
            };
            match event {
                Event::DocumentStart(..) => {
                    builder = Some(Builder::new(self.text, self.base, &span));
                }
                Event::DocumentEnd => {
                    if let Some(document) = builder.take().and_then(Builder::finish) {
                        return Some(Ok(document));
                    }
                }
                event => {
                    let Some(tree) = builder.as_mut() else { continue };
                    if let Err(reason) = tree.event(event, &span) {
                        return Some(Err(self.refuse(&span, reason, tree.start)));
                    }
                }
            }
        }
    }

    fn scan_error(&mut self, error: &ScanError, open: Option<&Builder<'a>>) -> Option<ParseError> {
        let at = self.base.at(error.marker());
        if *error.kind() == ErrorKind::ExpectedDocumentStart && self.is_json_stream(at.byte) {
            self.base = at;
            self.start();
            return None;
        }
        let reason = match error.kind() {
            ErrorKind::RecursionLimitExceeded => too_deep(),
            _ => error.info(),
        };
        let end = at.byte
            + self
                .text
                .get(at.byte..)
                .and_then(|rest| rest.chars().next())
                .map_or(0, char::len_utf8);
        let refused = ParseError {
            span: at.byte..end,
            line: at.lines + 1,
            column: at.columns + 1,
            reason,
            document: open.map_or(at.byte, |tree| tree.start),
            is_quoted_indent: *error.kind() == ErrorKind::InvalidQuotedScalarIndent,
        };
        self.recover();
        Some(refused)
    }

    fn refuse(&mut self, span: &Span, reason: String, document: usize) -> ParseError {
        let at = self.base.at(&span.start);
        self.recover();
        ParseError {
            span: at.byte..self.base.byte(&span.end),
            line: at.lines + 1,
            column: at.columns + 1,
            reason,
            document,
            is_quoted_indent: false,
        }
    }

    /// Goes on behind the broken document.
    fn recover(&mut self) {
        let more = self.parser.as_mut().map(|parser| parser.proceed_next_document());
        if !matches!(more, Some(Ok(true))) {
            self.next_part();
        }
    }

    /// Whether a JSON value starts at `byte` in a text that started with one.
    fn is_json_stream(&self, byte: usize) -> bool {
        let part = self.text.get(self.base.byte..).unwrap_or_default();
        byte > self.base.byte
            && part.trim_start_matches(BOM).trim_start().starts_with('{')
            && self.text.get(byte..).is_some_and(|rest| rest.starts_with('{'))
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Document<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.text.len() > FILE_LIMIT && self.parser.is_some() {
            let reason = format!("larger than {} MiB", FILE_LIMIT >> 20);
            return Some(Err(self.refuse_all(reason)));
        }
        let document = self.document()?;
        self.read += 1;
        if self.read > DOCUMENT_LIMIT {
            let reason = format!("more than {DOCUMENT_LIMIT} documents in one file");
            return Some(Err(self.refuse_all(reason)));
        }
        Some(document)
    }
}

fn options() -> Options {
    granit_parser::options! {
        emit_anchor_events: true,
        emit_comments: false,
        flow_nesting_limit: DEPTH_LIMIT,
        block_nesting_limit: DEPTH_LIMIT,
    }
}

fn too_deep() -> String {
    format!("nested deeper than {DEPTH_LIMIT} levels")
}

/// The parser refuses a byte order mark behind the start of the stream; files put together with
/// `cat` have them at the start of a document, where libyaml (so kubectl) accepts them.
fn part_ends(text: &str) -> Vec<usize> {
    let mut ends = vec![text.len()];
    for (at, _) in text.rmatch_indices("\n\u{feff}") {
        let start = at + 1;
        let before = text[..at].rsplit('\n').next().unwrap_or_default();
        let after = &text[start + BOM.len()..];
        if before.starts_with("---") || before.starts_with("...") || after.starts_with("---") {
            ends.push(start);
        }
    }
    ends
}

fn count_lines(part: &str) -> usize {
    let bytes = part.as_bytes();
    let feeds = bytes.iter().filter(|byte| **byte == b'\n').count();
    let lone = bytes
        .iter()
        .zip(bytes.iter().skip(1).chain(Some(&0)))
        .filter(|(a, b)| **a == b'\r' && **b != b'\n');
    feeds + lone.count()
}

#[cfg(test)]
#[path = "yaml/tests.rs"]
mod tests;
