//! The default format, after the manner of rustc: what is the matter, where it is written, what was
//! asked and answered, and what to do next. Drawn by `annotate-snippets`, which takes messages as
//! they are: everything goes through [`outside`] first.

use annotate_snippets::{
    Annotation, AnnotationKind, Element, Group, Level as Paint, Message, Origin, Padding, Renderer,
    Snippet,
};

use super::excerpt::{Excerpt, excerpt};
use super::heading::{self, Heading, Level};
use super::{Options, Report, Result, focus, outside, place, summary};
use crate::image::usage::Place;
use crate::manifest::Note;

/// Advice shown for one result.
const ADVICE: usize = 3;
/// Further places shown for one result.
const PLACES: usize = 3;
/// Columns left of the source line: the line number and the bar.
const GUTTER: usize = 8;

/// The report as a person reads it.
pub fn render(report: &Report, options: &Options) -> String {
    let width = options.width.unwrap_or(Options::WIDTH);
    let renderer = renderer(options.colour, width);
    let mut out = String::new();
    for result in &report.results {
        if let Some(heading) = Heading::of(result, report.summary.offline) {
            out.push_str(&block(&renderer, result, &heading, width));
            out.push_str("\n\n");
        }
    }
    for note in &report.notes {
        out.push_str(&renderer.render(&[note_block(note)]));
        out.push_str("\n\n");
    }
    out.push_str(&summary::line(report));
    out.push('\n');
    out
}

fn renderer(colour: bool, width: usize) -> Renderer {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    renderer.term_width(width.saturating_sub(GUTTER).max(Options::NARROWEST))
}

fn block(renderer: &Renderer, result: &Result, heading: &Heading, width: usize) -> String {
    let title = paint(heading.level).primary_title(heading.title.clone());
    let title = match heading.id {
        Some(id) => title.id(id),
        None => title,
    };
    let group = title.element(Origin::path(origin(result)));
    let messages = lines(result, heading).into_iter().map(Element::from);
    match snippet(result, width) {
        Some(snippet) => {
            without_second_arrow(&renderer.render(&[group.element(snippet).elements(messages)]))
        }
        None => renderer.render(&[group.element(Padding).elements(messages)]),
    }
}

/// An origin of our own (the column in the whole line, the number of further places) makes the
/// snippet under it a second one to the renderer, which draws an empty ` ::: ` after title, origin
/// and bar.
fn without_second_arrow(block: &str) -> String {
    let lines = block.split('\n').enumerate();
    let kept: Vec<&str> = lines.filter(|(at, _)| *at != 3).map(|(_, line)| line).collect();
    kept.join("\n")
}

/// Colour and word of a level. Doubt that is not warned of is as quiet as a note.
fn paint(level: Level) -> Paint<'static> {
    match level {
        Level::Error => Paint::ERROR,
        Level::Warning => Paint::WARNING,
        Level::Note => Paint::NOTE,
        Level::CouldNotTell { warns: true } => Paint::WARNING.with_name(level.word()),
        Level::CouldNotTell { warns: false } => Paint::NOTE.with_name(level.word()),
    }
}

fn first_place(result: &Result) -> Option<&Place> {
    match &result.broken {
        Some(broken) => Some(&broken.place),
        None => result.uses.first().and_then(|it| it.site.place.as_ref()),
    }
}

/// The first place, and how many there are besides.
fn origin(result: &Result) -> String {
    let places = place::all(result);
    let first = &places[0];
    match places.len() - 1 {
        0 => first.clone(),
        1 => format!("{first} (and 1 more place)"),
        more => format!("{first} (and {more} more places)"),
    }
}

fn snippet(result: &Result, width: usize) -> Option<Snippet<'static, Annotation<'static>>> {
    if is_withheld(result) {
        return None;
    }
    let place = first_place(result)?;
    let Excerpt { text, span } =
        excerpt(&Place { span: focus::span(result, place), ..place.clone() }, width)?;
    let label = outside::sentence(&result.diagnosis.label);
    let label = Some(label).filter(|label| !label.is_empty());
    let mark = AnnotationKind::Primary.span(span).label(label);
    Some(Snippet::source(text).line_start(place.line).annotation(mark))
}

/// A text that does not parse can not tell which of its lines are passwords.
fn is_withheld(result: &Result) -> bool {
    result.broken.as_ref().is_some_and(|it| it.place.source.text.contains("Secret"))
}

/// The `=` lines, in the order a reader needs them.
fn lines(result: &Result, heading: &Heading) -> Vec<Message<'static>> {
    let diagnosis = &result.diagnosis;
    let mut lines = Vec::new();
    if let Some(also) = further_places(result) {
        lines.push(line("also", &also));
    }
    lines.extend(diagnosis.evidence.iter().map(|seen| line("asked", &seen.text)));
    lines.extend(diagnosis.advice.iter().take(ADVICE).map(|advice| line("help", advice)));
    lines.extend(diagnosis.remarks.iter().map(|remark| line("note", remark)));
    if is_withheld(result) {
        lines.push(line("note", "the line is not shown: the text speaks of a Secret"));
    }
    let others = heading::others(result, heading);
    lines.extend(others.map(|it| line("note", &format!("{} ({})", it.text, it.cause))));
    if let Some(id) = heading.id {
        lines.push(line("more", &format!("pullproof explain {id}")));
    }
    lines
}

fn line(name: &'static str, text: &str) -> Message<'static> {
    Paint::NOTE.with_name(name).message(outside::sentence(text))
}

fn further_places(result: &Result) -> Option<String> {
    let places = place::all(result);
    let further = &places[1..];
    if further.is_empty() {
        return None;
    }
    let mut text = further[..further.len().min(PLACES)].join(", ");
    if further.len() > PLACES {
        text.push_str(&format!(" and {} more (-o concise lists all)", further.len() - PLACES));
    }
    Some(text)
}

fn note_block(note: &Note) -> Group<'static> {
    let title = Paint::NOTE.primary_title(outside::sentence(&note.text)).id(note.id);
    match place::of_note(note) {
        Some(place) => title.element(Origin::path(place)),
        None => Group::with_title(title),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::sample;
    use crate::text;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn b45_any_line_and_any_span_can_be_drawn(
            source in r#"([ a-z:"{}#\[\]\t\n\r\x1b\u{301}\u{202e}\u{1f600}字é]|\PC){0,300}"#,
            start in 0usize..300,
            length in 0usize..300,
            width in 0usize..200,
        ) {
            let mut report = sample::report();
            report.results.truncate(1);
            let image = &mut report.results[0].uses[0];
            let span = start..start + length;
            let source = sample::source("a.yaml", &source);
            image.site.place = Some(Place { source, span, line: 99, column: 7 });
            let out = render(&report, &Options { colour: false, width: Some(width) });
            prop_assert!(!out.contains(|c| c != '\n' && text::is_unsafe(c)), "{}", out);
            prop_assert!(out.contains("--> a.yaml:99:7\n"), "{}", out);
            prop_assert!(!out.lines().any(|line| line.trim() == ":::"), "{}", out);
        }
    }
}
