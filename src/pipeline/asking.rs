//! Questions to answers: put in an order that lets no host hold up another, within the time there is,
//! with the Pod's credentials first and a person's own where those were refused.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::order::Lines;
use super::questions::{Group, Task};
use super::unasked::{out_of_time, throttled};
use super::verdicts::Bench;
use super::{Progress, Road, Surroundings};
use crate::credential::own::OwnLogins;
use crate::diagnosis::{Cause, Context, Diagnosis, Outcome, Question, Reason, diagnose};
use crate::policy::wants;
use crate::registry::{Toll, another_login_may_help};
use crate::report::Result as Answered;

/// What all questions of a run are asked with.
pub(super) struct Asking<'a> {
    /// The person's own logins; `None`: they are not tried.
    pub own: Option<&'a OwnLogins>,
    pub bench: &'a Bench<'a>,
    /// `None`: the limits of the registry are enough.
    pub around: Option<&'a Surroundings>,
}

impl Road<'_> {
    /// Asks with the Pod's credentials, and looks the person's own up only where those are refused.
    async fn ask(
        &self,
        question: &mut Question,
        context: &mut Context,
        asking: &Asking<'_>,
    ) -> Diagnosis {
        let deadline = || match asking.around {
            Some(around) => around.deadline - A_LITTLE,
            None => self.registry.deadline(),
        };
        let began = tokio::time::Instant::now();
        let admits = asking.around.and_then(|around| around.admits.as_deref());
        let toll = Toll::by(admits.map(|admits| admits as _));
        let mut answer = self.registry.ask_for(question, deadline(), &toll).await;
        if toll.was_refused() && answer.found().is_none() {
            return throttled(&question.reference);
        }
        if let Some(own) = asking.own
            && another_login_may_help(&answer)
        {
            let found = Box::pin(own.of(&question.reference)).await;
            context.own_failures =
                found.failures.iter().map(|failed| failed.failure.to_string()).collect();
            context.own_failures.dedup();
            question.own = found.candidates;
            Box::pin(self.registry.ask_own(question, deadline(), &mut answer)).await;
        }
        let diagnosis = diagnose(question, &answer, context);
        match asking.around {
            Some(around) if was_cut(&diagnosis, around) => {
                let late = out_of_time(&question.reference, answer.late_host(), began.elapsed());
                let Diagnosis { findings, remarks, .. } = diagnosis;
                Diagnosis { findings, remarks, ..late }
            }
            _ => diagnosis,
        }
    }

    async fn ask_in_time(
        &self,
        question: &mut Question,
        context: &mut Context,
        asking: &Asking<'_>,
    ) -> Diagnosis {
        let Some(around) = asking.around else {
            return self.ask(question, context, asking).await;
        };
        let began = tokio::time::Instant::now();
        let in_time = {
            let answer = pin!(self.ask(question, context, asking));
            tokio::time::timeout_at(around.deadline, answer).await
        };
        in_time.unwrap_or_else(|_| out_of_time(&question.reference, None, began.elapsed()))
    }

    pub(super) async fn ask_all(
        &self,
        groups: Vec<Group>,
        asking: &Asking<'_>,
        progress: Progress<'_>,
    ) -> Vec<Answered> {
        let total = groups.iter().filter(|group| matches!(group.task, Task::Ask(..))).count();
        let mut lines = Lines::new(groups, Group::host);
        let mut asked = FuturesUnordered::new();
        let (mut results, mut done) = (Vec::new(), 0);
        progress(0, total);
        let answer = |(line, group)| async move { (line, self.answer(group, asking).await) };
        while let Some(next) = lines.next() {
            asked.push(answer(next));
        }
        while let Some((line, (answers, was_asked))) = asked.next().await {
            if let Some(next) = lines.done(line) {
                asked.push(answer(next));
            }
            results.extend(answers);
            if was_asked {
                done += 1;
                progress(done, total);
            }
        }
        results
    }

    /// The results of one group, and whether anybody was asked for them.
    pub(super) async fn answer(&self, group: Group, asking: &Asking<'_>) -> (Vec<Answered>, bool) {
        let Group { uses, task, wanted } = group;
        let (diagnosis, was_asked) = match task {
            Task::Known(diagnosis) => (*diagnosis, false),
            Task::Ask(mut question, mut context) => {
                let mut diagnosis = self.ask_in_time(&mut question, &mut context, asking).await;
                wants::weigh(&wanted, &mut diagnosis.lacking);
                (diagnosis, true)
            }
        };
        let wanted = wanted.into_iter().map(|(platform, wish)| (platform, wish.origin)).collect();
        (self.answered(uses, diagnosis, wanted, asking.bench), was_asked)
    }
}

/// What a review keeps back of its time, so that what was known before can stand in.
const A_LITTLE: Duration = Duration::from_millis(100);

/// Whether the review's own time ended the wait for a registry, which may yet answer. Who joined
/// another's question may have waited a little less.
fn was_cut(diagnosis: &Diagnosis, around: &Surroundings) -> bool {
    let is_late = tokio::time::Instant::now() + A_LITTLE / 2 >= around.deadline - A_LITTLE;
    let timeout = Outcome::Inconclusive { reason: Reason::Seen(Cause::Timeout) };
    is_late && diagnosis.outcome == timeout
}
