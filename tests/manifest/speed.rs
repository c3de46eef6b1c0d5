//! What extraction costs beside a bare parse of the same text. `PULLPROOF_CORPUS` names a folder to
//! measure instead of the text made here, and every span in it is checked.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use granit_parser::Parser;
use pullproof::image::usage::Source;
use pullproof::manifest::source::{self, Found};
use pullproof::manifest::{Extractor, SourceOptions};

use super::written;

fn made() -> Vec<Arc<Source>> {
    let workflow = include_str!("kinds/workflow.yaml");
    let pods = include_str!("kinds/template.yaml");
    let text = format!("{}---\n{workflow}---\n{pods}---\n", super::POD).repeat(400);
    vec![Arc::new(Source { name: "made.yaml".into(), text })]
}

fn corpus(folder: &Path) -> Vec<Arc<Source>> {
    let inputs = [folder.to_str().unwrap().to_owned()];
    let found =
        source::read(&inputs, &SourceOptions { no_ignore: true, ..SourceOptions::default() });
    found
        .unwrap()
        .filter_map(|one| match one {
            Ok(Found::Text(source)) => Some(source),
            _ => None,
        })
        .collect()
}

fn timed(act: impl FnOnce()) -> Duration {
    let started = Instant::now();
    act();
    started.elapsed()
}

#[test]
#[expect(clippy::print_stderr, reason = "a measurement tells its figures")]
fn extraction_costs_little_more_than_a_parse() {
    let folder = std::env::var_os("PULLPROOF_CORPUS");
    let sources = folder.as_ref().map_or_else(made, |folder| corpus(Path::new(folder)));
    let parse = || {
        for source in &sources {
            let events = Parser::new_from_str(&source.text).take_while(Result::is_ok);
            black_box(events.count());
        }
    };
    let extractor = Extractor::default();
    let extract = || {
        for source in &sources {
            black_box(extractor.extract(source, None));
        }
    };
    // The least of three, in turn, so that a busy machine troubles both.
    let rounds = (0..3).map(|_| (timed(parse), timed(extract)));
    let (bare, whole) = rounds.fold((Duration::MAX, Duration::MAX), |least, round| {
        (least.0.min(round.0), least.1.min(round.1))
    });
    let ratio = whole.as_secs_f64() / bare.as_secs_f64();
    let bytes: usize = sources.iter().map(|source| source.text.len()).sum();
    eprintln!(
        "{} texts, {bytes} bytes: parse {bare:?}, extraction {whole:?}, {ratio:.2} times",
        sources.len()
    );
    assert!(ratio < 3.0, "{ratio:.2} times a bare parse");
    if folder.is_some() {
        check_spans(&sources, &extractor);
    }
}

#[expect(clippy::print_stderr, reason = "a measurement tells its figures")]
fn check_spans(sources: &[Arc<Source>], extractor: &Extractor) {
    let uses: Vec<_> =
        sources.iter().flat_map(|source| extractor.extract(source, None).uses).collect();
    let (mut exact, mut parts, mut other) = (0, 0, Vec::new());
    for one in &uses {
        match written(one) {
            text if text == one.text => exact += 1,
            text if one.text.contains(text.trim()) && !text.contains('\n') => parts += 1,
            _ => other.push((&one.text, &one.site.path, written(one))),
        }
    }
    eprintln!(
        "{} images: {exact} whole, {parts} a part, {} otherwise {other:?}",
        uses.len(),
        other.len()
    );
}
