//! `crds`: the CustomResourceDefinitions of pullproof, for `kubectl apply`.

use std::fmt::Write;

use clap::Args;
use serde_json::Value;

use super::{Exit, Failure, Out};
use crate::policy::image_check_policy;

/// Print the CustomResourceDefinitions, for `kubectl apply -f -`
#[derive(Debug, Args)]
pub(super) struct Arguments {}

/// Runs the command.
pub(super) fn run(Arguments {}: Arguments, out: &Out) -> Result<Exit, Failure> {
    let mut text = String::from("---\n");
    write(&image_check_policy::definition(), 0, &mut text);
    out.print(&text)?;
    Ok(Exit::Success)
}

/// Writes the entries of a map or a list, each on lines of its own.
fn write(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                entry(
                    &format!("{indent}{}:", scalar(&Value::from(key.as_str()))),
                    value,
                    depth,
                    text,
                );
            }
        }
        Value::Array(items) => {
            for item in items {
                entry(&format!("{indent}-"), item, depth, text);
            }
        }
        other => {
            let _ = writeln!(text, "{indent}{}", scalar(other));
        }
    }
}

fn entry(head: &str, value: &Value, depth: usize, text: &mut String) {
    let nested = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    // Writing into a text can not fail.
    let _ =
        if nested { writeln!(text, "{head}") } else { writeln!(text, "{head} {}", scalar(value)) };
    if nested {
        write(value, depth + 1, text);
    }
}

/// A word as it is where no reader takes it for something else, all other as JSON, which is YAML.
fn scalar(value: &Value) -> String {
    let is_word = |text: &str| {
        let reads_as_itself = !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
        text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
            && reads_as_itself
    };
    match value {
        Value::String(text) if is_word(text) => text.clone(),
        other => other.to_string(),
    }
}
