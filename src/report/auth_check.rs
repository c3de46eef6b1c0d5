//! Whether each credential for an image works: `pullproof.auth-check.v1` and a table. Never a
//! password.

use serde::Serialize;

use super::{json, outside};
use crate::credential::Candidate;
use crate::credential::own::HelperFailed;
use crate::diagnosis::Standing;

/// What each credential for one image came to.
#[derive(Debug, Clone, Copy)]
pub struct AuthCheck<'a> {
    /// As asked.
    pub image: &'a str,
    /// The name that credentials are looked up by.
    pub lookup: &'a str,
    /// Why the Pod's credentials cannot be used, for example a pull secret that does not decode.
    pub error: Option<&'a str>,
    pub rows: &'a [Row],
}

/// One credential that was asked alone, or one that could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `None`: nobody, or not known; empty for an identity token.
    pub user: Option<String>,
    /// `None`: anonymous.
    pub source: Option<String>,
    pub key: Option<String>,
    pub standing: Standing,
}

impl Row {
    /// A credential and how it stands.
    pub fn of(candidate: &Candidate, standing: Standing) -> Self {
        Self {
            user: Some(candidate.credential.user().into_owned()),
            source: Some(candidate.source.to_string()),
            key: Some(candidate.key.clone()),
            standing,
        }
    }

    /// Nobody.
    pub fn anonymous(standing: Standing) -> Self {
        Self { user: None, source: None, key: None, standing }
    }

    /// A helper that failed, so that nothing could be asked.
    pub fn failed(failed: &HelperFailed) -> Self {
        let text = format!("the credential helper failed: {}", failed.failure);
        Self {
            user: None,
            source: Some(failed.source.to_string()),
            key: Some(failed.failure.server.clone()),
            standing: Standing { works: None, status: None, text },
        }
    }

    /// Whether nobody asked.
    pub fn is_anonymous(&self) -> bool {
        self.source.is_none()
    }

    fn source(&self) -> &str {
        self.source.as_deref().unwrap_or("anonymous")
    }
}

/// `pullproof.auth-check.v1`
pub fn json(check: &AuthCheck) -> String {
    json::document(&Document {
        schema: "pullproof.auth-check.v1",
        image: check.image,
        lookup: check.lookup,
        error: check.error,
        candidates: check.rows.iter().map(Entry::of).collect(),
    })
}

/// A table, one line a credential, in the order they were asked.
pub fn text(check: &AuthCheck) -> String {
    let mut out = format!(
        "{} (looked up as {})\n",
        outside::first(check.image),
        outside::sentence(check.lookup)
    );
    if let Some(error) = check.error {
        let error = outside::sentence(error);
        out.push_str(&format!("  no credential of the Pod can be used: {error}\n"));
    }
    let rows = check.rows.iter().map(cells);
    let table: Vec<_> =
        [["USER", "SOURCE", "KEY", "RESULT"].map(str::to_owned)].into_iter().chain(rows).collect();
    let width = |at: usize| table.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let (user, source, key) = (width(0), width(1), width(2));
    for [a, b, c, result] in &table {
        out.push_str(&format!("  {a:user$}  {b:source$}  {c:key$}  {result}\n"));
    }
    out
}

fn cells(row: &Row) -> [String; 4] {
    let user = match row.user.as_deref() {
        None => "-".to_owned(),
        Some("") => "(no user)".to_owned(),
        Some(user) => outside::sentence(user),
    };
    let key = row.key.as_deref().map_or("-".to_owned(), outside::sentence);
    let Standing { works, status, text } = &row.standing;
    let result = match works {
        Some(true) if *status != Some(200) => format!("works, but the answer is {text}"),
        Some(true) => format!("works: {text}"),
        Some(false) => format!("refused with {text}"),
        None => format!("could not tell: {text}"),
    };
    [user, outside::sentence(row.source()), key, outside::sentence(&result)]
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    image: &'a str,
    lookup: &'a str,
    error: Option<&'a str>,
    candidates: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    user: Option<&'a str>,
    source: &'a str,
    key: Option<&'a str>,
    works: Option<bool>,
    status: Option<u16>,
    text: &'a str,
}

impl<'a> Entry<'a> {
    fn of(row: &'a Row) -> Self {
        let Standing { works, status, text } = &row.standing;
        Self {
            user: row.user.as_deref(),
            source: row.source(),
            key: row.key.as_deref(),
            works: *works,
            status: *status,
            text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::{Credential, Source};
    use crate::report::sample::HOSTILE;

    fn standing(works: Option<bool>, status: Option<u16>, text: &str) -> Standing {
        Standing { works, status, text: text.to_owned() }
    }

    fn row(user: &str, key: &str, standing: Standing) -> Row {
        let source = Source::Secret { namespace: "shop".into(), name: "ghcr-pull".into() };
        let credential = Credential::new(user, "canary");
        Row::of(&Candidate { credential, source, key: key.into() }, standing)
    }

    fn check(rows: &[Row]) -> AuthCheck<'_> {
        AuthCheck { image: "ghcr.io/acme/web:1", lookup: "ghcr.io/acme/web", error: None, rows }
    }

    #[test]
    fn lists_what_each_credential_came_to() {
        let rows = [
            row("ci-bot", "ghcr.io", standing(Some(true), Some(200), "200 sha256:5f1d")),
            row("", "ghcr.io", standing(Some(false), Some(401), "401 UNAUTHORIZED")),
            row(
                "dev",
                "ghcr.io",
                standing(Some(true), Some(404), "404; the repository is readable"),
            ),
            row("old", "https://ghcr.io/v1/", standing(None, None, "no answer in 15 s")),
            Row::anonymous(standing(Some(false), Some(401), "401 from the token service")),
        ];
        insta::assert_snapshot!("text", text(&check(&rows)));
        insta::assert_snapshot!("json", json(&check(&rows)));
    }

    #[test]
    fn b45_no_secret_and_no_command_is_shown() {
        let rows = [row(HOSTILE, HOSTILE, standing(None, None, HOSTILE))];
        let check = AuthCheck { image: "::error::x", error: Some(HOSTILE), ..check(&rows) };
        for shown in [text(&check), json(&check)] {
            assert!(!shown.contains(|c| c != '\n' && crate::text::is_unsafe(c)), "{shown}");
            assert!(!shown.contains("##[") && !shown.contains("canary"), "{shown}");
            assert!(!shown.lines().any(|line| line.trim_start().starts_with("::")), "{shown}");
        }
    }
}
