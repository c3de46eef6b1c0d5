//! The certificate that is served, read again when its files change, and whose client certificates
//! are taken. A pair that can not be used is told and the one before it stays: a webhook without a
//! certificate would be worse than one with an old one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// How often the files are looked at; a kubelet writes a changed Secret within a minute.
const LOOK: Duration = Duration::from_secs(2);
/// Larger files are no certificates.
const MAX_FILE: u64 = 1 << 20;

/// The files of the certificate.
#[derive(Debug, Clone)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Authorities of client certificates; `None`: nobody is asked for one.
    pub client_ca: Option<PathBuf>,
}

/// Why the files can not be used. Never holds what they hold.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {file}", file = file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error("{file} holds no usable {what}", file = file.display())]
    Pem { file: PathBuf, what: &'static str },
    #[error("the certificate in {certificate} and the key in {key} do not fit", certificate = certificate.display(), key = key.display())]
    Mismatch { certificate: PathBuf, key: PathBuf },
}

/// The configuration that the next handshake uses.
pub struct Tls {
    files: Files,
    now: ArcSwap<Served>,
}

struct Served {
    config: Arc<ServerConfig>,
    /// Seconds since 1970 at which the certificate ends.
    expiry: i64,
    seen: [u8; 32],
}

impl Tls {
    /// Reads the files.
    pub fn open(files: Files) -> Result<Self, Error> {
        let served = load(&files, contents(&files)?)?;
        Ok(Self { files, now: ArcSwap::from_pointee(served) })
    }

    /// What a new connection is served with.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.now.load().config)
    }

    /// When the certificate ends, in seconds since 1970.
    pub fn expiry(&self) -> i64 {
        self.now.load().expiry
    }

    /// Looks at the files for ever, and takes what has changed. `told` hears of every change that
    /// was or was not taken.
    pub async fn watch(&self, told: impl Fn(Result<(), Error>)) {
        let mut failed = None;
        loop {
            tokio::time::sleep(LOOK).await;
            match self.look(&mut failed) {
                Ok(false) => {}
                Ok(true) => told(Ok(())),
                Err(error) => told(Err(error)),
            }
        }
    }

    /// Takes changed files; a failure is told once for the same contents.
    fn look(&self, failed: &mut Option<[u8; 32]>) -> Result<bool, Error> {
        let read = contents(&self.files);
        let seen = read.as_ref().map_or([0; 32], |read| read.seen);
        if seen == self.now.load().seen || *failed == Some(seen) {
            return Ok(false);
        }
        let served = read.and_then(|read| load(&self.files, read));
        match served {
            Ok(served) => {
                self.now.store(Arc::new(served));
                *failed = None;
                Ok(true)
            }
            Err(error) => {
                *failed = Some(seen);
                Err(error)
            }
        }
    }
}

struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
    seen: [u8; 32],
}

fn contents(files: &Files) -> Result<Contents, Error> {
    let certificate = read(&files.certificate)?;
    let key = read(&files.key)?;
    let client_ca = files.client_ca.as_deref().map(read).transpose()?;
    let mut hash = Sha256::new();
    for part in [&certificate, &key].into_iter().chain(&client_ca) {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    Ok(Contents { certificate, key, client_ca, seen: hash.finalize().into() })
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(MAX_FILE).read_to_end(&mut bytes))
        .map_err(|source| Error::Read { file: file.to_owned(), source })?;
    Ok(bytes)
}

fn load(files: &Files, contents: Contents) -> Result<Served, Error> {
    let pem = |file: &Path, what| Error::Pem { file: file.to_owned(), what };
    let no_certificate = || pem(&files.certificate, "certificate");
    let chain = certificates(&contents.certificate).ok_or_else(no_certificate)?;
    let expiry = X509Certificate::from_der(&chain[0])
        .map(|(_, certificate)| certificate.validity().not_after.timestamp())
        .map_err(|_| no_certificate())?;
    let key =
        PrivateKeyDer::from_pem_slice(&contents.key).map_err(|_| pem(&files.key, "private key"))?;
    let builder = ServerConfig::builder();
    let builder = match (&contents.client_ca, &files.client_ca) {
        (Some(bundle), Some(file)) => {
            let mut roots = RootCertStore::empty();
            let authorities = certificates(bundle).ok_or_else(|| pem(file, "certificate"))?;
            roots.add_parsable_certificates(authorities);
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
                .build()
                .map_err(|_| pem(file, "certificate authority"))?;
            builder.with_client_cert_verifier(verifier)
        }
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|_| Error::Mismatch {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Served { config: Arc::new(config), expiry, seen: contents.seen })
}

/// All certificates of a PEM file; `None` when there is none or one is broken.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.ok().filter(|all| !all.is_empty())
}

/// Whether a client's certificate, which its authority vouches for, has one of the names: as common
/// name or as DNS name. No names: every certificate of that authority does.
pub fn is_named(certificate: &[u8], names: &[String]) -> bool {
    if names.is_empty() {
        return true;
    }
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let dns =
        alternative.iter().flat_map(|names| &names.value.general_names).filter_map(
            |name| match name {
                GeneralName::DNSName(name) => Some(*name),
                _ => None,
            },
        );
    common.chain(dns).any(|name| names.iter().any(|allowed| allowed == name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    fn pair(name: &str) -> (String, String, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![format!("{name}.dns")]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem(), certificate.der().to_vec())
    }

    fn write(folder: &Path, pair: &(String, String, Vec<u8>)) -> Files {
        let files = Files {
            certificate: folder.join("tls.crt"),
            key: folder.join("tls.key"),
            client_ca: None,
        };
        std::fs::write(&files.certificate, &pair.0).unwrap();
        std::fs::write(&files.key, &pair.1).unwrap();
        files
    }

    #[test]
    fn f45_a_new_pair_is_taken_and_a_broken_or_half_written_one_is_told_once() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (pair("first"), pair("second"));
        let tls = Tls::open(write(folder.path(), &first)).unwrap();
        let (mut failed, before) = (None, tls.config());
        assert!(!tls.look(&mut failed).unwrap());
        // The certificate is there already, its key not yet.
        std::fs::write(folder.path().join("tls.crt"), &second.0).unwrap();
        let error = tls.look(&mut failed).unwrap_err().to_string();
        assert!(error.contains("do not fit") && !tls.look(&mut failed).unwrap(), "{error}");
        std::fs::write(folder.path().join("tls.crt"), &second.0[..200]).unwrap();
        assert!(tls.look(&mut failed).is_err());
        assert!(Arc::ptr_eq(&before, &tls.config()));
        write(folder.path(), &second);
        assert!(tls.look(&mut failed).unwrap() && !Arc::ptr_eq(&before, &tls.config()));
        std::fs::remove_file(folder.path().join("tls.key")).unwrap();
        assert!(tls.look(&mut failed).is_err() && !tls.look(&mut failed).unwrap());
    }

    #[test]
    fn a_client_is_known_by_its_common_name_or_a_dns_name() {
        let (_, _, der) = pair("kube-apiserver");
        let named = |name: &str| is_named(&der, &[name.to_owned()]);
        assert!(named("kube-apiserver") && named("kube-apiserver.dns") && !named("other"));
        assert!(is_named(&der, &[]) && !is_named(b"junk", &["x".into()]));
    }

    #[test]
    fn b32_a_file_without_a_certificate_is_named_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let junk = ("secret-canary".to_owned(), "secret-canary".to_owned(), Vec::new());
        let error = Tls::open(write(folder.path(), &junk)).err().unwrap().to_string();
        assert!(error.contains("tls.crt") && !error.contains("canary"), "{error}");
    }
}
