//! Questions beyond the Pod's own credentials: the logins of the person who asks, tried only where the
//! Pod's were refused, and one login alone.

use tokio::time::Instant;

use super::{Place, Registry, no_attempt};
use crate::credential::Candidate;
use crate::diagnosis::Question;
use crate::diagnosis::cause::Reason;
use crate::diagnosis::evidence::{Answer, Attempt, Reply, Repository, Whose};
use crate::image::Reference;

impl Registry {
    /// Adds to an answer what the logins of the person who asks find out, where the Pod's were
    /// refused; for logins that are only looked up then. Ends within the limit for a question.
    pub async fn ask_own(&self, question: &Question, answer: &mut Answer) {
        let deadline = Instant::now() + self.limits.question;
        let Some(host) = self.host(&question.reference) else { return };
        let place = Place { host: &host, reference: &question.reference, deadline };
        self.attempt_own(&place, question, answer).await;
        if !question.platforms.is_empty() {
            answer.contents = self.contents(&place, question, answer).await;
        }
    }

    /// Asks with one login alone, or with none.
    pub async fn ask_as(&self, reference: &Reference, candidate: Option<&Candidate>) -> Attempt {
        let mut answer = Answer::default();
        if let Some(host) = self.host(reference) {
            let deadline = Instant::now() + self.limits.question;
            let place = Place { host: &host, reference, deadline };
            self.attempt(&place, candidate, Whose::Pod, &mut answer).await;
        }
        answer.attempts.pop().unwrap_or_else(|| no_attempt(reference))
    }

    pub(super) async fn attempt_own(
        &self,
        place: &Place<'_>,
        question: &Question,
        answer: &mut Answer,
    ) {
        if !another_login_may_help(answer) {
            return;
        }
        for candidate in &question.own {
            if self.attempt(place, Some(candidate), Whose::Own, answer).await {
                break;
            }
        }
    }
}

/// Whether the image was not found and a login that was not tried could change that.
pub fn another_login_may_help(answer: &Answer) -> bool {
    answer.found().is_none() && answer.attempts.iter().all(login_may_help)
}

/// Whether another login could change what was answered.
fn login_may_help(attempt: &Attempt) -> bool {
    match (&attempt.reply, &attempt.repository) {
        (_, Repository::Readable { .. }) => false,
        (Reply::Refused(refusal), _) => matches!(refusal.status, 401 | 403 | 404),
        (Reply::Trouble(trouble), _) => trouble.reason == Reason::RealmNotTrusted,
        (Reply::Found(_), _) => false,
    }
}
