//! A parsed document and the views into it.
//!
//! Nodes live in one list a document and name their children by number, so an alias is the number
//! of its anchor's node: nothing is copied, and both show the anchor's span.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::{Map, Value};

use super::scalar;

/// One document: its nodes, and the keys it wrote twice.
#[derive(Debug)]
pub struct Document<'a> {
    pub(super) nodes: Vec<Data<'a>>,
    /// Items of lists, and keys and values in turn of maps.
    pub(super) children: Vec<u32>,
    pub(super) root: u32,
    /// The line of its `---`, or of its first token.
    pub line: usize,
    /// Keys written more than once in one map; at most [`NOTED`](super::build::NOTED).
    pub duplicates: Vec<DuplicateKey>,
    /// Anchors with a name that an earlier anchor has; at most as many.
    pub redefined: Vec<DuplicateKey>,
}

/// A key that a map holds, or an anchor that a document has, more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateKey {
    pub key: String,
    /// Line of the later one.
    pub line: usize,
}

/// A node's content and place. Places fit in 32 bits because a text is at most 64 MiB.
#[derive(Debug)]
pub(super) struct Data<'a> {
    pub content: Content<'a>,
    pub start: u32,
    pub end: u32,
    pub line: u32,
    pub column: u32,
}

#[derive(Debug)]
pub(super) enum Content<'a> {
    Scalar(Cow<'a, str>, Style),
    Sequence(Children),
    Mapping(Children),
}

/// A part of [`Document::children`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Children {
    pub start: u32,
    pub end: u32,
}

/// How a scalar is written. A plain scalar tagged `!!str` counts as quoted: it is a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    Quoted,
    Block,
}

impl<'a> Document<'a> {
    /// The outermost node.
    pub fn root(&self) -> Node<'_> {
        Node { document: self, index: self.root }
    }

    pub(super) fn list(&self, children: Children) -> &[u32] {
        self.children.get(children.start as usize..children.end as usize).unwrap_or_default()
    }
}

/// A view of one node.
#[derive(Clone, Copy, Debug)]
pub struct Node<'d> {
    document: &'d Document<'d>,
    index: u32,
}

impl<'d> Node<'d> {
    fn data(self) -> &'d Data<'d> {
        &self.document.nodes[self.index as usize]
    }

    /// Bytes of the value: of a quoted scalar without the quotes, of a block scalar its lines, of an
    /// alias those of its anchor, and nothing where a value is left out.
    pub fn span(self) -> Range<usize> {
        self.data().start as usize..self.data().end as usize
    }

    /// The line of the value's first character, from 1.
    pub fn line(self) -> usize {
        self.data().line as usize
    }

    /// The column of the value's first character, in characters from 1.
    pub fn column(self) -> usize {
        self.data().column as usize
    }

    /// The text of a scalar after escapes and folding, as written: `1.10` stays `1.10`.
    pub fn text(self) -> Option<&'d str> {
        match &self.data().content {
            Content::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// As [`text`](Self::text), but nothing for null.
    pub fn as_str(self) -> Option<&'d str> {
        if self.is_null() { None } else { self.text() }
    }

    /// How the scalar is written; `None` for lists and maps.
    pub fn style(self) -> Option<Style> {
        match &self.data().content {
            Content::Scalar(_, style) => Some(*style),
            _ => None,
        }
    }

    /// Whether the value is left out, or one of the words for null.
    pub fn is_null(self) -> bool {
        matches!(&self.data().content, Content::Scalar(text, Style::Plain) if scalar::is_null(text))
    }

    /// Whether kubectl reads a plain scalar as a number or a boolean, so that no string is sent.
    pub fn is_number_or_boolean(self) -> bool {
        match &self.data().content {
            Content::Scalar(text, Style::Plain) => {
                matches!(scalar::to_json(text), Value::Bool(_) | Value::Number(_))
            }
            _ => false,
        }
    }

    pub fn is_mapping(self) -> bool {
        matches!(self.data().content, Content::Mapping(_))
    }

    pub fn is_sequence(self) -> bool {
        matches!(self.data().content, Content::Sequence(_))
    }

    /// `true` or `false` where the scalar is a boolean for kubectl.
    pub fn as_bool(self) -> Option<bool> {
        match &self.data().content {
            Content::Scalar(text, Style::Plain) => scalar::boolean(text),
            _ => None,
        }
    }

    /// The items of a list; none for anything else.
    pub fn items(self) -> impl ExactSizeIterator<Item = Node<'d>> + Clone {
        let list = match self.data().content {
            Content::Sequence(children) => self.document.list(children),
            _ => &[],
        };
        list.iter().map(move |index| self.at(*index))
    }

    /// The keys and values of a map, merged ones last; none for anything else.
    pub fn entries(self) -> impl ExactSizeIterator<Item = (Node<'d>, Node<'d>)> + Clone {
        let list = match self.data().content {
            Content::Mapping(children) => self.document.list(children),
            _ => &[],
        };
        list.chunks_exact(2).map(move |pair| (self.at(pair[0]), self.at(pair[1])))
    }

    /// The value of a key of a map.
    pub fn get(self, key: &str) -> Option<Node<'d>> {
        self.entries().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    /// Follows keys one after the other, `a.b.c`.
    pub fn at_path(self, path: &str) -> Option<Node<'d>> {
        path.split('.').try_fold(self, |node, key| node.get(key))
    }

    /// The string of a key; `None` when absent, null, a list or a map.
    pub fn get_str(self, key: &str) -> Option<&'d str> {
        self.get(key).and_then(Node::as_str)
    }

    /// The value as JSON, plain scalars typed as kubectl does. Keys that are no scalars are left out.
    pub fn to_json(self) -> Value {
        match &self.data().content {
            Content::Scalar(text, Style::Plain) => scalar::to_json(text),
            Content::Scalar(text, _) => Value::String(text.to_string()),
            Content::Sequence(_) => self.items().map(Node::to_json).collect(),
            Content::Mapping(_) => {
                let pairs = self.entries().filter_map(|(key, value)| Some((key.text()?, value)));
                Value::Object(
                    pairs
                        .map(|(key, value)| (key.to_owned(), value.to_json()))
                        .collect::<Map<_, _>>(),
                )
            }
        }
    }

    fn at(self, index: u32) -> Node<'d> {
        Node { document: self.document, index }
    }
}
