//! Lists and maps of the objects under review, of which one review may hold only so many entries: three
//! bytes of JSON make a hundred in memory, and bodies alone are bounded by their bytes.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Entries of all lists and maps that are read of one review. What an API server can store has fewer:
/// 1.5 MB of the shortest volumes are 60,000, once in the object and once in the old one.
pub const MAX_ENTRIES: usize = 150_000;

/// Why a text was not read.
#[derive(Debug)]
pub enum Unread {
    Json(serde_json::Error),
    TooMany,
}

thread_local! {
    /// What may still be read of the text that this thread is reading.
    static LEFT: Cell<usize> = const { Cell::new(0) };
}

/// Reads a text with at most [`MAX_ENTRIES`] entries.
pub fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Unread> {
    LEFT.set(MAX_ENTRIES + 1);
    serde_json::from_str(text).map_err(|error| match LEFT.get() {
        0 => Unread::TooMany,
        _ => Unread::Json(error),
    })
}

/// Takes one of the entries that are left.
fn take<E: serde::de::Error>() -> Result<(), E> {
    LEFT.set(LEFT.get().saturating_sub(1));
    if LEFT.get() == 0 { Err(E::custom("too many entries")) } else { Ok(()) }
}

/// A list.
#[derive(Debug)]
pub struct List<T>(Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for List<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(entry) = entries.next_element()? {
                    take()?;
                    list.push(entry);
                }
                Ok(list)
            }
        }

        deserializer.deserialize_seq(Entries(PhantomData)).map(Self)
    }
}

/// A map of texts.
#[derive(Debug, Default)]
pub struct Map<'a>(BTreeMap<Cow<'a, str>, Cow<'a, str>>);

impl<'a> Deref for Map<'a> {
    type Target = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Map<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Borrows where it can; a `Cow` of itself never does.
        #[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

        struct Entries<'a>(PhantomData<&'a str>);

        impl<'de: 'a, 'a> Visitor<'de> for Entries<'a> {
            type Value = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut map = BTreeMap::new();
                while let Some((Text(key), Text(value))) = entries.next_entry()? {
                    take()?;
                    map.insert(key, value);
                }
                Ok(map)
            }
        }

        deserializer.deserialize_map(Entries(PhantomData)).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_up_to_a_bound_of_all_lists_together() {
        #[derive(Deserialize)]
        struct Two<'a> {
            #[serde(default)]
            a: List<u8>,
            #[serde(borrow, default)]
            b: Map<'a>,
        }
        let texts = |a: usize, b: usize| {
            let list = vec!["1"; a].join(",");
            let map: Vec<String> = (0..b).map(|nth| format!(r#""{nth}":"x""#)).collect();
            format!(r#"{{"a":[{list}],"b":{{{}}}}}"#, map.join(","))
        };
        let most = texts(MAX_ENTRIES - 1000, 1000);
        let read_all: Two<'_> = read(&most).unwrap();
        assert_eq!((read_all.a.len(), read_all.b.len()), (MAX_ENTRIES - 1000, 1000));
        for more in [texts(MAX_ENTRIES - 999, 1000), texts(MAX_ENTRIES - 1000, 1001)] {
            assert!(matches!(read::<Two<'_>>(&more), Err(Unread::TooMany)));
        }
        assert!(matches!(read::<Two<'_>>(r#"{"a":{}}"#), Err(Unread::Json(_))));
        // Each text has all of them for itself.
        assert!(read::<Two<'_>>(&most).is_ok());
    }
}
