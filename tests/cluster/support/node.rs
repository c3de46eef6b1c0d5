//! A whole node for the tests of `tests/node.rs`: the control plane, a kubelet with containerd, and
//! two registries in namespaces of their own, Ready in some five seconds. Needs root. What runs
//! inside is reached by [`Node::inside`]; nothing listens outside of it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::pki::Authority;
use super::{PATIENCE, Said, administrator, assets, own_image, say, write_kubeconfig, write_pki};

/// The open registry, and the one that wants [`LOGIN`].
pub const REGISTRY: &str = "registry.test:5000";
pub const PRIVATE_REGISTRY: &str = "registry.test:5001";
pub const LOGIN: (&str, &str) = ("test", "s3cret");

/// The node; dropping it (or the end of the process) ends and removes all of it.
pub struct Node {
    folder: PathBuf,
    child: Child,
}

impl Node {
    /// The node that all tests of this process share.
    pub fn shared() -> &'static Node {
        static SHARED: OnceLock<Node> = OnceLock::new();
        SHARED.get_or_init(Node::start)
    }

    /// A node of the test's own.
    pub fn start() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "a node needs root (network, mounts, cgroups): run `make test-node` as root"
        );
        let folder = tempfile::tempdir().unwrap().keep();
        for part in ["pki", "log"] {
            std::fs::create_dir(folder.join(part)).unwrap();
        }
        let authority = Authority::new();
        let names = ["127.0.0.1", "10.0.0.1", "10.99.0.1", "kubernetes.default.svc"];
        write_pki(&folder.join("pki"), &authority, &names);
        let administrator = administrator(&authority);
        administrator.write(&folder.join("pki"), "admin");
        let config = folder.join("kubeconfig");
        write_kubeconfig(&config, "https://127.0.0.1:443", &authority, &administrator);
        let child = Command::new("bash")
            .arg(assets::script("node/up.sh"))
            .arg(&folder)
            .env("KUBEBUILDER_ASSETS", needed())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let node = Self { folder, child };
        node.wait();
        node
    }

    fn wait(&self) {
        let begun = Instant::now();
        while !self.folder.join("ready").exists() {
            let pid = std::fs::read_to_string(self.folder.join("pid"));
            let ended = pid.is_ok_and(|pid| !Path::new("/proc").join(pid.trim()).exists());
            if ended || begun.elapsed() > 2 * PATIENCE {
                let log = std::fs::read_to_string(self.folder.join("log/node"));
                panic!("no node: {}", log.unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Runs a program inside, with its network, names and mounts.
    pub fn inside(&self, line: &[&str], input: &str) -> Said {
        let pid = std::fs::read_to_string(self.folder.join("pid")).unwrap();
        let mut command = Command::new("nsenter");
        command
            .args(["-t", pid.trim(), "-n", "-m", "-u", "-p"])
            .arg(format!("--wdns={}", env!("CARGO_MANIFEST_DIR")))
            .arg("--")
            .args(line)
            .env("KUBECONFIG", self.kubeconfig())
            .env("HOME", &self.folder);
        say(command, input)
    }

    /// The kubeconfig of someone with every right; its server is reached from inside only.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    pub fn kubectl(&self, arguments: &[&str], input: &str) -> Said {
        let kubectl = assets::program("kubectl").display().to_string();
        self.inside(&[&[kubectl.as_str()], arguments].concat(), input)
    }

    /// Applies a YAML stream, and fails the test if any of it is refused.
    #[track_caller]
    pub fn apply(&self, yaml: &str) -> String {
        self.kubectl(&["apply", "-f", "-"], yaml).expect_ok()
    }

    /// Pushes an image that waits for its end; returns the reference with its digest.
    #[track_caller]
    pub fn push(&self, registry: &str, repository: &str, tag: &str) -> String {
        let app = native().display().to_string();
        let registry = match registry {
            PRIVATE_REGISTRY => format!("{}:{}@{registry}", LOGIN.0, LOGIN.1),
            open => open.to_owned(),
        };
        let program = format!("{}={app}", architecture());
        let line = [app.as_str(), "push", &registry, repository, tag, &program];
        self.inside(&line, "").expect_ok().trim().to_owned()
    }

    /// Takes a tag away from the open registry; what nodes have pulled of it stays with them.
    #[track_caller]
    pub fn forget(&self, repository: &str, tag: &str) {
        let (host, port) = REGISTRY.split_once(':').unwrap();
        // The shell's own sockets, so that nothing more is needed inside.
        let script = format!(
            "exec 3<>/dev/tcp/{host}/{port}; printf 'DELETE /v2/{repository}/manifests/{tag} HTTP/1.1\\r\\n\
             Host: {REGISTRY}\\r\\nConnection: close\\r\\n\\r\\n' >&3; head -n 1 <&3"
        );
        let said = self.inside(&["bash", "-c", &script], "").expect_ok();
        assert!(said.contains(" 202 "), "the registry keeps the tag: {said}");
    }

    /// Pushes the image that [`own_image`] describes, as `make image-push` does.
    #[track_caller]
    pub fn push_pullproof(&self, tag: &str) {
        let tool = Path::new(env!("CARGO_BIN_EXE_pullproof")).with_file_name("examples/image");
        assert!(tool.is_file(), "{} is missing: `make image` builds it", tool.display());
        // Built already: cargo would take what it tells a test for a reason to build all again.
        let tool = format!("IMAGE_TOOL={}", tool.display());
        let image = format!("IMAGE={}", own_image::file().display());
        let name = format!("{REGISTRY}/pullproof:{tag}");
        let to = format!("REGISTRY={name}");
        // Whatever make calls the tests has its own settings.
        let make = ["env", "-u", "MAKEFLAGS", "make", "--silent", "--no-print-directory"];
        let line = [&make[..], &["image-push", &tool, &image, &to]].concat();
        let said = self.inside(&line, "").expect_ok();
        assert_eq!(said.trim_end(), format!("{name}@{}", own_image::digest()));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The folder of the servers, each of which is there.
fn needed() -> PathBuf {
    for name in [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "kubectl",
        "containerd",
        "containerd-shim-runc-v2",
        "registry",
    ] {
        assets::program(name);
    }
    native();
    own_image::file();
    assets::folder()
}

fn native() -> PathBuf {
    assets::program(&format!("app-{}", architecture()))
}

pub fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}
