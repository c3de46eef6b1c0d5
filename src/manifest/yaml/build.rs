//! Parser events to a [`Document`]: spans, anchors, merge keys, duplicate keys and the budgets.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use granit_parser::{Event, ScalarStyle, Span, Tag};

use super::tree::{Children, Content, Data, Document, DuplicateKey, Style};
use super::{Base, DEPTH_LIMIT, EXPANSION_LIMIT, NODE_LIMIT, too_deep};

/// Most duplicate keys noted in one document.
pub(super) const NOTED: usize = 100;
/// Up to this many keys are compared one by one.
const FEW: usize = 12;

/// A document under construction.
pub(super) struct Builder<'a> {
    /// First byte of the document.
    pub start: usize,
    line: usize,
    source: &'a str,
    base: Base,
    nodes: Vec<Data<'a>>,
    children: Vec<u32>,
    /// Children of the open lists and maps.
    pending: Vec<u32>,
    open: Vec<Frame>,
    anchors: HashMap<usize, Anchor>,
    /// Nodes that aliases and merge keys stand for.
    expanded: usize,
    duplicates: Vec<DuplicateKey>,
    names: HashSet<Cow<'a, str>>,
    redefined: Vec<DuplicateKey>,
}

/// An open list or map.
struct Frame {
    node: u32,
    anchor: usize,
    /// Where its children start in `pending`.
    first: usize,
    /// Nodes and expansions before it.
    cost_before: usize,
    /// Levels below it.
    height: usize,
    merges: bool,
}

/// What an alias stands for.
#[derive(Clone, Copy)]
struct Anchor {
    node: u32,
    cost: usize,
    height: usize,
}

impl<'a> Builder<'a> {
    pub fn new(source: &'a str, base: Base, start: &Span) -> Self {
        Self {
            start: base.byte(&start.start),
            line: base.line(&start.start),
            source,
            base,
            nodes: Vec::new(),
            children: Vec::new(),
            pending: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            expanded: 0,
            duplicates: Vec::new(),
            names: HashSet::new(),
            redefined: Vec::new(),
        }
    }

    /// The document, when it holds a node.
    pub fn finish(self) -> Option<Document<'a>> {
        let root = *self.pending.first()?;
        Some(Document {
            nodes: self.nodes,
            children: self.children,
            root,
            line: self.line,
            duplicates: self.duplicates,
            redefined: self.redefined,
        })
    }

    /// Takes one event; the error is a phrase that names the limit exceeded.
    pub fn event(&mut self, event: Event<'a>, span: &Span) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(text, style, anchor, tag, span),
            Event::SequenceStart(_, anchor, _) => {
                self.push(Content::Sequence(Children::default()), anchor, span)
            }
            Event::MappingStart(_, anchor, _) => {
                self.push(Content::Mapping(Children::default()), anchor, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.pop(span),
            Event::Alias(id) => self.alias(id),
            Event::Anchor(_, name) => {
                self.name(name, self.base.line(&span.start));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'a, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<Cow<'a, Tag>>,
        span: &Span,
    ) -> Result<(), String> {
        let mut data = self.place(Content::Scalar(text, Style::Plain), span);
        let Content::Scalar(text, written) = &mut data.content else { return Ok(()) };
        match style {
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                *written = Style::Quoted;
                data.start += 1;
                data.column += 1;
                data.end = data.end.saturating_sub(1).max(data.start);
            }
            ScalarStyle::Literal | ScalarStyle::Folded => {
                *written = Style::Block;
                let lines = self.source.get(data.start as usize..data.end as usize);
                data.end = data.start + lines.unwrap_or_default().trim_end().len() as u32;
            }
            // A value left out arrives as `~` with an empty span, in a map before its colon.
            _ if data.start == data.end => {
                *text = Cow::Borrowed("");
                if self.source.as_bytes().get(data.start as usize) == Some(&b':') {
                    data.start += 1;
                    data.end += 1;
                    data.column += 1;
                }
            }
            _ => {}
        }
        if let Some(tag) = tag {
            apply_tag(&tag, text, written);
        }
        let node = self.store(data)?;
        if anchor != 0 {
            self.anchors.insert(anchor, Anchor { node, cost: 1, height: 0 });
        }
        self.add(node, 0);
        Ok(())
    }

    fn push(&mut self, content: Content<'a>, anchor: usize, span: &Span) -> Result<(), String> {
        if self.open.len() >= DEPTH_LIMIT {
            return Err(too_deep());
        }
        let cost_before = self.cost();
        let data = self.place(content, span);
        let node = self.store(data)?;
        let first = self.pending.len();
        self.open.push(Frame { node, anchor, first, cost_before, height: 0, merges: false });
        Ok(())
    }

    fn pop(&mut self, span: &Span) -> Result<(), String> {
        let Some(frame) = self.open.pop() else { return Ok(()) };
        let is_map = matches!(self.nodes[frame.node as usize].content, Content::Mapping(_));
        let children =
            if is_map { self.map_children(&frame)? } else { self.children_as_written(&frame) };
        let data = &mut self.nodes[frame.node as usize];
        data.end = (self.base.byte(&span.end) as u32).max(data.start);
        data.content =
            if is_map { Content::Mapping(children) } else { Content::Sequence(children) };
        if frame.anchor != 0 {
            let cost = self.cost() - frame.cost_before;
            let anchor = Anchor { node: frame.node, cost, height: frame.height + 1 };
            self.anchors.insert(frame.anchor, anchor);
        }
        self.add(frame.node, frame.height + 1);
        Ok(())
    }

    fn name(&mut self, name: Cow<'a, str>, line: usize) {
        if self.names.contains(&name) {
            if self.redefined.len() < NOTED {
                self.redefined.push(DuplicateKey { key: name.into_owned(), line });
            }
        } else {
            self.names.insert(name);
        }
    }

    fn alias(&mut self, id: usize) -> Result<(), String> {
        let Some(anchor) = self.anchors.get(&id).copied() else {
            return Err("an alias stands inside its own anchor".to_owned());
        };
        if self.open.len() + anchor.height > DEPTH_LIMIT {
            return Err(too_deep());
        }
        self.expand(anchor.cost)?;
        self.add(anchor.node, anchor.height);
        Ok(())
    }

    fn expand(&mut self, nodes: usize) -> Result<(), String> {
        self.expanded = self.expanded.saturating_add(nodes);
        if self.expanded > EXPANSION_LIMIT {
            return Err(format!("aliases stand for more than {EXPANSION_LIMIT} nodes"));
        }
        Ok(())
    }

    /// Adds a finished node to the list or map it stands in.
    fn add(&mut self, node: u32, height: usize) {
        if let Some(frame) = self.open.last_mut() {
            frame.height = frame.height.max(height);
            let is_key = (self.pending.len() - frame.first).is_multiple_of(2);
            if is_key && is_merge_key(&self.nodes[node as usize]) {
                frame.merges = true;
            }
        }
        self.pending.push(node);
    }

    fn cost(&self) -> usize {
        self.nodes.len() + self.expanded
    }

    fn place(&self, content: Content<'a>, span: &Span) -> Data<'a> {
        Data {
            content,
            start: self.base.byte(&span.start) as u32,
            end: self.base.byte(&span.end) as u32,
            line: self.base.line(&span.start) as u32,
            column: self.base.column(&span.start) as u32 + 1,
        }
    }

    fn store(&mut self, data: Data<'a>) -> Result<u32, String> {
        if self.nodes.len() >= NODE_LIMIT {
            return Err(format!("more than {NODE_LIMIT} nodes in one document"));
        }
        self.nodes.push(data);
        Ok(self.nodes.len() as u32 - 1)
    }

    fn children_as_written(&mut self, frame: &Frame) -> Children {
        let start = self.children.len() as u32;
        self.children.extend(self.pending.drain(frame.first..));
        Children { start, end: self.children.len() as u32 }
    }

    fn map_children(&mut self, frame: &Frame) -> Result<Children, String> {
        if !frame.merges && !self.has_duplicates(frame.first) {
            return Ok(self.children_as_written(frame));
        }
        let written: Vec<u32> = self.pending.drain(frame.first..).collect();
        let start = self.children.len() as u32;
        self.last_of_each(&written);
        self.merge(&written, start as usize)?;
        Ok(Children { start, end: self.children.len() as u32 })
    }

    fn key(&self, node: u32) -> Option<&str> {
        match &self.nodes[node as usize].content {
            Content::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    fn has_duplicates(&self, first: usize) -> bool {
        let mut keys = self.pending[first..].iter().step_by(2).filter_map(|key| self.key(*key));
        if self.pending.len() - first <= 2 * FEW {
            while let Some(key) = keys.next() {
                if keys.clone().any(|other| other == key) {
                    return true;
                }
            }
            return false;
        }
        let mut seen = HashSet::new();
        !keys.all(|key| seen.insert(key))
    }

    /// Keeps the last entry of each key and notes the others; merge keys are left to `merge`.
    fn last_of_each(&mut self, written: &[u32]) {
        let mut last: HashMap<&str, usize> = HashMap::new();
        let mut notes = Vec::new();
        let mut kept = vec![true; written.len() / 2];
        for (position, pair) in written.chunks_exact(2).enumerate() {
            let data = &self.nodes[pair[0] as usize];
            if is_merge_key(data) && self.merge_sources(pair[1]).is_some() {
                kept[position] = false;
                continue;
            }
            let Some(key) = self.key(pair[0]) else { continue };
            if let Some(earlier) = last.insert(key, position) {
                kept[earlier] = false;
                notes.push(DuplicateKey { key: key.to_owned(), line: data.line as usize });
            }
        }
        notes.truncate(NOTED.saturating_sub(self.duplicates.len()));
        self.duplicates.append(&mut notes);
        for (pair, _) in written.chunks_exact(2).zip(kept).filter(|(_, kept)| *kept) {
            self.children.extend(pair);
        }
    }

    /// Adds the entries of merged maps behind the written ones (from `start`): those win, then the
    /// earlier of several merged maps.
    fn merge(&mut self, written: &[u32], start: usize) -> Result<(), String> {
        let mut merged: Vec<u32> = Vec::new();
        let mut seen: HashSet<&str> =
            self.children[start..].iter().step_by(2).filter_map(|key| self.key(*key)).collect();
        let mut copied = 0;
        for pair in written.chunks_exact(2) {
            if !is_merge_key(&self.nodes[pair[0] as usize]) {
                continue;
            }
            for source in self.merge_sources(pair[1]).unwrap_or_default() {
                copied += (source.end - source.start) as usize;
                if self.expanded + copied > EXPANSION_LIMIT {
                    break;
                }
                let entries = &self.children[source.start as usize..source.end as usize];
                for entry in entries.chunks_exact(2) {
                    if self.key(entry[0]).is_some_and(|key| seen.insert(key)) {
                        merged.extend(entry);
                    }
                }
            }
        }
        self.expand(copied)?;
        self.children.append(&mut merged);
        Ok(())
    }

    /// The maps that a merge key names; `None` when its value is no map and no list of maps.
    fn merge_sources(&self, value: u32) -> Option<Vec<Children>> {
        match self.nodes[value as usize].content {
            Content::Mapping(map) => Some(vec![map]),
            Content::Sequence(list) => self.children[list.start as usize..list.end as usize]
                .iter()
                .map(|item| match self.nodes[*item as usize].content {
                    Content::Mapping(map) => Some(map),
                    _ => None,
                })
                .collect(),
            Content::Scalar(..) => None,
        }
    }
}

fn is_merge_key(data: &Data) -> bool {
    matches!(&data.content, Content::Scalar(text, Style::Plain) if text == "<<")
}

/// `!!str` makes a string of anything, `!!binary` is base64; other tags change nothing here.
fn apply_tag(tag: &Tag, text: &mut Cow<'_, str>, style: &mut Style) {
    match tag.suffix_in_namespace("tag:yaml.org,2002:").as_deref() {
        Some("str") if *style == Style::Plain => *style = Style::Quoted,
        Some("binary") => {
            let packed: String = text.split_ascii_whitespace().collect();
            if let Some(plain) =
                STANDARD.decode(packed).ok().and_then(|b| String::from_utf8(b).ok())
            {
                *text = Cow::Owned(plain);
                *style = Style::Quoted;
            }
        }
        _ => {}
    }
}
