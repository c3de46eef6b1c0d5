//! Credential helpers: `docker-credential-<name> get`, as Docker and podman run them. The one place of
//! this module with I/O.
//!
//! Only what a person's own configuration names is ever run, found in the absolute folders of PATH,
//! once a server and process, bounded in time and output, and killed with its children when late.
//! That there is no login and that a helper failed are different answers; a failure never shows what
//! may be a secret.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::{OnceCell, Semaphore};

use super::{Credential, go_json};
use crate::text::clean;

/// What one run may cost.
#[derive(Debug, Clone)]
pub struct Bounds {
    pub deadline: Duration,
    /// Bytes of its answer.
    pub output: usize,
}

/// Helpers that run at the same time.
const AT_ONCE: usize = 4;
/// Bytes kept of what a helper says on standard error.
const WORDS: usize = 4096;
/// Characters shown of what a helper says.
const SHOWN: usize = 160;
/// What a helper says when it has no login for a server.
const NONE: &str = "credentials not found in native keychain";
/// The user name that marks the secret as an identity token.
const TOKEN_USER: &str = "<token>";

/// A helper that gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The name behind `docker-credential-`.
    pub helper: String,
    /// The server it was asked for.
    pub server: String,
    pub what: What,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (helper, server) = (clean(&self.helper, 80), clean(&self.server, 255));
        write!(f, "docker-credential-{helper} for {server} {}", self.what)
    }
}

/// What went wrong with a helper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Its name could lead out of PATH.
    BadName,
    NotInPath,
    /// It did not start, for this reason.
    NotStarted(String),
    Late(Duration),
    /// Its answer is longer than this.
    TooLong(usize),
    /// It ended well and did not answer with a login.
    BadAnswer(&'static str),
    /// It ended like this, saying that.
    Failed {
        how: String,
        said: String,
    },
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::BadName => f.write_str("is not run: no name of a program"),
            What::NotInPath => f.write_str("is not in PATH"),
            What::NotStarted(why) => write!(f, "does not start: {why}"),
            What::Late(after) => write!(f, "gave no answer in {after:?}"),
            What::TooLong(cap) => write!(f, "answered more than {cap} bytes"),
            What::BadAnswer(why) => write!(f, "answered {why}"),
            What::Failed { how, said } if said.is_empty() => write!(f, "failed ({how})"),
            What::Failed { how, said } => write!(f, "failed ({how}): {said}"),
        }
    }
}

/// A login, or none for this server, or why that could not be told.
type Answer = Result<Option<Credential>, What>;
/// A helper and a server.
type Key = (String, String);

/// All helpers of a process.
pub struct Helpers {
    folders: Vec<PathBuf>,
    bounds: Bounds,
    answers: Mutex<HashMap<Key, Arc<OnceCell<Answer>>>>,
    permits: Semaphore,
}

impl Helpers {
    /// Helpers are looked for in these folders; a relative one would be the checked folder's to fill.
    pub fn new(folders: impl IntoIterator<Item = PathBuf>, bounds: Bounds) -> Self {
        Self {
            folders: folders.into_iter().filter(|folder| folder.is_absolute()).collect(),
            bounds,
            answers: Mutex::default(),
            permits: Semaphore::new(AT_ONCE),
        }
    }

    /// The login a helper has for a server; every helper is asked once for each.
    pub async fn get(&self, helper: &str, server: &str) -> Result<Option<Credential>, Failure> {
        let key = (helper.to_owned(), server.to_owned());
        let cell = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.entry(key).or_default().clone()
        };
        let answer = cell.get_or_init(|| self.ask(helper, server)).await;
        answer.clone().map_err(|what| Failure {
            helper: helper.to_owned(),
            server: server.to_owned(),
            what,
        })
    }

    async fn ask(&self, helper: &str, server: &str) -> Answer {
        let program = self.program(helper)?;
        let _permit = self.permits.acquire().await;
        tracing::debug!("docker-credential-{helper} get, for {server}");
        let mut command = Command::new(program);
        command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn().map_err(|error| What::NotStarted(error.kind().to_string()))?;
        let mut running = Running(child);
        let answer = tokio::time::timeout(
            self.bounds.deadline,
            running.converse(server.as_bytes(), self.bounds.output),
        );
        answer.await.unwrap_or(Err(What::Late(self.bounds.deadline)))
    }

    fn program(&self, helper: &str) -> Result<PathBuf, What> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if helper.is_empty() || !helper.bytes().all(is_plain) {
            return Err(What::BadName);
        }
        let name = format!("docker-credential-{helper}{}", std::env::consts::EXE_SUFFIX);
        let mut places = self.folders.iter().map(|folder| folder.join(&name));
        places.find(|file| is_program(file)).ok_or(What::NotInPath)
    }
}

impl fmt::Debug for Helpers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Helpers").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

#[cfg(unix)]
fn is_program(file: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &std::path::Path) -> bool {
    file.is_file()
}

/// A helper at work, in a process group of its own; whoever lets go of it before it has ended kills
/// it with its children.
struct Running(Child);

impl Running {
    async fn converse(&mut self, server: &[u8], cap: usize) -> Answer {
        let (stdin, stdout, stderr) =
            (self.0.stdin.take(), self.0.stdout.take(), self.0.stderr.take());
        let tell = async {
            if let Some(mut stdin) = stdin {
                // A helper that does not read what it is asked may answer all the same.
                let _ = stdin.write_all(server).await;
            }
            Ok(())
        };
        let ((), out, err) =
            tokio::try_join!(tell, whole(stdout, cap), async { Ok(beginning(stderr).await) })?;
        let status =
            self.0.wait().await.map_err(|error| What::NotStarted(error.kind().to_string()))?;
        if status.success() {
            return login(&out);
        }
        let (out, err) = (go_json::lossy(&out), go_json::lossy(&err));
        if out.contains(NONE) || err.contains(NONE) {
            return Ok(None);
        }
        // Helpers tell an error on standard output.
        let said = [words(&out), words(&err)].into_iter().find(|said| !said.is_empty());
        Err(What::Failed { how: status.to_string(), said: said.unwrap_or_default() })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Without an id it has ended and was waited for: the group is no longer ours.
        #[cfg(unix)]
        if let Some(id) = self.0.id()
            && let Some(group) = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// All of an answer, or that it is too long.
async fn whole(from: Option<impl AsyncRead + Unpin>, cap: usize) -> Result<Vec<u8>, What> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What a broken pipe cut off is no JSON.
        let _ = from.take(cap as u64 + 1).read_to_end(&mut bytes).await;
    }
    if bytes.len() > cap { Err(What::TooLong(cap)) } else { Ok(bytes) }
}

/// The first bytes; the rest is read and dropped, so that the writer does not wait.
async fn beginning(from: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let Some(mut from) = from else { return bytes };
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        bytes.extend_from_slice(&buffer[..read.min(WORDS - bytes.len())]);
    }
    bytes
}

/// What a helper says, without what may be an answer with a secret in it.
fn words(said: &str) -> String {
    let end = said.find('{').unwrap_or(said.len());
    clean(said[..end].trim(), SHOWN)
}

/// Reads `{"ServerURL", "Username", "Secret"}`, whose names Go matches without regard to case.
fn login(answer: &[u8]) -> Answer {
    let text = go_json::text(answer);
    let members = go_json::object(&text).map_err(|_| What::BadAnswer("with no JSON object"))?;
    let (mut user, mut secret) = (String::new(), String::new());
    for (name, value) in members.unwrap_or_default() {
        let field = match &name {
            name if go_json::is_field(name, "username") => &mut user,
            name if go_json::is_field(name, "secret") => &mut secret,
            _ => continue,
        };
        let value = go_json::string(value).map_err(|_| What::BadAnswer("with no text as login"))?;
        *field = value.unwrap_or(std::mem::take(field));
    }
    match (user.as_str(), secret.as_str()) {
        (_, "") => Ok(None),
        ("", _) => Err(What::BadAnswer("without a user")),
        (TOKEN_USER, _) => Ok(Some(Credential::identity_token(secret))),
        _ => Ok(Some(Credential::new(user, secret))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_login_an_identity_token_or_nothing() {
        let of = |answer: &str| login(answer.as_bytes());
        let user = of(r#"{"ServerURL":"r.io","Username":"ci","Secret":"pw"}"#);
        assert_eq!(user, Ok(Some(Credential::new("ci", "pw"))));
        let token = of(r#"{"username":"<token>","secret":"tok"}"#).unwrap().unwrap();
        assert_eq!((token.user().as_ref(), token.password_bytes()), ("", b"tok".as_slice()));
        assert_eq!(of(r#"{"Username":"","Secret":""}"#), Ok(None));
        assert_eq!(of("{}"), Ok(None));
        for bad in ["", "CANARY", "[]", r#"{"Secret":"CANARY"}"#, r#"{"Username":1,"Secret":"x"}"#]
        {
            let failure = of(bad).unwrap_err();
            assert!(!failure.to_string().contains("CANARY"), "{failure}");
        }
    }

    #[test]
    fn words_stop_where_an_answer_with_a_secret_may_begin() {
        assert_eq!(words(" no session\n"), "no session");
        assert_eq!(words("oops {\"Secret\":\"CANARY\"}"), "oops");
        assert_eq!(words("\u{1b}[31mred"), "\u{fffd}[31mred");
        assert!(words(&"x".repeat(10_000)).chars().count() <= SHOWN + 1);
    }

    #[test]
    fn names_that_lead_out_of_path_are_not_run() {
        let helpers = Helpers::new(
            ["/".into(), ".".into()],
            Bounds { deadline: Duration::from_secs(1), output: 1 },
        );
        assert_eq!(helpers.folders, [PathBuf::from("/")]);
        for name in ["", "../x", "a/b", "a b", "x\0", "é"] {
            assert_eq!(helpers.program(name), Err(What::BadName), "{name:?}");
        }
        assert_eq!(helpers.program("..no-such"), Err(What::NotInPath));
    }
}
