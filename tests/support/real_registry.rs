//! A real Distribution registry as a child process, and pushing images to any registry.
//!
//! The binary is `$PULLPROOF_REGISTRY_BINARY`, else `docker-registry` or `registry` on PATH. Without
//! one, starting fails with a sentence that says how to get it: a test that needs it must not pass
//! by not running.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oci_distribution::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_distribution::secrets::RegistryAuth;
use oci_distribution::{Client, Reference, RegistryOperation};
use tempfile::TempDir;

use super::image::{Bundle, PlatformSpec};
use super::tls::Authority;

/// The one login of a registry started `with_login`.
pub const USER: &str = "ci";
pub const PASSWORD: &str = "s3cret";
/// That login as htpasswd writes it; Distribution takes bcrypt only. The cost is the lowest allowed.
const HTPASSWD: &str = "ci:$2b$04$abcdefghijklmnopqrstuOspXPHmKF9EEBOJB5yTcPvg6CIFTCk9e\n";

const MISSING: &str = "no registry binary found: install one (Debian and Ubuntu: `apt-get install docker-registry`; \
    elsewhere the `registry` binary of https://github.com/distribution/distribution/releases) and put it on PATH \
    as `docker-registry` or `registry`, or name it in PULLPROOF_REGISTRY_BINARY";

/// How long a registry may take until it listens.
const PATIENCE: Duration = Duration::from_secs(20);

/// What kind of registry to start.
#[derive(Default)]
pub struct Setup {
    login: bool,
    tls: Option<(String, super::tls::Identity)>,
}

impl Setup {
    /// Plain HTTP, open to all.
    pub fn open() -> Self {
        Self::default()
    }

    /// Basic login (`USER`, `PASSWORD`) for reading and writing.
    pub fn with_login(self) -> Self {
        Self { login: true, ..self }
    }

    /// TLS with a valid certificate of this authority.
    pub fn with_tls(self, authority: &Authority) -> Self {
        Self { tls: Some((authority.pem(), authority.valid())), ..self }
    }
}

/// A running registry; the process and its storage end when dropped.
pub struct RealRegistry {
    child: Child,
    destination: Destination,
    _storage: TempDir,
}

impl RealRegistry {
    /// Starts it on a loopback port and waits until it listens.
    pub async fn start(setup: Setup) -> Result<Self, String> {
        Self::start_blocking(setup)
    }

    /// The same for callers outside of async code; blocks for a moment.
    pub fn start_blocking(setup: Setup) -> Result<Self, String> {
        let named = std::env::var_os("PULLPROOF_REGISTRY_BINARY");
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::start_binary(&find_binary(named, &path)?, setup)
    }

    /// Starts this binary.
    pub fn start_binary(binary: &Path, setup: Setup) -> Result<Self, String> {
        let storage = TempDir::new().map_err(|e| format!("no folder for the registry: {e}"))?;
        let mut destination = Destination::new("");
        let config = write_config(storage.path(), &setup)
            .map_err(|e| format!("the registry's configuration was not written: {e}"))?;
        if setup.login {
            destination = destination.login(USER, PASSWORD);
        }
        if let Some((ca, _)) = setup.tls {
            destination = destination.ca(&ca);
        }
        let log = storage.path().join("log");
        let output = fs::File::create(&log).map_err(|e| format!("no log for the registry: {e}"))?;
        let child = Command::new(binary)
            .arg("serve")
            .arg(config)
            .env_clear()
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .map_err(|e| format!("{} did not start: {e}", binary.display()))?;
        let mut registry = Self { child, destination, _storage: storage };
        registry.wait_until_it_listens(&log)?;
        Ok(registry)
    }

    /// The registry picks a free port by itself and says which in its log.
    fn wait_until_it_listens(&mut self, log: &Path) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let said = fs::read_to_string(log).unwrap_or_default();
            if let Some(host) = listening_on(&said) {
                self.destination.host = host.to_owned();
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the registry ended with {status}: {said}"));
            }
            if Instant::now() > until {
                return Err(format!("the registry did not listen in {PATIENCE:?}: {said}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        &self.destination.host
    }

    /// Where and how to push, for `Destination::push_image` and `push_index`.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Pushes a plain image; answers its digest.
    pub async fn push_image(
        &self,
        repository: &str,
        tag: &str,
        platform: impl Into<PlatformSpec>,
    ) -> Result<String, String> {
        self.destination.push_image(repository, tag, platform).await
    }

    /// Pushes an index of images; answers its digest.
    pub async fn push_index(
        &self,
        repository: &str,
        tag: &str,
        platforms: &[PlatformSpec],
    ) -> Result<String, String> {
        self.destination.push_index(repository, tag, platforms).await
    }
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A registry to push to: plain HTTP unless a CA is given, anonymous unless a login is.
#[derive(Clone, Debug)]
pub struct Destination {
    host: String,
    ca_pem: Option<String>,
    login: Option<(String, String)>,
}

impl Destination {
    pub fn new(host: &str) -> Self {
        Self { host: host.to_owned(), ca_pem: None, login: None }
    }

    /// HTTPS, with this root trusted.
    pub fn ca(self, pem: &str) -> Self {
        Self { ca_pem: Some(pem.to_owned()), ..self }
    }

    pub fn login(self, user: &str, password: &str) -> Self {
        Self { login: Some((user.to_owned(), password.to_owned())), ..self }
    }

    /// Pushes a plain image; answers its digest.
    pub async fn push_image(
        &self,
        repository: &str,
        tag: &str,
        platform: impl Into<PlatformSpec>,
    ) -> Result<String, String> {
        let bundle = Bundle::image(&platform.into(), &format!("{repository}:{tag}"));
        self.push(repository, tag, bundle).await
    }

    /// Pushes an index of images; answers its digest.
    pub async fn push_index(
        &self,
        repository: &str,
        tag: &str,
        platforms: &[PlatformSpec],
    ) -> Result<String, String> {
        let bundle = Bundle::index(platforms, &format!("{repository}:{tag}"));
        self.push(repository, tag, bundle).await
    }

    async fn push(&self, repository: &str, tag: &str, bundle: Bundle) -> Result<String, String> {
        let client = self.client();
        let image = Reference::with_tag(self.host.clone(), repository.to_owned(), tag.to_owned());
        let failed = |what: &str, e: &dyn std::fmt::Display| format!("{what} {image} failed: {e}");
        let login = match &self.login {
            None => RegistryAuth::Anonymous,
            Some((user, password)) => RegistryAuth::Basic(user.clone(), password.clone()),
        };
        client
            .auth(&image, &login, RegistryOperation::Push)
            .await
            .map_err(|e| failed("logging in for", &e))?;
        for blob in &bundle.blobs {
            client
                .push_blob(&image, blob.bytes.clone(), &blob.digest())
                .await
                .map_err(|e| failed("pushing a blob of", &e))?;
        }
        let top = bundle.top().digest();
        for manifest in &bundle.manifests {
            let digest = manifest.digest();
            let target =
                if digest == top { image.clone() } else { image.clone_with_digest(digest) };
            let media_type = manifest.media_type.parse().expect("a media type is a header value");
            client
                .push_manifest_raw(&target, manifest.bytes.clone(), media_type)
                .await
                .map_err(|e| failed("pushing a manifest of", &e))?;
        }
        Ok(top)
    }

    fn client(&self) -> Client {
        // Fails when a provider is there already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tls_certs_only = self.ca_pem.iter().map(|pem| Certificate {
            encoding: CertificateEncoding::Pem,
            data: pem.clone().into_bytes(),
        });
        let protocol =
            if self.ca_pem.is_some() { ClientProtocol::Https } else { ClientProtocol::Http };
        Client::new(ClientConfig {
            protocol,
            tls_certs_only: tls_certs_only.collect(),
            ..ClientConfig::default()
        })
    }
}

/// The `127.0.0.1:PORT` of the line `listening on …`, once that line is whole.
fn listening_on(log: &str) -> Option<&str> {
    let (_, rest) = log.split_once("listening on ")?;
    let end = rest.find(|c: char| c != '.' && c != ':' && !c.is_ascii_digit())?;
    Some(&rest[..end])
}

/// The registry binary to run: the one named, else the first on this search path.
pub fn find_binary(named: Option<OsString>, path: &OsStr) -> Result<PathBuf, String> {
    if let Some(named) = named {
        return Ok(named.into());
    }
    std::env::split_paths(path)
        .flat_map(|folder| ["docker-registry", "registry"].map(|name| folder.join(name)))
        .find(|file| file.is_file())
        .ok_or_else(|| MISSING.to_owned())
}

fn write_config(folder: &Path, setup: &Setup) -> std::io::Result<PathBuf> {
    let put = |name: &str, text: &str| {
        let file = folder.join(name);
        fs::write(&file, text).map(|()| file)
    };
    let data = folder.join("data");
    let mut text = format!(
        "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {data:?}}}\n  \
         delete: {{enabled: true}}\nhttp:\n  addr: \"127.0.0.1:0\"\n"
    );
    if let Some((_, identity)) = &setup.tls {
        let certificate = put("cert.pem", &identity.chain_pem)?;
        let key = put("key.pem", &identity.key_pem)?;
        let _ = writeln!(text, "  tls: {{certificate: {certificate:?}, key: {key:?}}}");
    }
    if setup.login {
        let htpasswd = put("htpasswd", HTPASSWD)?;
        let _ = writeln!(text, "auth:\n  htpasswd: {{realm: test, path: {htpasswd:?}}}");
    }
    put("config.yml", &text)
}
