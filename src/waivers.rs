//! Which findings of which use do not count, by comments and annotations of the manifests, rules of
//! the settings and the baseline; and which of these words were spoken for nothing. An ignore is
//! called unused only where the finding could have shown: not beside an image nobody could judge.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU8, Ordering};

use crate::baseline::{self, Baseline, Spot};
use crate::diagnosis::{Cause, Class, Diagnosis, Outcome};
use crate::image::ImageUse;
use crate::manifest::{Ignore, Note};
use crate::policy::waiver::outcome_cause;
use crate::policy::{IgnoreRule, Waiver};
use crate::text::{SHOWN, clean};

/// All that was asked not to count, and what became of it.
#[derive(Default)]
pub struct Waivers<'a> {
    ignores: Vec<(Ignore, Mark)>,
    /// Positions in `ignores`, by file.
    by_file: HashMap<String, Vec<usize>>,
    rules: Vec<(&'a IgnoreRule, Mark)>,
    baseline: BTreeMap<&'a Spot, Vec<(Cause, Mark)>>,
}

/// How far a waiver got.
#[derive(Default)]
struct Mark(AtomicU8);

/// Nothing it speaks of was met.
const UNMET: u8 = 0;
/// It was met, judged, and is without this finding.
const UNUSED: u8 = 1;
/// It was met and could not be judged.
const UNDECIDED: u8 = 2;
const USED: u8 = 3;

impl Mark {
    fn raise(&self, to: u8) {
        self.0.fetch_max(to, Ordering::Relaxed);
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The note on a rule of the settings that met no image; of a part of a repository it tells nothing.
pub const UNMET_RULE: &str = "unmet-ignore";

/// Entries of a baseline that are told one by one when they are gone.
const TOLD: usize = 20;

impl<'a> Waivers<'a> {
    /// All that was asked for; nothing of it is met yet.
    pub fn new(ignores: Vec<Ignore>, rules: &'a [IgnoreRule], known: Option<&'a Baseline>) -> Self {
        let mut by_file: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, ignore) in ignores.iter().enumerate() {
            by_file.entry(ignore.place.0.clone()).or_default().push(at);
        }
        let mut baseline: BTreeMap<&Spot, Vec<(Cause, Mark)>> = BTreeMap::new();
        for entry in known.into_iter().flat_map(|known| &known.entries) {
            baseline.entry(&entry.spot).or_default().push((entry.cause, Mark::default()));
        }
        let ignores = ignores.into_iter().map(|ignore| (ignore, Mark::default())).collect();
        let rules = rules.iter().map(|rule| (rule, Mark::default())).collect();
        Self { ignores, by_file, rules, baseline }
    }

    /// Whether nothing was asked not to count.
    pub fn is_empty(&self) -> bool {
        self.ignores.is_empty() && self.rules.is_empty() && self.baseline.is_empty()
    }

    /// What does not count for a use, sorted; one waiver a cause, an ignore before the baseline.
    pub fn of(&self, found: &ImageUse, diagnosis: &Diagnosis, platforms: bool) -> Vec<Waiver> {
        let mut waived: BTreeMap<Cause, Waiver> = BTreeMap::new();
        let mut add = |waiver: Waiver| {
            waived.entry(waiver.cause).or_insert(waiver);
        };
        let file = found.site.place.as_ref().map(|place| &place.source.name);
        for at in file.and_then(|file| self.by_file.get(file)).into_iter().flatten() {
            let (ignore, mark) = &self.ignores[*at];
            if !ignore.covers(found) {
                continue;
            }
            if has(diagnosis, ignore.cause) {
                mark.raise(USED);
                add(Waiver::ignored(ignore.cause, &ignore.reason));
            } else {
                mark.raise(without(diagnosis, ignore.cause, platforms));
            }
        }
        for (rule, mark) in self.rules.iter().filter(|(rule, _)| names(rule, found)) {
            if has(diagnosis, rule.cause) {
                mark.raise(USED);
                add(Waiver::ignored(rule.cause, &rule.reason));
            } else {
                mark.raise(without(diagnosis, rule.cause, platforms));
            }
        }
        self.known(&Spot::of(found), diagnosis, platforms).into_iter().for_each(add);
        waived.into_values().collect()
    }

    /// What does not count for a text that does not parse.
    pub fn of_broken(&self, file: &str, diagnosis: &Diagnosis) -> Vec<Waiver> {
        self.known(&Spot::of_broken(file), diagnosis, true)
    }

    fn known(&self, spot: &Spot, diagnosis: &Diagnosis, platforms: bool) -> Vec<Waiver> {
        let mut waived = Vec::new();
        for (cause, mark) in self.baseline.get(spot).into_iter().flatten() {
            if baseline::causes(diagnosis).any(|found| found == *cause) {
                mark.raise(USED);
                waived.push(Waiver::in_baseline(*cause));
            } else {
                mark.raise(without(diagnosis, *cause, platforms));
            }
        }
        waived
    }

    /// Takes out the notes that are ignored and adds what was asked for nothing.
    pub fn finish(self, notes: &mut Vec<Note>) {
        notes.retain(|note| {
            let mut spoken_of = self.ignores.iter().filter(|(ignore, _)| ignore.covers_note(note));
            let first = spoken_of.next();
            first.iter().for_each(|(_, mark)| mark.raise(USED));
            first.is_none()
        });
        for (ignore, mark) in &self.ignores {
            let text = match mark.get() {
                UNMET => format!("nothing here could be {}, so nothing is ignored", ignore.cause),
                UNUSED => format!("nothing here is {}: the ignore can go", ignore.cause),
                _ => continue,
            };
            let place = Some(ignore.place.clone());
            notes.push(Note { id: "unused-ignore", text, place, object: None });
        }
        for (rule, mark) in &self.rules {
            let image = clean(rule.image.as_str(), SHOWN);
            let (id, text) = match mark.get() {
                UNMET => {
                    (UNMET_RULE, format!("[[ignore]] of \"{image}\": no image here is named so"))
                }
                UNUSED => {
                    let text = format!(
                        "[[ignore]] of \"{image}\": none of these images is {}: the rule can go",
                        rule.cause
                    );
                    ("unused-ignore", text)
                }
                _ => continue,
            };
            notes.push(Note { id, text, place: None, object: None });
        }
        self.tell_gone(notes);
    }

    fn tell_gone(&self, notes: &mut Vec<Note>) {
        let entries = self.baseline.iter().flat_map(|(spot, causes)| {
            causes.iter().map(move |(cause, mark)| (spot, cause, mark.get()))
        });
        let gone: Vec<_> = entries.filter(|(.., mark)| *mark <= UNUSED).collect();
        let mut tell = |text| {
            notes.push(Note { id: "baseline-entry-gone", text, place: None, object: None });
        };
        for (spot, cause, _) in gone.iter().take(TOLD) {
            let Spot { image, kind, namespace, name, path } = spot;
            let at = [kind, namespace, name, path].map(String::as_str);
            let at: Vec<&str> = at.into_iter().filter(|word| !word.is_empty()).collect();
            let text = format!("{cause} {image} ({}) is not found any more", at.join(" "));
            tell(text.replace("  ", " "));
        }
        if gone.len() > TOLD {
            let more = gone.len() - TOLD;
            tell(format!("{more} more entries of the baseline are not found any more"));
        }
    }
}

/// Whether a diagnosis holds a cause that can be ignored in it.
fn has(diagnosis: &Diagnosis, cause: Cause) -> bool {
    outcome_cause(&diagnosis.outcome) == Some(cause)
        || diagnosis.findings.iter().any(|listed| listed.cause == cause)
}

/// What a use without a finding means for the waiver of it.
fn without(diagnosis: &Diagnosis, cause: Cause, platforms: bool) -> u8 {
    use Cause::{
        LatestTag, PlatformMissing, PlatformPartial, PlatformWrong, UnresolvedPlaceholder,
    };
    let not_judged = matches!(diagnosis.outcome, Outcome::Inconclusive { .. });
    let can_show = match cause {
        PlatformMissing | PlatformPartial | PlatformWrong => platforms && !not_judged,
        LatestTag | UnresolvedPlaceholder => true,
        // Other hygiene shows only where a policy, a lock file or a cluster is at hand.
        cause => !not_judged && cause.class() != Class::Hygiene,
    };
    if can_show { UNUSED } else { UNDECIDED }
}

/// Whether a rule of the settings speaks of the image.
fn names(rule: &IgnoreRule, found: &ImageUse) -> bool {
    let of_reference = found.reference.as_ref().is_ok_and(|reference| {
        rule.image.matches(reference.keyring_lookup()) || rule.image.matches(&reference.familiar())
    });
    of_reference || rule.image.matches(&found.text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::{Listed, Reason, without_asking};
    use crate::policy::glob::Glob;
    use crate::report::sample;

    fn rule(image: &str, cause: Cause) -> IgnoreRule {
        IgnoreRule { image: Glob::new(image), cause, reason: "known".to_owned() }
    }

    #[test]
    fn rules_of_the_settings_match_every_spelling_and_only_their_cause() {
        let report = sample::report();
        let (found, diagnosis) = (&report.results[0].uses[0], &report.results[0].diagnosis);
        for image in ["docker.io/library/*", "nginx:*", "**"] {
            let rules = [rule("ghcr.io/**", Cause::TagNotFound), rule(image, Cause::TagNotFound)];
            let waived = Waivers::new(Vec::new(), &rules, None).of(found, diagnosis, false);
            assert_eq!(waived, [Waiver::ignored(Cause::TagNotFound, "known")], "{image}");
        }
        let rules = [rule("**", Cause::LatestTag)];
        assert_eq!(Waivers::new(Vec::new(), &rules, None).of(found, diagnosis, false), []);
    }

    #[test]
    fn only_what_could_have_shown_is_called_unused() {
        let late =
            without_asking(Outcome::Inconclusive { reason: Reason::OutOfTime }, String::new(), "");
        let good = without_asking(Outcome::Pullable, String::new(), "");
        assert_eq!(without(&good, Cause::TagNotFound, false), UNUSED);
        assert_eq!(without(&late, Cause::TagNotFound, false), UNDECIDED);
        assert_eq!(without(&late, Cause::LatestTag, false), UNUSED);
        assert_eq!(without(&good, Cause::Unpinned, false), UNDECIDED);
        assert_eq!(without(&good, Cause::PlatformMissing, false), UNDECIDED);
        assert_eq!(without(&good, Cause::PlatformMissing, true), UNUSED);
    }

    #[test]
    fn a_baseline_knows_hygiene_beside_any_outcome_and_tells_what_is_gone() {
        let report = sample::report();
        let mut diagnosis = report.results[0].diagnosis.clone();
        let baseline = Baseline::of(&report);
        let found = &report.results[0].uses[0];
        let waivers = Waivers::new(Vec::new(), &[], Some(&baseline));
        let causes = |diagnosis: &Diagnosis| -> Vec<Cause> {
            waivers.of(found, diagnosis, false).iter().map(|waiver| waiver.cause).collect()
        };
        assert_eq!(causes(&diagnosis), [Cause::TagNotFound, Cause::Unpinned]);
        diagnosis.outcome = Outcome::Inconclusive { reason: Reason::OutOfTime };
        diagnosis.findings.retain(|listed: &Listed| listed.cause == Cause::Unpinned);
        assert_eq!(causes(&diagnosis), [Cause::Unpinned]);
        let mut notes = Vec::new();
        waivers.finish(&mut notes);
        assert_eq!(notes.len(), baseline.entries.len() - 2);
        assert!(notes.iter().all(|note| note.id == "baseline-entry-gone"));
        assert_eq!(
            notes[0].text,
            "unparsable-manifest (apps/web/broken.yaml) is not found any more"
        );
    }
}
