//! What containerd reads of a `hosts.toml`, and files made to break a reader.

use super::*;

fn read(text: &str) -> HostsToml {
    parse(text, Path::new("/certs.d/r.io")).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    parse(text, Path::new("/certs.d/r.io")).unwrap_err().to_string()
}

fn told(text: &str) -> Vec<String> {
    let file = read(text);
    let of = |entry: &Entry| {
        let url = entry.url.as_ref().map_or("own".to_owned(), |url| url.to_string());
        let can = [(entry.pull, "p"), (entry.resolve, "r"), (entry.skip_verify, "!")];
        let can: String = can.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
        format!("{} {} {can}", url.trim_end_matches('/'), entry.api)
    };
    file.hosts.iter().chain([&file.server]).map(of).collect()
}

#[test]
fn hosts_keep_the_order_of_the_file_and_the_server_comes_last() {
    let text = "server = \"https://r.io\"\n\
        [host.\"https://z.io\"]\ncapabilities = [\"pull\"]\n\
        [host.\"http://a.io:5000\"]\nskip_verify = true\ncapabilities = [\"Pull\", \"resolve\", \"push\"]\n\
        [host.\"m.io\"]\n";
    assert_eq!(
        told(text),
        [
            "https://z.io /v2 p",
            "http://a.io:5000 /v2 pr!",
            "https://m.io /v2 pr",
            "https://r.io /v2 pr"
        ]
    );
}

#[test]
fn paths_end_in_v2_unless_they_are_overridden() {
    for (url, overrides, api) in [
        ("https://m.io", false, "/v2"),
        ("https://m.io/", false, "/v2"),
        ("https://m.io/hub", false, "/hub/v2"),
        ("https://m.io/v2/hub/", false, "/v2/hub/v2"),
        ("https://m.io/hub/v2/", false, "/hub/v2"),
        ("https://m.io//v2//hub", true, "/v2/hub"),
        ("https://m.io", true, ""),
        ("https://m.io/a/../b?x=1#y", true, "/b"),
    ] {
        let text = format!("[host.\"{url}\"]\noverride_path = {overrides}\n");
        assert_eq!(read(&text).hosts[0].api, api, "{url}");
        let server = read(&format!("server = \"{url}\"\noverride_path = {overrides}\n")).server;
        assert_eq!(server.api, api, "{url}");
        let url = server.url.unwrap();
        assert_eq!((url.path(), url.query()), ("/", None));
    }
}

#[test]
fn an_empty_file_means_the_images_own_host() {
    for text in ["", "# nothing\n", "capabilities = [\"pull\"]\n", "new_key = {a = [1]}\n"] {
        assert_eq!(read(text), HostsToml::default(), "{text}");
    }
}

#[test]
fn authorities_start_at_the_folder_and_unknown_keys_are_ignored() {
    let text = "ca = \"/etc/ca.pem\"\n[host.\"https://m.io\"]\nca = [\"a.pem\", \"/b.pem\"]\ndial_timeout = \"1s\"\nfuture = 1\n";
    let file = read(text);
    assert_eq!(file.server.ca, [PathBuf::from("/etc/ca.pem")]);
    assert_eq!(file.hosts[0].ca, [PathBuf::from("/certs.d/r.io/a.pem"), PathBuf::from("/b.pem")]);
    assert!(!file.hosts[0].nodes_know_more && !file.hosts[0].skip_verify);
}

#[test]
fn what_only_nodes_have_is_noticed() {
    for line in ["client = \"c.pem\"", "client = [[\"c\", \"k\"]]", "header = {x-key = [\"1\"]}"] {
        assert!(read(&format!("[host.\"https://m.io\"]\n{line}\n")).hosts[0].nodes_know_more);
    }
    assert!(!read("[host.\"https://m.io\"]\nheader = {}\n").hosts[0].nodes_know_more);
}

#[test]
fn what_containerd_cannot_read_is_refused_with_file_and_line() {
    for (text, words) in [
        ("server = 1", "line 1"),
        ("\n[host.\"https://m.io\"]\ncapabilities = \"pull\"\n", "line 3"),
        ("[host.\"https://m.io\"]\ncapabilities = [\"fly\"]\n", "unknown capability \"fly\""),
        ("[host.\"https://m.io\"]\nskip_verify = \"yes\"\n", "line 2"),
        ("[host.\"https://m.io\"]\nca = 1\n", "line 2"),
        ("[host.\"\"]\n", "names no host"),
        ("[host.\"ftp://m.io\"]\n", "is no http(s) address"),
        ("server = \"https://\"\n", "is no http(s) address"),
        ("server = \"httpx\"\n", "is no http(s) address"),
        ("[host", "line 1"),
    ] {
        let error = refused(text);
        assert!(error.contains(words) && error.starts_with("/certs.d/r.io/hosts.toml"), "{error}");
    }
}

#[test]
fn no_error_repeats_a_secret_of_the_file() {
    for text in [
        "[host.\"https://m.io\".header]\nauthorization = \"s3cret\nx\"\n",
        "[host.\"https://u:s3cret@m.io\"]\n",
        "server = \"https://u:s3cret@\"\n",
        "server = \"https://s3cret@m.io\"\n",
    ] {
        assert!(!refused(text).contains("s3cret"), "{}", refused(text));
    }
}

#[test]
fn hostile_files_end_soon() {
    let deep = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    refused(&deep);
    refused(&"#".repeat(MAX_SIZE + 1));
    let many: String = (0..65).map(|at| format!("[host.\"https://m{at}.io\"]\n")).collect();
    assert!(refused(&many).contains("more than 64 hosts"));
    refused("server = \"\\u202e\"\nserver = \"x\"");
    let long = format!("[host.\"http:{}\"]\n", "x\\u0007".repeat(10_000));
    assert!(refused(&long).len() < 500 && !refused(&long).contains('\u{7}'));
}
