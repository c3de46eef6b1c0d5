//! A private certificate authority and the good and bad certificates it (or nobody) signs.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A root no system trusts.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A server's certificate chain and key.
#[derive(Clone)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key_der: Vec<u8>,
    /// The chain, leaf first.
    pub chain_pem: String,
    pub key_pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = params(&[], "Private Test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self { issuer: CertifiedIssuer::self_signed(params, key()).expect("a CA certificate") }
    }

    /// The root's certificate, to be trusted by a client.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// For 127.0.0.1, ::1 and localhost, in its time.
    pub fn valid(&self) -> Identity {
        self.sign(params(LOOPBACK, "registry"))
    }

    /// As `valid`, but its time is over.
    pub fn expired(&self) -> Identity {
        let mut params = params(LOOPBACK, "registry");
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.sign(params)
    }

    /// As `valid`, but its time has not come.
    pub fn not_yet_valid(&self) -> Identity {
        let mut params = params(LOOPBACK, "registry");
        params.not_before = date_time_ymd(2998, 1, 1);
        params.not_after = date_time_ymd(2999, 1, 1);
        self.sign(params)
    }

    /// In its time, for another host.
    pub fn wrong_name(&self) -> Identity {
        self.for_names(&["registry.example.com"])
    }

    /// In its time, for these host names or addresses.
    pub fn for_names(&self, names: &[&str]) -> Identity {
        self.sign(params(names, "registry"))
    }

    /// A valid leaf followed by so many copies of the root: 2,000 make about a megabyte.
    pub fn valid_with_chain_of(&self, copies: usize) -> Identity {
        let mut identity = self.valid();
        for _ in 0..copies {
            identity.chain.push(self.issuer.der().clone());
            identity.chain_pem.push_str(&self.issuer.pem());
        }
        identity
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = key();
        let leaf = params.signed_by(&key, &self.issuer).expect("a leaf certificate");
        Identity::new(leaf.der().clone(), leaf.pem(), &key)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Identity {
    /// Signed by itself, for the loopback names.
    pub fn self_signed() -> Self {
        let key = key();
        let leaf = params(LOOPBACK, "registry").self_signed(&key).expect("a certificate");
        Self::new(leaf.der().clone(), leaf.pem(), &key)
    }

    fn new(leaf: CertificateDer<'static>, chain_pem: String, key: &KeyPair) -> Self {
        let key_der = key.serialize_der();
        Self { chain: vec![leaf], chain_pem, key_pem: key.serialize_pem(), key_der }
    }

    /// For a TLS server that offers HTTP/2 and HTTP/1.1, or only the latter.
    pub fn server_config(&self, http1_only: bool) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::try_from(self.key_der.clone()).expect("a key rcgen made");
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key)
            .expect("a key that fits its certificate");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        if http1_only {
            config.alpn_protocols.remove(0);
        }
        Arc::new(config)
    }
}

const LOOPBACK: &[&str] = &["127.0.0.1", "::1", "localhost"];

fn key() -> KeyPair {
    KeyPair::generate().expect("a fresh key")
}

fn params(names: &[&str], common_name: &str) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names a certificate can hold");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}
