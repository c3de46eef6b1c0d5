//! `pullproof.toml`: what a repository says of itself: inputs, rules of extraction, ignores, output. It
//! is written by whoever writes the manifests, a stranger's pull request too, so it judges and names
//! nothing outside its folder, and it can set neither transport nor logins: those keys are refused
//! with a word on where they belong. A pure parser; whoever calls it finds and reads the file.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::Error;
use super::registries::toml_reason;
use crate::diagnosis::Cause;
use crate::image::Platform;
use crate::manifest::ExtractRule;
use crate::policy::IgnoreRule;
use crate::policy::glob::Glob;

/// The name that is looked for.
pub const NAME: &str = "pullproof.toml";
/// Largest file, in bytes.
pub const MAX_SIZE: usize = 1 << 20;
/// Longest glob of an ignore, in bytes.
const MAX_GLOB: usize = 1024;

/// A checked `pullproof.toml`. Paths are relative to its folder and stay inside it.
#[derive(Debug, Clone, Default)]
pub struct Project {
    /// What is read when nothing else is named.
    pub inputs: Vec<PathBuf>,
    pub exclude: Vec<String>,
    pub include: Vec<String>,
    pub deep: bool,
    pub extract: Vec<ExtractRule>,
    pub ignores: Vec<IgnoreRule>,
    /// The name of a report format; the command line knows which there are.
    pub output: Option<String>,
    pub policies: Vec<PathBuf>,
    pub platforms: Vec<Platform>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    inputs: Vec<PathBuf>,
    exclude: Vec<String>,
    include: Vec<String>,
    deep: bool,
    extract: Vec<ExtractRule>,
    ignore: Vec<FileIgnore>,
    output: Option<String>,
    policy: Vec<PathBuf>,
    platforms: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileIgnore {
    image: Glob,
    cause: String,
    reason: String,
}

/// Keys of the transport, as `registries.toml` and other tools write them.
const TRANSPORT: [&str; 27] = [
    "registry",
    "registries",
    "allow_addresses",
    "public_only",
    "local",
    "mirror",
    "mirrors",
    "token_realm",
    "token_realms",
    "realm",
    "ca",
    "cert",
    "certificate",
    "plain_http",
    "insecure",
    "insecure_registries",
    "node_credentials",
    "ask",
    "requests_in_flight",
    "proxy",
    "http_proxy",
    "https_proxy",
    "addresses",
    "resolve",
    "hosts",
    "limits",
    "transport",
];

/// Keys of logins.
const LOGINS: [&str; 18] = [
    "authfile",
    "auth",
    "auths",
    "credentials",
    "credential",
    "login",
    "logins",
    "username",
    "user",
    "password",
    "token",
    "secret",
    "secrets",
    "pull_secret",
    "pull_secrets",
    "cred_helpers",
    "creds_store",
    "helpers",
];

impl Project {
    /// Parses the text of the file named.
    pub fn parse(text: &str, file: &Path) -> Result<Self, Error> {
        let invalid = |reason: String| Error::Invalid { file: file.to_owned(), reason };
        let table: toml::Table =
            toml::from_str(text).map_err(|error| invalid(toml_reason(&error)))?;
        if let Some(refusal) = table.keys().find_map(|key| refusal(key)) {
            return Err(invalid(refusal));
        }
        let parsed: File = toml::from_str(text).map_err(|error| invalid(toml_reason(&error)))?;
        let File { inputs, exclude, include, deep, extract, ignore, output, policy, platforms } =
            parsed;
        let inputs = inputs.into_iter().map(|path| inside("inputs", path));
        let policies = policy.into_iter().map(|path| inside("policy", path));
        let ignores = ignore.into_iter().enumerate().map(|(at, rule)| {
            rule.check().map_err(|reason| format!("[[ignore]] number {}: {reason}", at + 1))
        });
        let platforms = platforms
            .iter()
            .map(|text| Platform::parse(text).map_err(|error| format!("platforms: {error}")));
        Ok(Self {
            inputs: inputs.collect::<Result<_, _>>().map_err(invalid)?,
            exclude,
            include,
            deep,
            extract,
            ignores: ignores.collect::<Result<_, _>>().map_err(invalid)?,
            output,
            policies: policies.collect::<Result<_, _>>().map_err(invalid)?,
            platforms: platforms.collect::<Result<_, _>>().map_err(invalid)?,
        })
    }
}

/// Why this key may not stand in a repository's file. Spelling is no way around it.
fn refusal(key: &str) -> Option<String> {
    let plain = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
    let is_one_of = |keys: &[&str]| keys.iter().any(|known| plain(known) == plain(key));
    let place = if is_one_of(&TRANSPORT) {
        "How registries are reached is set in registries.toml (--registries FILE, or \
         pullproof/registries.toml in your config folder)"
    } else if is_one_of(&LOGINS) {
        "Logins come from your own docker configuration (--authfile FILE), and what may be done with \
         them is set in registries.toml (--registries FILE)"
    } else {
        return None;
    };
    Some(format!(
        "`{}` cannot be set here: this file belongs to the repository, and a pull request could \
         send your login to a host of its own. {place}",
        crate::text::clean(key, 80)
    ))
}

/// A path that does not lead out of the folder.
fn inside(key: &str, path: PathBuf) -> Result<PathBuf, String> {
    let is_inside =
        path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if path.as_os_str().is_empty() || path == Path::new("-") {
        return Err(format!("{key}: \"{}\" names no file or folder", path.display()));
    }
    if !is_inside {
        return Err(format!(
            "{key}: \"{}\" must lie inside the folder of this file: no absolute path and no \"..\"",
            crate::text::clean(&path.display().to_string(), 200)
        ));
    }
    Ok(path)
}

impl FileIgnore {
    fn check(self) -> Result<IgnoreRule, String> {
        let Self { image, cause, reason } = self;
        let cause: Cause = cause.parse().map_err(|()| {
            format!(
                "there is no cause \"{}\"; pullproof explain lists them",
                crate::text::clean(&cause, 80)
            )
        })?;
        if image.as_str().is_empty() || image.as_str().len() > MAX_GLOB {
            return Err("image must be a name or a glob such as \"ghcr.io/acme/**\"".to_owned());
        }
        if reason.trim().is_empty() {
            return Err("reason must say why".to_owned());
        }
        Ok(IgnoreRule { image, cause, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Project, Error> {
        Project::parse(text, Path::new(NAME))
    }

    #[track_caller]
    fn reason(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn every_key_is_read() {
        let project = parse(
            "inputs = ['apps', './charts']\nexclude = ['old/']\ninclude = ['*.yml']\ndeep = true\n\
             output = 'concise'\npolicy = ['ci/policy.yaml']\nplatforms = ['linux/arm64']\n\
             [[extract]]\ngroup = 'acme.io'\nkind = 'Fleet'\npath = 'spec.image'\n\
             [[ignore]]\nimage = 'ghcr.io/acme/**'\ncause = 'tag-not-found'\nreason = 'pushed later'\n",
        )
        .unwrap();
        assert_eq!(project.inputs, [Path::new("apps"), Path::new("./charts")]);
        assert_eq!((project.exclude.len(), project.include.len(), project.deep), (1, 1, true));
        assert_eq!((project.extract.len(), project.ignores.len()), (1, 1));
        assert_eq!(project.output.as_deref(), Some("concise"));
        assert_eq!((project.policies.len(), project.platforms.len()), (1, 1));
        assert!(parse("").unwrap().inputs.is_empty());
    }

    #[test]
    fn t47_transport_and_logins_are_refused_with_their_place() {
        for key in TRANSPORT.iter().chain(&LOGINS) {
            let spellings = [
                (*key).to_owned(),
                key.replace('_', "-"),
                key.to_uppercase(),
                key.replace('_', ""),
            ];
            for key in spellings {
                for text in
                    [format!("{key} = 'x'"), format!("[{key}.'r.io']\nx = 1"), format!("[[{key}]]")]
                {
                    let reason = reason(&text);
                    assert!(reason.contains("cannot be set here"), "{text}: {reason}");
                    assert!(
                        reason.contains(&key) && reason.contains("registries.toml"),
                        "{reason}"
                    );
                }
            }
        }
    }

    #[test]
    fn unknown_keys_are_named_wherever_they_stand() {
        let rule = "[[extract]]\nkind = 'A'\npath = 'a'\n";
        let ignore = "[[ignore]]\nimage = 'a'\ncause = 'tag-not-found'\nreason = 'r'\n";
        for (text, word) in [
            ("input = ['a']".to_owned(), "input"),
            (format!("{rule}ca = 'x'"), "ca"),
            (format!("{rule}parts = {{ registri = 'r' }}"), "registri"),
            (format!("{ignore}mirrors = 'r'"), "mirrors"),
            ("inputs = 'apps'".to_owned(), "sequence"),
            ("[[ignore]]\nimage = 'a'\ncause = 'tag-not-found'".to_owned(), "reason"),
            (ignore.replace("'r'", "' '"), "reason must say why"),
            (ignore.replace("tag-not-found", "tag-missing"), "tag-missing"),
            (ignore.replace("'a'", "''"), "image must be"),
            ("platforms = ['linux']".to_owned(), "platforms"),
            ("inputs = [".to_owned(), "pullproof.toml is not usable"),
        ] {
            let reason = reason(&text);
            assert!(reason.contains(word), "{word}: {reason}");
        }
    }

    #[test]
    fn paths_stay_inside_the_folder() {
        for path in ["/etc/passwd", "../other", "apps/../../other", "a/..", "-", ""] {
            for key in ["inputs", "policy"] {
                let reason = reason(&format!("{key} = ['{path}']"));
                assert!(reason.contains(key), "{path}: {reason}");
            }
        }
    }
}
