//! The nearest existing tags: those a person most likely meant. Near means few edits, the same
//! version numbers, or a version close by.

/// At most this many tags are suggested.
const MAX: usize = 3;

/// The tags nearest to the one asked for, best first.
pub fn nearest(asked: &str, tags: &[String]) -> Vec<String> {
    let mut ranked: Vec<(usize, &String)> = tags
        .iter()
        .filter(|tag| !looks_generated(tag))
        .filter_map(|tag| distance(asked, tag).map(|distance| (distance, tag)))
        .collect();
    ranked.sort_by(|(a, left), (b, right)| a.cmp(b).then_with(|| left.cmp(right)));
    ranked.into_iter().take(MAX).map(|(_, tag)| tag.clone()).collect()
}

/// Signature and attestation tags name no image.
fn looks_generated(tag: &str) -> bool {
    tag.starts_with("sha256-")
}

/// How far a tag is from the one asked for; `None` when it is too far to be meant.
fn distance(asked: &str, tag: &str) -> Option<usize> {
    let edits = strsim::damerau_levenshtein(asked, tag);
    let same_without_v = asked.trim_start_matches('v') == tag.trim_start_matches('v');
    if same_without_v {
        return Some(0);
    }
    let longest = asked.chars().count().max(tag.chars().count());
    let near_text = edits * 3 <= longest.max(6);
    match (version(asked), version(tag)) {
        (Some(wanted), Some(offered)) => {
            let common = wanted.iter().zip(&offered).take_while(|(a, b)| a == b).count();
            let near_version = common > 0
                || wanted.first().zip(offered.first()).is_some_and(|(a, b)| a.abs_diff(*b) <= 1);
            // Two edits less for every leading number in common.
            (near_text || near_version).then(|| (edits + 8).saturating_sub(2 * common))
        }
        _ => near_text.then_some(edits + 8),
    }
}

/// The leading numbers of `v1.27.9-alpine`: 1, 27, 9.
fn version(tag: &str) -> Option<Vec<u64>> {
    let numbers: Vec<u64> = tag
        .trim_start_matches('v')
        .split(['.', '-', '_', '+'])
        .map_while(|part| part.parse().ok())
        .collect();
    (!numbers.is_empty()).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(asked: &str, tags: &[&str]) -> Vec<String> {
        nearest(asked, &tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_missing_letter_finds_the_tag_that_was_meant() {
        assert_eq!(
            of("1.27.9-alpin", &["1.27.9-alpine", "1.27-alpine", "latest", "stable"])[0],
            "1.27.9-alpine"
        );
    }

    #[test]
    fn versions_close_by_come_before_others() {
        assert_eq!(of("1.4.2", &["0.9.0", "1.4.1", "1.4.20", "2.0.0"])[..2], ["1.4.1", "1.4.20"]);
        assert_eq!(of("1.4", &["v1.4", "1.40"])[0], "v1.4");
    }

    #[test]
    fn nothing_near_gives_nothing() {
        assert!(of("production", &["3f2a9c1", "sha256-aaaa.sig"]).is_empty());
    }
}
