use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn one(text: &str) -> Document<'_> {
    let mut all = parse(text);
    assert_eq!(all.errors, []);
    assert_eq!(all.documents.len(), 1, "{text}");
    all.documents.remove(0)
}

fn json_of(text: &str) -> serde_json::Value {
    one(text).root().to_json()
}

/// The value at a path, its span's text, line and column.
fn at<'t>(text: &'t str, path: &str) -> (String, &'t str, usize, usize) {
    let document = one(text);
    let node = document.root().at_path(path).unwrap();
    (node.text().unwrap_or_default().to_owned(), &text[node.span()], node.line(), node.column())
}

fn first_error(text: &str) -> ParseError {
    parse(text).errors.remove(0)
}

#[test]
fn plain_and_quoted_spans_hold_the_value_alone() {
    let text = "é: ü\nb:   \"q\"  # c\nc: 'it''s'\nd: 1.10\ne:\tt\t\n";
    assert_eq!(at(text, "é"), ("ü".into(), "ü", 1, 4));
    assert_eq!(at(text, "b"), ("q".into(), "q", 2, 7));
    assert_eq!(at(text, "c"), ("it's".into(), "it''s", 3, 5));
    assert_eq!(at(text, "d"), ("1.10".into(), "1.10", 4, 4));
    assert_eq!(at(text, "e"), ("t".into(), "t", 5, 4));
}

#[test]
fn columns_count_characters_not_bytes() {
    assert_eq!(at("{\"ééé\": \"x\"}", "ééé"), ("x".into(), "x", 1, 10));
}

#[test]
fn block_scalar_spans_cover_their_lines() {
    let text = "a: |  # c\n    x\n    y\n\nb: >-\n  u\n  v\nc: |\n  é z\n";
    assert_eq!(at(text, "a"), ("x\ny\n".into(), "x\n    y", 2, 5));
    assert_eq!(at(text, "b"), ("u v".into(), "u\n  v", 6, 3));
    assert_eq!(at(text, "c"), ("é z\n".into(), "é z", 9, 3));
    assert_eq!(one(text).root().get("a").unwrap().style(), Some(Style::Block));
}

#[test]
fn a_value_left_out_is_null_with_an_empty_span() {
    let text = "a:\nb: ~\nc: ''\nd: null\n";
    let document = one(text);
    let get = |key| document.root().get(key).unwrap();
    assert!(get("a").is_null() && get("a").span() == (2..2));
    assert!(get("b").is_null() && text[get("b").span()] == *"~");
    assert!(!get("c").is_null() && get("c").as_str() == Some(""));
    assert!(get("d").as_str().is_none());
}

#[test]
fn an_alias_shows_the_span_of_its_anchor() {
    let text = "a: &x nginx\nb: *x\n";
    assert_eq!(at(text, "b"), ("nginx".into(), "nginx", 1, 7));
    assert_eq!(
        json_of("a: &m {k: 1}\nb: [*m, *m]"),
        json!({"a": {"k": 1}, "b": [{"k": 1}, {"k": 1}]})
    );
}

#[test]
fn merged_maps_lose_against_written_keys_and_earlier_maps() {
    let text = "a: &a {k: 1, x: a}\nb: &b {k: 2, y: b}\nc:\n  <<: [*a, *b]\n  x: c\nd:\n  x: d\n  <<: *a\n";
    let value = json_of(text);
    assert_eq!(value["c"], json!({"k": 1, "x": "c", "y": "b"}));
    assert_eq!(value["d"], json!({"k": 1, "x": "d"}));
    assert_eq!(json_of("a: {<<: {<<: {k: 1}, l: 2}}")["a"], json!({"k": 1, "l": 2}));
    assert_eq!(json_of("{'<<': {a: 1}}"), json!({"<<": {"a": 1}}));
    assert_eq!(json_of("{<<: 1}"), json!({"<<": 1}));
}

#[test]
fn b44_of_duplicate_keys_the_last_wins_and_is_noted() {
    let all = parse("a: 1\nb: 2\na: 3\n");
    assert_eq!(all.documents[0].root().to_json(), json!({"a": 3, "b": 2}));
    assert_eq!(all.notes, [DuplicateKey { key: "a".into(), line: 3 }]);
    let many: String = (0..5000).map(|i| format!("k{}: {i}\n", i % 2500)).collect();
    let all = parse(&many);
    assert_eq!(all.documents[0].root().entries().len(), 2500);
    assert_eq!(all.documents[0].root().get_str("k0"), Some("2500"));
    assert_eq!(all.notes.len(), build::NOTED);
}

#[test]
fn json_text_is_read_with_places() {
    let text = "{\n\t\"a\\/b\": \"x\\/y\\uD83D\\uDE00\\t\",\n\t\"image\":\t\"é\", \"n\": null, \"f\": 1e3\n}";
    assert_eq!(json_of(text), json!({"a/b": "x/y😀\t", "image": "é", "n": null, "f": 1000}));
    assert_eq!(at(text, "image"), ("é".into(), "é", 3, 12));
}

#[test]
fn a_stream_of_json_values_is_many_documents() {
    for text in ["{\"a\":1}\n{\"a\":2}\n\n{\"a\": 3}", "{\"a\":1}{\"a\":2} {\"a\": 3}"] {
        let all = parse(text);
        assert_eq!(all.errors, [], "{text}");
        let values: Vec<_> =
            all.documents.iter().map(|document| document.root().to_json()).collect();
        assert_eq!(values, [json!({"a":1}), json!({"a":2}), json!({"a":3})]);
        for document in &all.documents {
            let node = document.root().get("a").unwrap();
            let line_start = text[..node.span().start].rfind('\n').map_or(0, |at| at + 1);
            assert_eq!(node.column(), node.span().start - line_start + 1);
            assert_eq!(node.line(), text[..line_start].matches('\n').count() + 1);
            assert_eq!(&text[node.span()], node.text().unwrap());
        }
    }
}

#[test]
fn what_serde_json_accepts_is_accepted_here() {
    for text in [
        "[]",
        "{}",
        "\"x\"",
        "1",
        " {\"a\" :1 , \"b\":[ ] } ",
        "[1,-2.5e-3,true,null]",
        "{\"\":\"\"}",
        "{\r\n\t\"a\":\t[\r\n\t\t1,\r\n\t\t2\r\n\t]\r\n}\r\n",
        "{\"a\":{\"b\":[{\"c\":\"d: e # f\"}]}}",
        "[\"\\\\\\\"\\b\\f\\n\\r\\t\\u00e9\"]",
        "{\"a\"\n:\n1}",
        "[\"- a\", \"\u{feff}\"]",
    ] {
        let expected: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(json_of(text).to_string(), expected.to_string(), "{text}");
    }
}

#[test]
fn json_that_only_a_json_parser_accepts_is_an_error_not_a_guess() {
    // No object of Kubernetes needs a raw DEL or a key of more than 1,024 characters.
    for text in ["[\"\u{7f}\"]".to_owned(), format!("{{\"{}\":1}}", "k".repeat(2000))] {
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        assert_eq!(first_error(&text).line, 1);
    }
}

#[test]
fn b44_crlf_tabs_and_byte_order_marks_are_read() {
    let text = "\u{feff}image: nginx\r\nb: \"q\"\r\nd: |\r\n  t\r\n";
    assert_eq!(at(text, "image"), ("nginx".into(), "nginx", 1, 8));
    assert_eq!(at(text, "b"), ("q".into(), "q", 2, 5));
    assert_eq!(at(text, "d"), ("t\n".into(), "t", 4, 3));
    let text = "a: 1\n---\n\u{feff}b: 2\n\u{feff}---\nc: 3\r\n---\r\n\u{feff}d: 4\n";
    let all = parse(text);
    assert_eq!(all.errors, []);
    let last = all.documents.last().unwrap().root().get("d").unwrap();
    assert_eq!((last.line(), last.column(), &text[last.span()]), (7, 4, "4"));
    assert_eq!(all.documents.iter().filter(|document| document.root().is_mapping()).count(), 4);
    assert_eq!(first_error("a:\n\tb: c\n").line, 2);
}

#[test]
fn reading_goes_on_behind_a_broken_document() {
    let text = "a: 1\n---\nb: [\n---\nc: 3\n---\nd: *nope\n---\ne: 5\n";
    let all = parse(text);
    let lines: Vec<_> = all.documents.iter().map(|document| document.line).collect();
    assert_eq!(lines, [1, 4, 8]);
    assert_eq!(all.errors.len(), 2);
    assert_eq!((all.errors[1].line, all.errors[1].column), (7, 4));
    assert_eq!(&text[all.errors[1].document..][..3], "---");
    assert!(all.errors.iter().all(|error| error.reason.starts_with(|c: char| !c.is_uppercase())));
}

#[test]
fn tags_that_change_a_value_are_obeyed() {
    let value = json_of("a: !!str 1\nb: !!binary aGVsbG8=\nc: !foo x\nd: !!binary '*'\n");
    assert_eq!(value, json!({"a": "1", "b": "hello", "c": "x", "d": "*"}));
}

#[test]
fn b44_alias_bomb_is_refused_by_number() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let before = format!("*a{}", i - 1);
        text += &format!("a{i}: &a{i} [{}]\n", vec![before; 9].join(", "));
    }
    assert_eq!(first_error(&text).reason, "aliases stand for more than 1000000 nodes");
    let mut text = "m0: &m0 {k: v}\n".to_owned();
    for i in 1..40 {
        let p = i - 1;
        text += &format!("m{i}: &m{i} {{a{i}: *m{p}, b{i}: *m{p}, <<: [*m{p}, *m{p}]}}\n");
    }
    assert!(first_error(&text).reason.contains("1000000"));
}

#[test]
fn b44_anchor_cycle_is_refused() {
    assert_eq!(first_error("a: &a\n  b: *a\n").reason, "an alias stands inside its own anchor");
    assert_eq!(first_error("&a [*a]").line, 1);
}

#[test]
fn b44_depth_is_bounded_in_every_notation() {
    let started = Instant::now();
    for unit in ["[", "- ", "? ", "{a: ", "{", "- - [", "&a [", "!!seq [", "[[],"] {
        let error = first_error(&unit.repeat(100_000));
        assert!(
            error.reason == "nested deeper than 128 levels" || error.line == 1,
            "{unit}: {error:?}"
        );
    }
    let mut text = "a0: &a0 [1]\n".to_owned();
    for i in 1..200 {
        text += &format!("a{i}: &a{i} [*a{}]\n", i - 1);
    }
    assert_eq!(first_error(&text).reason, "nested deeper than 128 levels");
    let text = format!("{}{}", "[".repeat(128), "]".repeat(128));
    assert!(parse(&text).errors.is_empty());
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn b44_nodes_documents_and_bytes_are_bounded() {
    let text = format!("a: [{}]\n---\nb: 1\n", "1,".repeat(1_000_000));
    let all = parse(&text);
    assert_eq!(all.errors[0].reason, "more than 1000000 nodes in one document");
    assert_eq!(all.documents.len(), 1);
    let text = "a: 1\n---\n".repeat(20_001);
    let all = parse(&text);
    assert_eq!(all.documents.len(), DOCUMENT_LIMIT);
    assert_eq!(all.errors[0].reason, "more than 20000 documents in one file");
    assert_eq!(parse(&"{}".repeat(1_000)).documents.len(), 1_000);
    let text = " ".repeat(FILE_LIMIT + 1);
    let all = parse(&text);
    assert_eq!(all.errors[0].reason, "larger than 64 MiB");
    assert_eq!(all.errors.len(), 1);
}

#[test]
fn b44_many_broken_documents_end_in_time() {
    let started = Instant::now();
    assert_eq!(parse(&"a: [\n---\n".repeat(10_000)).errors.len(), 10_000);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn texts_without_documents_are_no_error() {
    for text in ["", "\n", "# c\n", "\u{feff}", "---\n---\n", "...\n"] {
        let all = parse(text);
        assert_eq!(all.errors, [], "{text:?}");
        assert!(all.documents.iter().all(|document| document.root().is_null()));
    }
}

/// Every place names the text it stands for.
fn check_places(text: &str) {
    fn visit(text: &str, node: Node<'_>, left: &mut usize) {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let written = text.get(node.span()).unwrap();
        if node.style() == Some(Style::Plain)
            && !node.is_null()
            && !written.contains(['\n', '\r', '!'])
        {
            assert_eq!(node.text(), Some(written));
        }
        assert!(node.line() >= 1 && node.column() >= 1);
        node.items().for_each(|item| visit(text, item, left));
        for (key, value) in node.entries() {
            visit(text, key, left);
            visit(text, value, left);
        }
    }
    for document in &parse(text).documents {
        visit(text, document.root(), &mut 10_000);
        let _ = document.root().to_json();
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}") {
        check_places(&text);
    }

    #[test]
    fn yaml_like_text_never_panics(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "a", "b: ", "- ", "\n", "\n  ", "\n---\n", "{", "}", "[", "]", ",", ": ", "&a ", "*a", "<<: ",
                "\"", "'", "|\n", ">-\n", "#", "\t", "\r\n", "\u{feff}", "é", "!!str ", "? ", "~", "{{", "\\", "%",
                "...\n", "!!binary ", "\u{0}", "😀",
            ]),
            0..80,
        )
    ) {
        check_places(&parts.concat());
    }
}
