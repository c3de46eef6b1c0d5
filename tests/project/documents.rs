//! Commands in the documents exist: those of pullproof, and the targets of make.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use pullproof::diagnosis::Cause;

use super::{read, root};

const DOCUMENTS: [&str; 3] = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"];

/// Runs pullproof with nothing of this machine around it; its exit code, output and errors.
fn pullproof(arguments: &[String]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pullproof"))
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The command lines of fenced shell blocks, continued ones joined, comments left out. In a
/// `console` block commands stand behind `$ ` and the rest is what they print.
fn shell_lines(document: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut fence = None;
    let mut begun = None;
    for line in document.lines().map(str::trim) {
        if let Some(info) = line.strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(info) };
            continue;
        }
        let new = match fence {
            Some("sh" | "bash" | "shell") => Some(line),
            Some("console") => line.strip_prefix("$ "),
            _ => None,
        };
        let Some(whole) = begun.take().map(|begun| begun + line).or(new.map(str::to_owned)) else {
            continue;
        };
        match whole.strip_suffix('\\') {
            Some(part) => begun = Some(part.to_owned()),
            None => lines.push(whole),
        }
    }
    lines.retain(|line| !line.starts_with('#'));
    lines
}

/// The commands of a line: its words in quotes kept together, cut at pipes and the like, without
/// redirections, variables set before a command and a comment at the end.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut redirected = false;
    for word in words(line) {
        match word.as_str() {
            "#" => break,
            "|" | "||" | "&&" | ";" => {
                commands.push(Vec::new());
                redirected = false;
            }
            ">" | ">>" | "<" | "2>" | "&>" => redirected = true,
            _ if redirected => redirected = false,
            _ => {
                let command = commands.last_mut().expect("one is there");
                let name = word.split('=').next().unwrap_or_default();
                let sets = word.contains('=')
                    && name
                        .chars()
                        .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
                if !(command.is_empty() && sets) {
                    command.push(word);
                }
            }
        }
    }
    commands
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c.is_whitespace() => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            }
            None if c == ';' => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                words.push(";".to_owned());
            }
            _ => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// Why pullproof would not take these arguments: `--help` at the end is only reached when all before
/// it are understood.
fn refusal(arguments: &[String]) -> Option<String> {
    let mut line = arguments.to_vec();
    line.push("--help".to_owned());
    let (code, _, errors) = pullproof(&line);
    (code != Some(0)).then_some(errors)
}

/// The targets of the Makefile.
fn targets() -> BTreeSet<String> {
    let is_target = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    read("Makefile")
        .lines()
        .filter_map(|line| line.split_once(": ## "))
        .map(|(name, _)| name)
        .filter(is_target)
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_readme_shows_pullproof_and_only_commands_that_it_takes() {
    let mut shown = 0;
    for line in shell_lines(&read("README.md")) {
        for command in
            commands(&line).iter().filter(|c| c.first().is_some_and(|w| w == "pullproof"))
        {
            shown += 1;
            let refused = refusal(&command[1..]);
            assert!(refused.is_none(), "README.md: {line}\n{}", refused.unwrap_or_default());
        }
    }
    assert!(shown > 0, "README.md shows no command of pullproof");
}

#[test]
fn a_command_that_pullproof_does_not_take_is_seen() {
    let arguments = |line: &str| commands(line).remove(0)[1..].to_vec();
    for line in
        ["pullproof validate manifests/ -o json", "pullproof check - --platform linux/arm64"]
    {
        assert_eq!(refusal(&arguments(line)), None, "{line}");
    }
    for line in
        ["pullproof validat x", "pullproof validate x --no-such", "pullproof images -o xml x"]
    {
        assert!(refusal(&arguments(line)).is_some(), "{line}");
    }
}

#[test]
fn lines_of_a_shell_are_taken_apart() {
    let found = commands("A=1 kustomize build 'a b' | pullproof validate - > out.txt # why");
    assert_eq!(found, [vec!["kustomize", "build", "a b"], vec!["pullproof", "validate", "-"]]);
    let text = "```console\n$ pullproof images \\\n  x\npullproof says\n```\n```yaml\nimage: a\n```\n```sh\n# no\nmake\n```";
    assert_eq!(shell_lines(text), ["pullproof images x", "make"]);
}

#[test]
fn every_make_target_that_is_named_exists() {
    let targets = targets();
    assert!(targets.contains("test"), "{targets:?}");
    let word = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(text.len());
        text[..end].to_owned()
    };
    for file in DOCUMENTS.iter().chain(&[".ci/run", ".github/workflows/ci.yml"]) {
        let text = read(file);
        // Prose says "make" too; commands stand in code, at the start of a line or after a step.
        for start in ["`make ", "\nmake ", "    make ", "step make ", "run: make "] {
            for (_, rest) in
                text.match_indices(start).map(|(at, _)| text.split_at(at + start.len()))
            {
                let target = word(rest);
                assert!(target.is_empty() || targets.contains(&target), "{file}: make {target}");
            }
        }
    }
}

#[test]
fn explain_lists_every_cause() {
    let (code, list, _) = pullproof(&["explain".to_owned()]);
    assert_eq!(code, Some(0));
    let ids: BTreeSet<&str> =
        list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for cause in Cause::all() {
        assert!(ids.contains(cause.id()), "{cause} is missing in pullproof explain");
    }
}

#[test]
fn the_changelog_speaks_of_this_version() {
    let heading = format!("\n## [{}]", env!("CARGO_PKG_VERSION"));
    assert!(read("CHANGELOG.md").contains(&heading), "no heading {heading:?}");
    assert!(root().join("LICENSE").is_file());
}
