//! The certificate authority and the pair that the webhook serves with: making them, and telling what
//! of them is due. Plain functions; the clock is given. Keys are never shown.
//!
//! Two authorities may be trusted at a time: a new one comes to the front of the list and signs the
//! next pair, the one before it stays while pairs it signed may still be served.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;

use super::validity::Validity;

/// Clocks of nodes differ: a new certificate is valid from a while ago.
const BACKDATED: Duration = Duration::from_secs(60 * 60);
/// Authorities that are trusted at a time.
const TRUSTED: usize = 2;

/// How long certificates are made for.
#[derive(Debug, Clone)]
pub struct Lifetimes {
    pub authority: Duration,
    pub pair: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
        Self { authority: days(3653), pair: days(90) }
    }
}

/// What is kept, all as PEM. It has no Debug: two of the four are private keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Held {
    /// Whom the API server may trust; the first of them signs.
    pub authorities: String,
    pub authority_key: String,
    pub pair: String,
    pub pair_key: String,
}

/// What must be made anew, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Nothing,
    Pair(&'static str),
    Authority(&'static str),
}

/// What is kept and the time it is looked at.
struct Look<'a> {
    held: &'a Held,
    now: SystemTime,
}

impl Held {
    /// A new authority and its first pair.
    pub fn new(names: &[String], times: &Lifetimes, now: SystemTime) -> Result<Self, rcgen::Error> {
        let (authorities, authority_key) = authority(times.authority, now)?;
        let held =
            Self { authorities, authority_key, pair: String::new(), pair_key: String::new() };
        held.with_new_pair(names, times, now)
    }

    /// The same authority with another pair.
    pub fn with_new_pair(
        &self,
        names: &[String],
        times: &Lifetimes,
        now: SystemTime,
    ) -> Result<Self, rcgen::Error> {
        let issuer = Issuer::new(authority_params(), KeyPair::from_pem(&self.authority_key)?);
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "pullproof");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, times.pair, now);
        let key = KeyPair::generate()?;
        let pair = params.signed_by(&key, &issuer)?.pem();
        Ok(Self { pair, pair_key: key.serialize_pem(), ..self.clone() })
    }

    /// Another authority in front of those whose time is not over. The pair stays: it may be replaced
    /// once the API server has been told of the new authority.
    pub fn with_new_authority(
        &self,
        times: &Lifetimes,
        now: SystemTime,
    ) -> Result<Self, rcgen::Error> {
        let (mut authorities, authority_key) = authority(times.authority, now)?;
        let old = blocks(&self.authorities).filter(|block| {
            certificates(block)
                .first()
                .and_then(|der| Validity::of(der))
                .is_some_and(|validity| !validity.is_over(unix(now)))
        });
        old.take(TRUSTED - 1).for_each(|block| authorities.push_str(block));
        Ok(Self { authorities, authority_key, ..self.clone() })
    }

    /// What must be made anew.
    pub fn due(&self, names: &[String], now: SystemTime) -> Due {
        let look = Look { held: self, now };
        match look.authority_trouble() {
            Some(why) => Due::Authority(why),
            None => look.pair_trouble(names).map_or(Due::Nothing, Due::Pair),
        }
    }

    /// Whether clients that trust these authorities take the pair for each name.
    pub fn serves(&self, names: &[String], now: SystemTime) -> bool {
        Look { held: self, now }.is_trusted(&certificates(&self.authorities), names)
    }

    /// The time of the authority that signs.
    pub fn authority_validity(&self) -> Option<Validity> {
        Validity::of(certificates(&self.authorities).first()?)
    }

    /// The time of the pair.
    pub fn pair_validity(&self) -> Option<Validity> {
        Validity::of(certificates(&self.pair).first()?)
    }
}

impl Look<'_> {
    fn authority_trouble(&self) -> Option<&'static str> {
        let held = self.held;
        if !is_pair(&held.authorities, &held.authority_key) {
            return Some("the authority's certificate and key do not belong together");
        }
        match held.authority_validity() {
            Some(validity) if validity.two_thirds_over(unix(self.now)) => {
                Some("two thirds of the authority's time are over")
            }
            Some(_) => None,
            None => Some("the authority's certificate can not be read"),
        }
    }

    fn pair_trouble(&self, names: &[String]) -> Option<&'static str> {
        let held = self.held;
        if !is_pair(&held.pair, &held.pair_key) {
            return Some("the certificate and its key do not belong together");
        }
        if held.pair_validity().is_none_or(|validity| validity.two_thirds_over(unix(self.now))) {
            return Some("two thirds of the certificate's time are over");
        }
        let signs = certificates(&held.authorities);
        (!self.is_trusted(&signs[..signs.len().min(1)], names))
            .then_some("the certificate is not of this authority or not for this Service")
    }

    fn is_trusted(&self, authorities: &[CertificateDer<'static>], names: &[String]) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(authorities.iter().cloned());
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let pair = certificates(&self.held.pair);
        let (Ok(verifier), Some((leaf, others))) = (verifier, pair.split_first()) else {
            return false;
        };
        let now =
            UnixTime::since_unix_epoch(self.now.duration_since(UNIX_EPOCH).unwrap_or_default());
        names.iter().all(|name| {
            ServerName::try_from(name.as_str()).is_ok_and(|name| {
                verifier.verify_server_cert(leaf, others, &name, &[], now).is_ok()
            })
        })
    }
}

/// The names that a Service is called by.
pub fn service_names(service: &str, namespace: &str) -> Vec<String> {
    ["", ".svc", ".svc.cluster.local"]
        .map(|end| format!("{service}.{namespace}{end}"))
        .into_iter()
        .chain([service.to_owned()])
        .collect()
}

fn authority(lifetime: Duration, now: SystemTime) -> Result<(String, String), rcgen::Error> {
    let mut params = authority_params();
    set_validity(&mut params, lifetime, now);
    let key = KeyPair::generate()?;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// What an authority is told by; its name must stay, since the pairs it signs repeat it.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "pullproof admission authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn set_validity(params: &mut CertificateParams, lifetime: Duration, now: SystemTime) {
    params.not_before = (now - BACKDATED.min(lifetime / 100)).into();
    params.not_after = (now + lifetime).into();
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).collect()
}

/// The certificates of a bundle, each with its own lines.
fn blocks(pem: &str) -> impl Iterator<Item = &str> {
    pem.split_inclusive("-----END CERTIFICATE-----\n").filter(|block| block.contains("-----BEGIN"))
}

fn is_pair(certificate: &str, key: &str) -> bool {
    let Ok(key) = PrivateKeyDer::from_pem_slice(key.as_bytes()) else { return false };
    let Ok(key) = ring::sign::any_supported_type(&key) else { return false };
    CertifiedKey::new(certificates(certificate), key).keys_match().is_ok()
}

/// Seconds since 1970.
pub fn unix(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn names() -> Vec<String> {
        service_names("pullproof", "checks")
    }

    fn start() -> SystemTime {
        UNIX_EPOCH + 20_000 * DAY
    }

    fn made() -> Held {
        Held::new(&names(), &Lifetimes::default(), start()).unwrap()
    }

    #[test]
    fn a_service_is_called_by_four_names() {
        let expected = ["a.b", "a.b.svc", "a.b.svc.cluster.local", "a"];
        assert_eq!(service_names("a", "b"), expected);
    }

    #[test]
    fn a_new_pair_serves_the_service_and_nothing_is_due() {
        let held = made();
        assert!(held.serves(&names(), start()));
        assert_eq!(held.due(&names(), start()), Due::Nothing);
        assert!(!held.serves(&service_names("pullproof", "elsewhere"), start()));
    }

    #[test]
    fn the_pair_is_due_after_sixty_days_and_the_authority_after_two_thirds_of_ten_years() {
        let held = made();
        assert_eq!(held.due(&names(), start() + 59 * DAY), Due::Nothing);
        assert!(matches!(held.due(&names(), start() + 60 * DAY), Due::Pair(_)));
        let later = start() + 2436 * DAY;
        assert!(matches!(held.due(&names(), later), Due::Authority(_)));
    }

    #[test]
    fn f48_a_clock_that_is_an_hour_off_makes_nothing_due_and_what_it_made_is_trusted() {
        let (held, hour) = (made(), Duration::from_secs(3600));
        for now in [start() - hour, start() + hour] {
            assert_eq!(held.due(&names(), now), Due::Nothing);
            assert!(held.serves(&names(), now));
            // Made by a clock that is off, looked at by one that is right.
            let other = Held::new(&names(), &Lifetimes::default(), now).unwrap();
            assert_eq!(other.due(&names(), start()), Due::Nothing);
            assert!(other.serves(&names(), start()));
        }
    }

    #[test]
    fn a_renewed_pair_is_trusted_by_the_same_authority() {
        let held = made();
        let later = start() + 60 * DAY;
        let renewed = held.with_new_pair(&names(), &Lifetimes::default(), later).unwrap();
        assert!(renewed.authorities == held.authorities && renewed.pair != held.pair);
        assert_eq!(renewed.due(&names(), later), Due::Nothing);
        assert!(renewed.serves(&names(), later + 89 * DAY));
        assert!(!renewed.serves(&names(), later + 91 * DAY));
    }

    #[test]
    fn a_new_authority_leaves_the_old_pair_trusted_until_the_pair_is_renewed() {
        let times = Lifetimes::default();
        let next = made().with_new_authority(&times, start()).unwrap();
        assert!(next.serves(&names(), start()));
        assert!(matches!(next.due(&names(), start()), Due::Pair(_)));
        let renewed = next.with_new_pair(&names(), &times, start()).unwrap();
        assert_eq!(renewed.due(&names(), start()), Due::Nothing);
        let third = renewed.with_new_authority(&times, start()).unwrap();
        assert_eq!(certificates(&third.authorities).len(), TRUSTED);
        let late = third.with_new_authority(&times, start() + 4000 * DAY).unwrap();
        assert_eq!(certificates(&late.authorities).len(), 1);
    }

    #[test]
    fn what_is_broken_or_mixed_is_made_anew() {
        let (held, other) = (made(), made());
        let due = |change: &dyn Fn(&mut Held)| {
            let mut held = held.clone();
            change(&mut held);
            held.due(&names(), start())
        };
        assert!(matches!(due(&|held| held.pair_key = other.pair_key.clone()), Due::Pair(_)));
        assert!(matches!(due(&|held| held.pair = "torn".into()), Due::Pair(_)));
        let foreign = |held: &mut Held| {
            held.pair = other.pair.clone();
            held.pair_key = other.pair_key.clone();
        };
        assert!(matches!(due(&foreign), Due::Pair(_)));
        assert!(matches!(due(&|held| held.authority_key = String::new()), Due::Authority(_)));
        let swapped = |held: &mut Held| held.authorities = other.authorities.clone();
        assert!(matches!(due(&swapped), Due::Authority(_)));
        let other_service = service_names("hooks", "checks");
        assert!(matches!(held.due(&other_service, start()), Due::Pair(_)));
    }
}
