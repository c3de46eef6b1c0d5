//! The rooms of ARCHITECTURE.md against the modules, and who may know what.

use std::collections::BTreeSet;
use std::path::Path;

use super::{read, root, sources};

/// The first column of the table below `## Rooms`.
fn named() -> BTreeSet<String> {
    let map = read("ARCHITECTURE.md");
    let (_, table) = map.split_once("\n## Rooms\n").expect("a heading Rooms");
    table
        .lines()
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(room, _)| room.to_owned())
        .collect()
}

/// The top-level modules of the library.
fn modules() -> BTreeSet<String> {
    read("src/lib.rs")
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect()
}

/// The room of a source file; `None` for the two files at the top.
fn room(file: &Path) -> Option<&str> {
    let room = file.components().next()?.as_os_str().to_str()?.trim_end_matches(".rs");
    (!matches!(room, "lib" | "main")).then_some(room)
}

/// The code of a file: without comments, and without the test module at its end.
fn code(file: &Path) -> String {
    let text = read(Path::new("src").join(file));
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().map(without_comment).collect::<Vec<_>>().join("\n")
}

/// A comment starts the line or follows a blank; `//` inside a URL does neither.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with("//") {
        return "";
    }
    line.split(" // ").next().unwrap_or_default()
}

/// Whether the code names this word, as a whole.
fn names(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        !code[..at].ends_with(is_part) && !code[at + word.len()..].starts_with(is_part)
    })
}

/// Files, tests apart, that name one of the words and lie in a room that may not.
fn offenders(words: &[&str], may: impl Fn(Option<&str>) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in sources() {
        if may(room(&file)) || file.file_name().is_some_and(|name| name == "tests.rs") {
            continue;
        }
        let code = code(&file);
        for word in words.iter().filter(|word| names(&code, word)) {
            found.push(format!("src/{} names {word}", file.display()));
        }
    }
    found
}

/// Where `credential` runs helpers and waits for them.
const HELPERS: [&str; 2] = ["src/credential/helper.rs ", "src/credential/own.rs "];

fn runs_helpers(offender: &str) -> bool {
    HELPERS.iter().any(|file| offender.starts_with(file))
}

/// Rooms that are plain functions.
const PLAIN: [&str; 6] = ["image", "credential", "diagnosis", "policy", "report", "text"];

#[test]
fn the_map_names_every_room_and_no_other() {
    assert_eq!(named(), modules());
    for room in named() {
        let src = root().join("src");
        assert!(
            src.join(&room).join("mod.rs").is_file() || src.join(format!("{room}.rs")).is_file(),
            "ARCHITECTURE.md names {room}, which is not there"
        );
    }
}

#[test]
fn every_source_file_lies_in_a_room() {
    let rooms = modules();
    for file in sources() {
        assert!(room(&file).is_none_or(|room| rooms.contains(room)), "{}", file.display());
    }
}

#[test]
fn only_the_registry_knows_the_http_client() {
    let found = offenders(&["reqwest", "hyper"], |room| room == Some("registry"));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn only_cluster_and_controller_know_the_kubernetes_client() {
    let may = |room: Option<&str>| matches!(room, Some("cluster" | "controller"));
    let mut found = offenders(&["kube", "k8s_openapi"], may);
    // The policy's own definition, and a catalogue of kinds that has the word in a name.
    let may = ["src/policy/image_check_policy", "src/manifest/kinds/"];
    found.retain(|offender| !may.iter().any(|file| offender.starts_with(file)));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn only_cli_and_settings_know_the_argument_parser() {
    let found =
        offenders(&["clap", "clap_complete"], |room| matches!(room, Some("cli" | "settings")));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn only_settings_read_the_environment() {
    let words = ["env::var", "env::vars", "env::var_os", "env::vars_os"];
    let found = offenders(&words, |room| room == Some("settings"));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn only_cli_prints() {
    let words = ["println!", "print!", "eprintln!", "eprint!", "stdout", "stderr"];
    let mut found =
        offenders(&words.map(|word| word.trim_end_matches('!')), |room| room == Some("cli"));
    // A helper's own outputs are read there.
    found.retain(|offender| !runs_helpers(offender));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn plain_rooms_know_no_async_code_no_network_no_clock_and_no_files() {
    let words = [
        "async",
        "await",
        "tokio",
        "futures_util",
        "TcpStream",
        "lookup_host",
        "Instant",
        "SystemTime",
        "std::fs",
        "std::process",
        "std::thread",
    ];
    let mut found = offenders(&words, |room| !room.is_some_and(|room| PLAIN.contains(&room)));
    found.retain(|offender| !runs_helpers(offender));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn manifest_knows_no_async_code_and_only_its_source_knows_files() {
    let network = ["async", "await", "tokio", "futures_util", "Instant", "SystemTime"];
    let found = offenders(&network, |room| room != Some("manifest"));
    assert!(found.is_empty(), "{found:#?}");
    for file in sources().iter().filter(|file| room(file) == Some("manifest")) {
        let may_read = file.starts_with("manifest/source") || file.ends_with("source.rs");
        let is_test = file.file_name().is_some_and(|name| name == "tests.rs");
        assert!(may_read || is_test || !names(&code(file), "fs"), "{}", file.display());
    }
}

#[test]
fn nothing_but_cli_knows_cli_and_the_road_knows_no_door() {
    for file in sources() {
        let code = code(&file);
        let may = matches!(room(&file), Some("cli") | None);
        assert!(may || !names(&code, "crate::cli"), "src/{}", file.display());
    }
}

#[test]
fn the_scan_sees_code_and_passes_over_comments_and_parts_of_words() {
    assert!(names("use reqwest::Client;", "reqwest"));
    assert!(!names("let reqwests = 1;", "reqwest"));
    assert!(!names("let in_reqwest = 1;", "reqwest"));
    assert_eq!(without_comment("    /// as reqwest does"), "");
    assert_eq!(without_comment("let a = 1; // reqwest"), "let a = 1;");
    assert_eq!(without_comment("let u = \"https://a\";"), "let u = \"https://a\";");
}

/// F48: lifetimes count on a clock that nobody sets. Where the wall clock is read all the same, a test
/// with that id says what a jump of it does.
#[test]
fn f48_the_wall_clock_is_read_where_times_outlive_the_process_and_nowhere_else() {
    const MAY: [&str; 6] = [
        // When an entry was written, for the next run.
        "src/registry/disk.rs ",
        // `Retry-After` as a date.
        "src/registry/pause.rs ",
        // What others read: nothing is decided by it.
        "src/cluster/events.rs ",
        "src/cluster/lease.rs ",
        "src/controller/policy_status.rs ",
        // Validity of certificates.
        "src/controller/certificates.rs ",
    ];
    let mut clocks = Vec::new();
    for file in sources() {
        let code = code(&file);
        if ["SystemTime::now", "Timestamp::now", "Zoned::now", "Utc::now", "OffsetDateTime::now"]
            .iter()
            .any(|clock| code.contains(clock))
            && file.file_name().is_none_or(|name| name != "tests.rs")
        {
            clocks.push(format!("src/{} ", file.display()));
        }
    }
    clocks.sort();
    let mut may = MAY.map(str::to_owned).to_vec();
    may.sort();
    assert_eq!(clocks, may);
}
