//! Servers that end with the test: each set of them is run by `keep.sh`, which waits at a pipe that
//! closes when its owner is dropped, when the test process ends, and when it is killed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal};

use super::assets;

/// Some servers and the folder that they live in; dropping it ends and removes all.
pub struct Keeper {
    folder: PathBuf,
    child: Child,
}

/// A server to run: a short name and its command line.
pub struct Server {
    pub name: &'static str,
    pub line: Vec<String>,
}

impl Keeper {
    /// Runs the servers in a folder of their own (it is removed with them).
    pub fn start(folder: &Path, servers: &[Server]) -> Self {
        for part in ["run", "log", "pid"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
        for server in servers {
            let words: Vec<String> = server.line.iter().map(|word| quoted(word)).collect();
            let line = format!("exec {}\n", words.join(" "));
            std::fs::write(folder.join("run").join(server.name), line).unwrap();
        }
        let child = Command::new("sh")
            .arg(assets::script("keep.sh"))
            .arg(folder)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Self { folder: folder.to_owned(), child }
    }

    /// Whether the server still runs; one that has not started yet counts.
    pub fn lives(&self, name: &str) -> bool {
        let Some(pid) = self.pid(name) else { return true };
        // What has ended stays in the table until its parent asks, and then has no command line.
        std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()))
            .is_ok_and(|line| !line.is_empty())
    }

    /// Sends a signal to one server, `STOP` and `CONT` for instance.
    pub fn signal(&self, name: &str, signal: Signal) {
        rustix::process::kill_process(self.pid(name).unwrap(), signal).unwrap();
    }

    /// The last lines that a server wrote.
    pub fn log(&self, name: &str) -> String {
        let log = std::fs::read(self.folder.join("log").join(name)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    fn pid(&self, name: &str) -> Option<Pid> {
        let text = std::fs::read_to_string(self.folder.join("pid").join(name)).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A word as the shell reads it back.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
