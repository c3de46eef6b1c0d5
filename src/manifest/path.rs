//! Paths to fields: `spec.template.spec`, `spec.steps[].image`, `spec.*.image`, `spec.**.image`.
//!
//! `[]` stands for each item of a list, `*` for each value of a map, `**` for the map or list itself
//! and everything below it. A key with other characters is written `["a.b/c"]`. The path to the
//! place that is read is kept on the way, so that a report can say it.

use super::walk::{Step, Walker};
use super::yaml::Node;

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing is named.
    #[error("a path is empty")]
    Empty,
    /// A part between two dots is empty, or a bracket holds neither nothing nor a quoted key.
    #[error("the path \"{path}\" has a part that is no key, at byte {at}")]
    Part { path: String, at: usize },
    /// `**` twice would visit one place on many ways.
    #[error("the path \"{path}\" has more than one **")]
    TwoDeep { path: String },
}

/// One part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Key(String),
    Items,
    Any,
    Deep,
}

/// Takes a path apart.
pub(super) fn parse(path: &str) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let at = path.len() - rest.len();
        let bad = || Error::Part { path: path.to_owned(), at };
        let (part, behind) = next(rest).ok_or_else(bad)?;
        parts.push(part);
        rest = behind;
        if let Some(behind) = rest.strip_prefix('.') {
            rest = behind;
            if rest.is_empty() {
                return Err(bad());
            }
        } else if !rest.is_empty() && !rest.starts_with('[') {
            return Err(bad());
        }
    }
    if parts.iter().filter(|part| **part == Part::Deep).count() > 1 {
        return Err(Error::TwoDeep { path: path.to_owned() });
    }
    if parts.is_empty() { Err(Error::Empty) } else { Ok(parts) }
}

fn next(rest: &str) -> Option<(Part, &str)> {
    if let Some(behind) = rest.strip_prefix("[]") {
        return Some((Part::Items, behind));
    }
    if let Some(inside) = rest.strip_prefix("[\"") {
        let (key, behind) = inside.split_once("\"]")?;
        return Some((Part::Key(key.to_owned()), behind));
    }
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (key, behind) = rest.split_at(end);
    match key {
        "" => None,
        "*" => Some((Part::Any, behind)),
        "**" => Some((Part::Deep, behind)),
        key => Some((Part::Key(key.to_owned()), behind)),
    }
}

/// What is done at a place.
pub(super) type Act<'a, 'x, 'd> = &'a mut dyn FnMut(&mut Walker<'x, 'd>, Node<'d>);

impl<'x, 'd> Walker<'x, 'd> {
    /// Does something at each place a path of the catalogue leads to.
    pub fn each(&mut self, node: Node<'d>, path: &str, act: Act<'_, 'x, 'd>) {
        // A test parses every path of the catalogue.
        if let Ok(parts) = parse(path) {
            self.each_part(node, &parts, act);
        }
    }

    /// Does something at each place some parts lead to.
    pub fn each_part(&mut self, node: Node<'d>, parts: &[Part], act: Act<'_, 'x, 'd>) {
        let Some((part, rest)) = parts.split_first() else { return act(self, node) };
        match part {
            Part::Key(key) => {
                let found = node.entries().find(|(name, _)| name.text() == Some(key));
                if let Some((name, value)) = found {
                    self.below(name, value, |walker, value| walker.each_part(value, rest, act));
                }
            }
            Part::Items => {
                for (index, item) in node.items().enumerate() {
                    self.step(Step::Index(index), |walker| walker.each_part(item, rest, act));
                }
            }
            Part::Any => {
                for (name, value) in node.entries() {
                    self.below(name, value, |walker, value| walker.each_part(value, rest, act));
                }
            }
            Part::Deep => {
                self.each_part(node, rest, act);
                for (index, item) in node.items().enumerate() {
                    self.step(Step::Index(index), |walker| walker.each_part(item, parts, act));
                }
                for (name, value) in node.entries() {
                    self.below(name, value, |walker, value| walker.each_part(value, parts, act));
                }
            }
        }
    }

    /// Goes one step down and back.
    pub fn step<R>(&mut self, step: Step<'d>, act: impl FnOnce(&mut Self) -> R) -> R {
        self.path.push(step);
        let result = act(self);
        self.path.pop();
        result
    }

    fn below(&mut self, name: Node<'d>, value: Node<'d>, act: impl FnOnce(&mut Self, Node<'d>)) {
        if let Some(name) = name.text() {
            self.step(Step::Key(name), |walker| act(walker, value));
        }
    }
}

/// The first place a path leads to.
pub(super) fn first<'d>(node: Node<'d>, path: &str) -> Option<Node<'d>> {
    first_of(node, &parse(path).ok()?)
}

fn first_of<'d>(node: Node<'d>, parts: &[Part]) -> Option<Node<'d>> {
    let Some((part, rest)) = parts.split_first() else { return Some(node) };
    match part {
        Part::Key(key) => first_of(node.get(key)?, rest),
        Part::Items => node.items().find_map(|item| first_of(item, rest)),
        Part::Any => node.entries().find_map(|(_, value)| first_of(value, rest)),
        Part::Deep => first_of(node, rest)
            .or_else(|| node.items().find_map(|item| first_of(item, parts)))
            .or_else(|| node.entries().find_map(|(_, value)| first_of(value, parts))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Part {
        Part::Key(text.to_owned())
    }

    #[test]
    fn paths_are_taken_apart() {
        for (path, parts) in [
            ("a", vec![key("a")]),
            ("a.b[].c", vec![key("a"), key("b"), Part::Items, key("c")]),
            ("[].a[][]", vec![Part::Items, key("a"), Part::Items, Part::Items]),
            ("a.*.**.b", vec![key("a"), Part::Any, Part::Deep, key("b")]),
            ("a[\"x.y/z\"].b", vec![key("a"), key("x.y/z"), key("b")]),
        ] {
            assert_eq!(parse(path), Ok(parts), "{path}");
        }
        for path in ["", ".", "a.", "a..b", "a[0]", "a[]b", "a[\"b", "a.**.**"] {
            assert!(parse(path).is_err(), "{path}");
        }
        let error = parse("a..b").unwrap_err();
        assert_eq!(error.to_string(), "the path \"a..b\" has a part that is no key, at byte 2");
    }
}
