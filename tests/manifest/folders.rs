//! Files, folders, pipes and links: what is read, what is passed over and what is refused.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use pullproof::manifest::source::{self, Found};
use pullproof::manifest::{Extraction, SourceOptions, extract};
use tempfile::TempDir;

use super::{images, manifest, notes};

fn write(folder: &TempDir, name: &str, text: impl AsRef<[u8]>) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn folder_of(files: &[(&str, &str)]) -> (TempDir, Extraction) {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        write(&folder, name, text);
    }
    let found = read(folder.path(), &SourceOptions::default());
    (folder, found)
}

fn read(path: &Path, options: &SourceOptions) -> Extraction {
    extract(&[path.to_str().unwrap().to_owned()], options).unwrap()
}

fn pod(image: &str) -> String {
    manifest("v1", "Pod", "spec", &format!("{{containers: [{{name: a, image: '{image}'}}]}}"))
}

#[test]
fn folders_are_read_in_order_and_ignore_files_obeyed() {
    let folder = TempDir::new().unwrap();
    for name in
        ["b.yml", "a/z.json", "a/c.yaml", "skip/d.yaml", ".hidden/e.yaml", "notes.txt", "f.YAML"]
    {
        write(&folder, name, pod(name));
    }
    write(&folder, ".gitignore", "skip/\n");
    let mut options = SourceOptions::default();
    assert_eq!(images(&read(folder.path(), &options)), ["a/c.yaml", "a/z.json", "b.yml", "f.YAML"]);
    options.no_ignore = true;
    assert_eq!(images(&read(folder.path(), &options)).len(), 5);
    options.exclude = vec!["a/".into(), "*.YAML".into(), "./skip/*".into()];
    assert_eq!(images(&read(folder.path(), &options)), ["b.yml"]);
    options.include = vec!["*.txt".into()];
    assert_eq!(images(&read(folder.path(), &options)), ["notes.txt"]);
    assert_eq!(
        images(&read(&folder.path().join("notes.txt"), &SourceOptions::default())),
        ["notes.txt"]
    );
    let twice = folder.path().to_str().unwrap().to_owned();
    assert_eq!(extract(&[twice.clone(), twice], &SourceOptions::default()).unwrap().uses.len(), 4);
}

#[test]
fn inputs_that_can_not_be_used_are_errors() {
    let missing = extract(&["/nonexistent/x.yaml".into()], &SourceOptions::default());
    assert!(missing.unwrap_err().to_string().contains("/nonexistent/x.yaml"));
    let options = SourceOptions { exclude: vec!["a{b".into()], ..SourceOptions::default() };
    assert!(extract(&[".".into()], &options).unwrap_err().to_string().contains("a{b"));
}

#[test]
fn charts_are_skipped_with_one_note() {
    let (folder, found) = folder_of(&[
        ("web/Chart.yaml", "apiVersion: v2\nname: web\n"),
        ("web/values.yaml", "image: x\n"),
        ("web/templates/a.yaml", "a: {{ .Values.x }}\n"),
        ("web/templates/tests/b.yaml", "{{- if x }}\n"),
        ("other/templates/c.yaml", &pod("c:1")),
    ]);
    assert_eq!((images(&found), notes(&found)), (vec!["c:1"], vec!["helm-template"]));
    assert!(found.notes[0].text.contains("2 Helm templates"), "{}", found.notes[0].text);
    let alone = read(&folder.path().join("web/templates/a.yaml"), &SourceOptions::default());
    assert_eq!(notes(&alone), ["helm-template"]);
    assert_eq!(
        notes(&read(&folder.path().join("web/templates/tests"), &SourceOptions::default())),
        ["helm-template"]
    );
}

#[test]
fn b45_file_names_stay_as_they_are() {
    let (_folder, found) = folder_of(&[("a\x1b[31m\n::error::<&\".yaml", &pod("x:1"))]);
    let name = &found.uses[0].site.place.as_ref().unwrap().source.name;
    assert!(name.ends_with("/a\x1b[31m\n::error::<&\".yaml"), "{name:?}");
    let (_folder, found) = folder_of(&[("b.yaml", &pod("\\e[31m"))]);
    assert_eq!(found.uses.len(), 1);
}

#[test]
fn b44_texts_that_are_no_utf8_are_broken() {
    let folder = TempDir::new().unwrap();
    write(&folder, "a.yaml", b"kind: \xff\n");
    write(&folder, "b.json", b"\xff\xff");
    write(&folder, "c.yml", b"\xff\xfek\0i\0");
    let found = read(folder.path(), &SourceOptions::default());
    let reasons: Vec<_> = found.broken.iter().map(|broken| broken.reason.as_str()).collect();
    assert_eq!(reasons, ["not UTF-8 from byte 6", "UTF-16, not UTF-8"]);
    assert_eq!(notes(&found), ["unparsable-file"]);
}

#[test]
fn b44_files_of_100_mib_are_not_read() {
    let folder = TempDir::new().unwrap();
    for (name, head) in [("data.json", ""), ("pod.yaml", "kind: Pod\n")] {
        write(&folder, name, head);
        let file = fs::OpenOptions::new().write(true).open(folder.path().join(name)).unwrap();
        file.set_len(100 << 20).unwrap();
    }
    let found = read(folder.path(), &SourceOptions::default());
    assert_eq!((notes(&found), found.broken.len()), (vec!["file-too-large"], 1));
    assert_eq!(found.broken[0].reason, "larger than 64 MiB");
    let asked = read(&folder.path().join("data.json"), &SourceOptions::default());
    assert_eq!(asked.broken.len(), 1);
}

#[test]
fn b44_many_files_are_read_in_time() {
    let folder = TempDir::new().unwrap();
    for i in 0..3_000 {
        write(&folder, &format!("{}/{i}.yaml", i % 50), "a: 1\n");
    }
    write(&folder, "z.yaml", pod("z:1"));
    let started = Instant::now();
    assert_eq!(read(folder.path(), &SourceOptions::default()).uses.len(), 1);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn b44_pipes_devices_sockets_and_link_loops_do_not_stop_a_walk() {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        write(&folder, "real/a.yaml", pod("a:1"));
        assert!(Command::new("mkfifo").arg(path("b.yaml")).status().unwrap().success());
        let _socket = UnixListener::bind(path("c.yaml")).unwrap();
        symlink("/dev/zero", path("d.yaml")).unwrap();
        symlink("nowhere", path("e.yaml")).unwrap();
        symlink("f.yaml", path("f.yaml")).unwrap();
        symlink(".", path("loop")).unwrap();
        symlink("real/a.yaml", path("link.yaml")).unwrap();
        symlink("nowhere", path("notes.txt")).unwrap();
        let found = read(folder.path(), &SourceOptions::default());
        assert_eq!(images(&found), ["a:1", "a:1"]);
        let special = "special-file";
        let dangling = "dangling-link";
        assert_eq!(
            notes(&found),
            [special, special, special, dangling, dangling, "symlinked-folder"]
        );
        assert!(found.notes[0].text.contains("a pipe") && found.notes[2].text.contains("a device"));
        let through = read(&path("loop"), &SourceOptions::default());
        assert_eq!(through.uses.len(), 2, "a link that was asked for is followed");
    }

    #[test]
    fn b44_a_device_asked_for_is_refused_and_a_pipe_is_read() {
        let error = extract(&["/dev/zero".into()], &SourceOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), "/dev/zero is a device, not a file or folder");
        let folder = TempDir::new().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::write(pipe, pod("p:1")).unwrap()
        });
        assert_eq!(images(&read(&pipe, &SourceOptions::default())), ["p:1"]);
        writer.join().unwrap();
    }
}

#[test]
fn texts_come_one_by_one() {
    let (folder, _) = folder_of(&[("a.yaml", &pod("a:1")), ("b.yaml", &pod("b:1"))]);
    let inputs = [folder.path().to_str().unwrap().to_owned()];
    let mut sources = source::read(&inputs, &SourceOptions::default()).unwrap();
    assert!(
        matches!(sources.next(), Some(Ok(Found::Text(source))) if source.name.ends_with("a.yaml"))
    );
    assert_eq!(sources.count(), 1);
}

#[test]
fn secrets_accounts_and_namespaces_are_collected() {
    let (_folder, found) = folder_of(&[
        (
            "a.yaml",
            "{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: n}, type: kubernetes.io/dockerconfigjson}\n---\n\
                    {apiVersion: v1, kind: Secret, metadata: {name: b}, type: kubernetes.io/dockercfg}\n---\n\
                    {apiVersion: v1, kind: Secret, metadata: {name: named}}\n---\n\
                    {apiVersion: v1, kind: Secret, metadata: {name: other}}\n",
        ),
        (
            "b.yaml",
            "{apiVersion: v1, kind: ServiceAccount, metadata: {name: sa, namespace: n}, imagePullSecrets: [{name: named}, {}]}\n---\n\
                    {apiVersion: v1, kind: Namespace, metadata: {name: n, labels: {team: x}}}\n",
        ),
    ]);
    let secrets: Vec<_> =
        found.secrets.iter().map(|one| (one.namespace.as_str(), one.name.as_str())).collect();
    assert_eq!(secrets, [("n", "a"), ("", "b"), ("", "named")]);
    assert_eq!(found.secrets[2].secret_type, "Opaque");
    assert_eq!(found.service_accounts[0].pull_secrets, ["named", ""]);
    assert_eq!(found.namespaces[0].labels["team"], "x");
    assert_eq!(found.files, 2);
}
