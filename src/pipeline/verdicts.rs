//! The end of the road: an answer's diagnosis to results, with the verdict of each use and what does
//! not count for some of them.

use std::collections::BTreeMap;

use super::places::place_of_use;
use super::{Labels, Road, subject};
use crate::diagnosis::{Cause, Certainty, Diagnosis, Listed, Outcome, without_asking};
use crate::image::usage::Ownership;
use crate::image::{ImageUse, Platform};
use crate::logins::{DEFAULT_ACCOUNT, DEFAULT_NAMESPACE};
use crate::manifest::Broken;
use crate::policy::matching::Subject;
use crate::policy::waiver::judge_rest;
use crate::policy::{Action, Verdict, Waiver, hygiene};
use crate::report::Result as Answered;
use crate::waivers::Waivers;

/// What the verdicts of a run are made by, beside the policies.
pub(super) struct Bench<'a> {
    /// Labels of the namespaces that were read.
    pub labels: &'a Labels,
    pub waivers: Waivers<'a>,
}

impl Road<'_> {
    /// The results of an answer: one, unless something does not count for some of the uses, which
    /// then have a result of their own.
    pub(super) fn answered(
        &self,
        mut uses: Vec<ImageUse>,
        diagnosis: Diagnosis,
        wanted: BTreeMap<Platform, String>,
        bench: &Bench<'_>,
    ) -> Vec<Answered> {
        uses.sort_by_cached_key(place_of_use);
        if bench.waivers.is_empty() {
            return vec![self.judged(uses, diagnosis, wanted, Vec::new(), bench)];
        }
        let mut parts: BTreeMap<Vec<Waiver>, Vec<ImageUse>> = BTreeMap::new();
        for found in uses {
            let mut own = diagnosis.clone();
            hygiene::add(self.policies, &subject(&found, bench.labels), &mut own);
            hygiene::add_of_use(&found, self.is_local(&found), &mut own);
            let waived = bench.waivers.of(&found, &own, !wanted.is_empty());
            parts.entry(waived).or_default().push(found);
        }
        let part = |(waived, uses): (Vec<Waiver>, Vec<ImageUse>)| {
            self.judged(uses, diagnosis.clone(), wanted.clone(), waived, bench)
        };
        parts.into_iter().map(part).collect()
    }

    /// A result: the diagnosis, what is unwise about the uses, and the strictest verdict among them.
    fn judged(
        &self,
        uses: Vec<ImageUse>,
        mut diagnosis: Diagnosis,
        wanted: BTreeMap<Platform, String>,
        waived: Vec<Waiver>,
        bench: &Bench<'_>,
    ) -> Answered {
        let mut verdict: Option<Verdict> = None;
        let mut lowered: Option<&str> = None;
        let (seen, mut unwise) = (diagnosis.findings.len(), Vec::<Listed>::new());
        for found in &uses {
            let subject = subject(found, bench.labels);
            hygiene::add(self.policies, &subject, &mut diagnosis);
            hygiene::add_of_use(found, self.is_local(found), &mut diagnosis);
            let mut judged = judge_rest(self.rules(), &subject, &diagnosis, &waived);
            // A text that merely looks like an image must not stop anybody, nor what no node pulls.
            let never = diagnosis.never_pulled.then_some("no node pulls this image");
            let why = found.guess.then_some("this is a guess at an image").or(never);
            if why.is_some() && judged.action > Action::Warn {
                judged.action = Action::Warn;
                lowered = why;
            }
            if verdict.as_ref().is_none_or(|strictest| judged.action > strictest.action) {
                verdict = Some(judged);
            }
            // What is unwise for one use must not be judged by the policies of the next.
            for listed in diagnosis.findings.drain(seen..) {
                if unwise.iter().all(|known| known.cause != listed.cause) {
                    unwise.push(listed);
                }
            }
        }
        diagnosis.findings.extend(unwise);
        if let Some(why) = lowered
            && verdict.as_ref().is_some_and(|strictest| strictest.action == Action::Warn)
        {
            diagnosis.remarks.push(format!("only a warning, since {why}"));
        }
        let verdict = verdict.unwrap_or(Verdict {
            action: Action::Allow,
            policy: None,
            rule: "action".to_owned(),
        });
        let image = uses.first().map(|found| found.text.clone()).unwrap_or_default();
        Answered { image, uses, broken: None, diagnosis, verdict, waived, wanted }
    }

    pub(super) fn unparsable(&self, broken: Broken, bench: &Bench<'_>) -> Answered {
        let outcome =
            Outcome::Finding { cause: Cause::UnparsableManifest, certainty: Certainty::Certain };
        let reason = crate::text::clean(&broken.reason, crate::text::SHOWN);
        let mut diagnosis = without_asking(
            outcome,
            format!("this is no usable manifest: {reason}"),
            "does not parse",
        );
        (diagnosis.pulls, diagnosis.runs) = (None, None);
        let subject = Subject {
            namespace: DEFAULT_NAMESPACE,
            namespace_labels: None,
            service_account: DEFAULT_ACCOUNT,
            ownership: Ownership::Workload,
            reference: None,
        };
        let waived = bench.waivers.of_broken(&broken.place.source.name, &diagnosis);
        let verdict = judge_rest(self.rules(), &subject, &diagnosis, &waived);
        Answered {
            image: String::new(),
            uses: Vec::new(),
            broken: Some(broken),
            diagnosis,
            verdict,
            waived,
            wanted: BTreeMap::new(),
        }
    }
}
