//! Uses of images to questions: what is asked for each, with which credentials and platforms, and which
//! uses ask the same and are asked about once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::unasked::{broken_secret, no_reference, not_asked};
use super::{Around, Credentials, Labels, Road, subject};
use crate::credential::{Candidate, Source};
use crate::diagnosis::{Context, Diagnosis, PodLogin, Question};
use crate::image::platform::Runtime;
use crate::image::usage::Workload;
use crate::image::{ImageUse, Platform, Role};
use crate::logins::Login;
use crate::policy::matching::Subject;
use crate::policy::wants::{self, Asked, Landing, Wanted, Whose};
use crate::registry::identity::Identity;
use crate::settings::NodeCredentials;

/// Uses that ask the same thing.
pub(super) struct Group {
    pub uses: Vec<ImageUse>,
    pub task: Task,
    pub wanted: Wanted,
}

impl Group {
    /// Who is asked; nobody for what is known.
    pub fn host(&self) -> String {
        match &self.task {
            Task::Known(_) => String::new(),
            Task::Ask(question, _) => question.reference.registry().to_owned(),
        }
    }
}

/// What is to be done for a group.
pub(super) enum Task {
    /// Known without asking.
    Known(Box<Diagnosis>),
    Ask(Box<Question>, Box<Context>),
}

/// Why nobody is asked, and the secret that is to blame.
type Untold = (&'static str, Option<Source>);

/// What makes two uses ask the same thing.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// Known without asking: one result for each text and reason.
    Text(String, Option<Untold>),
    Question {
        pull_ref: String,
        candidates: Vec<(Identity, Source)>,
        platforms: Vec<(Platform, Whose)>,
        login: Box<PodLogin>,
        is_volume: bool,
        /// A flag that names an image asks for no Pod.
        has_pod: bool,
    },
}

impl Road<'_> {
    pub(super) fn groups<'l>(
        &self,
        uses: Vec<ImageUse>,
        logins: &dyn Fn(&Workload) -> Arc<Login>,
        labels: &Labels,
        around: &dyn Fn(&Workload) -> Around<'l>,
    ) -> Vec<Group> {
        let group = |found: ImageUse| {
            let login = match self.options.credentials {
                Credentials::Own => Arc::default(),
                Credentials::Pod | Credentials::Any => logins(&found.workload),
            };
            let around = around(&found.workload);
            let (known, task, wanted) = self.task(&found, &login, &subject(&found, labels), around);
            (known, Group { uses: vec![found], task, wanted })
        };
        if uses.len() == 1 {
            // There is nothing to tell it from.
            return uses.into_iter().map(|found| group(found).1).collect();
        }
        let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
        for (known, group) in uses.into_iter().map(group) {
            match groups.entry(self.key(known, &group)) {
                Entry::Vacant(free) => drop(free.insert(group)),
                Entry::Occupied(mut equal) => equal.get_mut().uses.extend(group.uses),
            }
        }
        groups.into_values().collect()
    }

    /// What makes other uses ask the same.
    fn key(&self, known: Option<Untold>, Group { uses, task, wanted }: &Group) -> Key {
        let (question, context) = match task {
            Task::Ask(question, context) => (question, context),
            Task::Known(_) => {
                let text = uses.first().map(|found| found.text.clone()).unwrap_or_default();
                return Key::Text(text, known);
            }
        };
        let who =
            |candidate: &Candidate| (self.registry.identity(candidate), candidate.source.clone());
        Key::Question {
            pull_ref: question.reference.pull_ref(),
            candidates: question.candidates.iter().map(who).collect(),
            platforms: wanted.iter().map(|(it, wish)| (it.clone(), wish.whose)).collect(),
            login: Box::new(context.pod_login.clone()),
            is_volume: context.is_volume,
            has_pod: !context.asker.is_empty(),
        }
    }

    /// What is to be done about one use.
    fn task(
        &self,
        found: &ImageUse,
        login: &Login,
        subject: &Subject<'_>,
        around: Around<'_>,
    ) -> (Option<Untold>, Task, Wanted) {
        let known = |known: Untold, diagnosis: Diagnosis| {
            (Some(known), Task::Known(Box::new(diagnosis)), BTreeMap::new())
        };
        let reference = match &found.reference {
            Ok(reference) => reference,
            Err(error) => return known(("invalid", None), no_reference(&found.text, *error)),
        };
        if let Some(why) = self.never_pulled(found) {
            let never_pulled = true;
            let diagnosis = Diagnosis { never_pulled, ..not_asked(reference, why) };
            return known((why, None), diagnosis);
        }
        if let Some((source, reason)) = &login.broken {
            let why = ("secret", Some(source.clone()));
            return known(why, broken_secret(source, reason, &found.workload));
        }
        let host = self.settings.registries.host(reference.registry());
        if let Some(why) = self.never_asked(&host) {
            return known((why, None), not_asked(reference, why));
        }
        let constraints = &found.workload.constraints;
        let asked = Asked { platforms: &self.options.platforms, instead: around.instead };
        let wanted = wants::platforms(self.policies, subject, constraints, asked, around.landing);
        let candidates = login.keyring.lookup(reference.keyring_lookup()).candidates;
        let mut pod_login = login.known.clone();
        if !candidates.is_empty() {
            pod_login.without_entry.clear();
        }
        let context = Context {
            asker: asker(&found.workload),
            is_volume: found.role == Role::Volume,
            nodes_may_log_in: host.node_credentials.map(|it| it == NodeCredentials::Unknown),
            pod_login,
            own_only: self.options.credentials == Credentials::Own,
            own_failures: Vec::new(),
            is_brief: around.is_brief,
        };
        let question = Question {
            reference: reference.clone(),
            candidates,
            own: Vec::new(),
            platforms: wanted.keys().cloned().collect(),
            runtimes: self.runtimes(around.landing),
            fresh: around.fresh,
        };
        (None, Task::Ask(Box::new(question), Box::new(context)), wanted)
    }

    /// Those of the nodes where they are known, else those the run was told of, else all.
    fn runtimes(&self, landing: Option<&Landing>) -> Vec<Runtime> {
        let of_nodes = landing.map(|landing| &landing.runtimes).filter(|known| !known.is_empty());
        let known = of_nodes.unwrap_or(&self.options.runtimes);
        if known.is_empty() { Runtime::ALL.to_vec() } else { known.clone() }
    }
}

/// `Deployment shop/cart`; empty where there is no object.
pub(super) fn asker(workload: &Workload) -> String {
    let object = &workload.object;
    let name = match (object.namespace.as_str(), object.name.as_str()) {
        ("", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    };
    crate::text::clean(format!("{} {name}", object.kind).trim(), 160)
}
