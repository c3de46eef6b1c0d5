//! Questions beyond the Pod's own credentials: the logins of the person who asks, tried only where the
//! Pod's were refused, and logins each alone.

use tokio::time::Instant;

use super::{Host, LazyMask, Nobody, Place, Registry, mask, no_attempt};
use crate::credential::Candidate;
use crate::diagnosis::Question;
use crate::diagnosis::cause::Reason;
use crate::diagnosis::evidence::{Answer, Attempt, Reply, Repository, Whose};
use crate::image::Reference;

impl Registry {
    /// Adds to an answer what the logins of the person who asks find out, where the Pod's were
    /// refused; for logins that are only looked up then. Ends by the deadline.
    pub async fn ask_own(&self, question: &Question, deadline: Instant, answer: &mut Answer) {
        let Ok(way) = self.hosts.way(&question.reference) else { return };
        let mask = mask(question);
        let place = way.place(question, deadline, &mask);
        let let_in = self.attempt_own(&place, question, answer).await;
        self.add_contents(&place, question, let_in, answer).await;
    }

    /// Asks the image's own host, no mirror, with each login alone and then with none: one attempt
    /// for each.
    pub async fn ask_each(&self, reference: &Reference, logins: &[&Candidate]) -> Vec<Attempt> {
        let logins_and_nobody = logins.iter().map(|login| Some(*login)).chain([None]);
        let Some(host) = self.hosts.own(reference) else {
            let nothing = |_| no_attempt(reference, Nobody::NoAddress);
            return logins_and_nobody.map(nothing).collect();
        };
        let mask = LazyMask::new(logins.iter().map(|login| &login.credential));
        let mut answer = Answer::default();
        for login in logins_and_nobody {
            let place = Place::of(&host, reference, self.deadline(), &mask);
            self.attempt(&place, login, Whose::Pod, &mut answer).await;
        }
        answer.attempts
    }

    /// The login that was let in, if any was, and where.
    pub(super) async fn attempt_own<'a>(
        &self,
        place: &Place<'a>,
        question: &'a Question,
        answer: &mut Answer,
    ) -> Option<(Option<&'a Candidate>, &'a Host)> {
        if !another_login_may_help(answer) {
            return None;
        }
        for candidate in &question.own {
            if let Some(host) = self.attempt(place, Some(candidate), Whose::Own, answer).await {
                return Some((Some(candidate), host));
            }
        }
        None
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
