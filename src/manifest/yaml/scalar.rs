//! What a plain scalar means: null, a boolean, a number or a string, as kubectl has it.
//!
//! Its library (`sigs.k8s.io/yaml` on go-yaml 2) follows YAML 1.1 for booleans and for octal, binary
//! and underscored numbers. Numbers in base 60 and dates are strings there too.

use serde_json::{Number, Value};

pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Some(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(false)
        }
        _ => None,
    }
}

pub(super) fn to_json(text: &str) -> Value {
    if is_null(text) {
        return Value::Null;
    }
    if let Some(value) = boolean(text) {
        return Value::Bool(value);
    }
    number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    let plain = text.replace('_', "");
    integer(&plain).or_else(|| float(&plain))
}

/// Go's `ParseInt` with base 0.
fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some(two) if two.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    let size = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        0i64.checked_sub_unsigned(size).map(Number::from)
    } else {
        Some(Number::from(size))
    }
}

fn float(text: &str) -> Option<Number> {
    let simple =
        text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    let value: f64 = if simple { text.parse().ok()? } else { return None };
    // Go writes a whole float without a fraction.
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_scalars_are_typed_as_kubectl_does() {
        for (text, value) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("12", json!(12)),
            ("-7", json!(-7)),
            ("1_000", json!(1000)),
            ("0755", json!(493)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("08", json!(8)),
            ("1.5", json!(1.5)),
            ("1.10", json!(1.1)),
            ("1.0", json!(1)),
            ("18446744073709551615", json!(18446744073709551615u64)),
            ("-", json!("-")),
            ("+", json!("+")),
            (".", json!(".")),
            ("1.2.3", json!("1.2.3")),
            ("10:20", json!("10:20")),
            ("2001-01-01", json!("2001-01-01")),
            (".nan", json!(".nan")),
            ("nginx", json!("nginx")),
            ("é", json!("é")),
            ("0é", json!("0é")),
        ] {
            assert_eq!(to_json(text), value, "{text}");
        }
    }
}
