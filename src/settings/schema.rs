//! JSON Schemas of the two settings files, written by hand for editors and held to the parsers by the
//! tests below: the same keys at every level, the same values.

/// Of `pullproof.toml`.
pub const PROJECT: &str = include_str!("schemas/project.json");
/// Of `registries.toml`.
pub const REGISTRIES: &str = include_str!("schemas/registries.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use serde_json::Value;

    use super::*;
    use crate::settings::{Project, Registries};

    /// One level of a file: where its schema is, and the text around its keys.
    struct Level {
        schema: &'static str,
        pointer: &'static str,
        before: &'static str,
        after: &'static str,
        /// Keys that must be there, as text.
        required: &'static [(&'static str, &'static str)],
    }

    const LEVELS: [Level; 7] = [
        Level { schema: PROJECT, pointer: "", before: "", after: "", required: &[] },
        Level {
            schema: PROJECT,
            pointer: "/properties/extract/items",
            before: "[[extract]]\n",
            after: "",
            required: &[("kind", "'A'"), ("path", "'spec.image'")],
        },
        Level {
            schema: PROJECT,
            pointer: "/properties/extract/items/properties/parts",
            before: "[[extract]]\nkind = 'A'\npath = 'a'\n[extract.parts]\n",
            after: "",
            required: &[],
        },
        Level {
            schema: PROJECT,
            pointer: "/properties/ignore/items",
            before: "[[ignore]]\n",
            after: "",
            required: &[("image", "'a'"), ("cause", "'tag-not-found'"), ("reason", "'r'")],
        },
        Level { schema: REGISTRIES, pointer: "", before: "", after: "", required: &[] },
        Level {
            schema: REGISTRIES,
            pointer: "/properties/registry/additionalProperties",
            before: "[registry.'r.io']\n",
            after: "",
            required: &[],
        },
        Level {
            schema: REGISTRIES,
            pointer: "/properties/registry/additionalProperties/properties/mirrors/items",
            before: "[registry.'r.io']\nmirrors = [{ ",
            after: " }]",
            required: &[("url", "'https://m'")],
        },
    ];

    impl Level {
        fn object(&self) -> Value {
            let schema: Value = serde_json::from_str(self.schema).unwrap();
            let found = schema.pointer(self.pointer).unwrap().clone();
            assert_eq!(found["additionalProperties"], false, "{}", self.pointer);
            found
        }

        /// What the parser says to these keys.
        fn parse(&self, keys: &[(&str, &str)]) -> Result<(), String> {
            let keys: Vec<String> =
                keys.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            let separator = if self.after.is_empty() { "\n" } else { ", " };
            let text = format!("{}{}{}", self.before, keys.join(separator), self.after);
            let file = Path::new("settings.toml");
            let done = if self.schema == PROJECT {
                Project::parse(&text, file).map(drop)
            } else {
                Registries::parse(&text, file).map(drop)
            };
            done.map_err(|error| error.to_string())
        }

        /// The required keys with this one in place of its own.
        fn with<'k>(&self, key: &'k str, value: &'k str) -> Vec<(&'k str, &'k str)> {
            let others = self.required.iter().filter(|(own, _)| *own != key);
            others.copied().chain([(key, value)]).collect()
        }
    }

    /// A good value for a key, by what the schema says of it.
    fn good(key: &str, schema: &Value) -> Option<String> {
        let value = match (key, schema["type"].as_str()?) {
            ("platforms", _) => "['linux/arm64']",
            ("token_realms", _) => "['https://sso.example/token']",
            ("allow_addresses", _) => "['10.0.0.0/8', '127.0.0.1:5000']",
            ("cause", _) => "'tag-not-found'",
            ("url", _) => "'https://mirror.example'",
            // What they name has to be there.
            ("ca" | "containerd_hosts", _) => return None,
            (_, "string") => match schema["enum"][0].as_str() {
                Some(first) => return Some(format!("'{first}'")),
                None => "'a'",
            },
            (_, "boolean") => "true",
            (_, "integer" | "number") => "1",
            (_, "array") if schema["items"]["type"] == "string" => "['a']",
            (_, "array") => "[]",
            _ => "{}",
        };
        Some(value.to_owned())
    }

    #[test]
    fn the_schemas_and_the_parsers_know_the_same_keys() {
        for level in &LEVELS {
            let error = level.parse(&level.with("zzz", "1")).unwrap_err();
            let (_, expected) = error.split_once("expected").unwrap();
            let parsed: BTreeSet<&str> = expected.split('`').skip(1).step_by(2).collect();
            let object = level.object();
            let properties = object["properties"].as_object().unwrap();
            let listed: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
            assert_eq!(parsed, listed, "{}", level.pointer);
        }
    }

    #[test]
    fn values_that_the_schemas_allow_are_read_and_others_are_not() {
        for level in &LEVELS {
            for (key, schema) in level.object()["properties"].as_object().unwrap() {
                if let Some(value) = good(key, schema) {
                    assert_eq!(level.parse(&level.with(key, &value)), Ok(()), "{key} = {value}");
                }
                for value in schema["enum"].as_array().into_iter().flatten() {
                    let value = format!("'{}'", value.as_str().unwrap());
                    assert_eq!(level.parse(&level.with(key, &value)), Ok(()), "{key} = {value}");
                }
                let wrong = if schema["type"] == "boolean" { "'yes'" } else { "true" };
                assert!(level.parse(&level.with(key, wrong)).is_err(), "{key} = {wrong}");
                if schema["enum"].is_array() && key != "output" {
                    assert!(level.parse(&level.with(key, "'zzz'")).is_err(), "{key}");
                }
                if schema["minimum"].as_f64().is_some_and(|least| least > 0.0) {
                    assert!(level.parse(&level.with(key, "0")).is_err(), "{key}");
                }
                if schema["minLength"] == 1 {
                    assert!(level.parse(&level.with(key, "''")).is_err(), "{key}");
                }
            }
        }
    }

    #[test]
    fn what_the_schemas_require_is_required() {
        for level in &LEVELS {
            let object = level.object();
            let listed = object["required"].as_array().map(Vec::as_slice).unwrap_or_default();
            let required: Vec<&str> = level.required.iter().map(|(key, _)| *key).collect();
            assert_eq!(listed, required, "{}", level.pointer);
            assert_eq!(level.parse(level.required), Ok(()), "{}", level.pointer);
            for (key, _) in level.required {
                let rest: Vec<_> =
                    level.required.iter().filter(|(own, _)| own != key).copied().collect();
                assert!(level.parse(&rest).unwrap_err().contains(key), "{key}");
            }
        }
    }
}
