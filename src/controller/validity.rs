//! The time in which a certificate is valid, from its DER (RFC 5280, section 4.1): a dozen lines
//! instead of a parser for all of X.509. What is no certificate gives `None`.

use std::time::Duration;

/// Seconds since 1970 of notBefore and notAfter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Validity {
    pub from: i64,
    pub until: i64,
}

impl Validity {
    /// Reads it from a certificate in DER.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (SEQUENCE, certificate, _) = element(certificate)? else { return None };
        let (SEQUENCE, body, _) = element(certificate)? else { return None };
        let mut rest = body;
        // The version is left out of version 1.
        if let (VERSION, _, after) = element(rest)? {
            rest = after;
        }
        // Serial number, algorithm, issuer.
        for _ in 0..3 {
            (_, _, rest) = element(rest)?;
        }
        let (SEQUENCE, validity, _) = element(rest)? else { return None };
        let (from_tag, from, rest) = element(validity)?;
        let (until_tag, until, _) = element(rest)?;
        Some(Self { from: seconds(from_tag, from)?, until: seconds(until_tag, until)? })
    }

    /// Whether this part of its time (in thirds) is over.
    pub fn two_thirds_over(&self, now: i64) -> bool {
        now >= self.from.saturating_add(self.until.saturating_sub(self.from) / 3 * 2)
    }

    /// How long it is until two thirds are over.
    pub fn until_two_thirds(&self, now: i64) -> Duration {
        let due = self.from.saturating_add(self.until.saturating_sub(self.from) / 3 * 2);
        Duration::from_secs(u64::try_from(due.saturating_sub(now)).unwrap_or(0))
    }

    /// Whether its time is over.
    pub fn is_over(&self, now: i64) -> bool {
        now > self.until
    }
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The tag and content of the first element, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let length = match first {
        0..=0x7f => usize::from(first),
        // Long form; a certificate of more than four bytes of length is none.
        0x81..=0x84 => {
            let (bytes, after) = rest.split_at_checked(usize::from(first - 0x80))?;
            rest = after;
            bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn seconds(tag: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i64 = number(year)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    if rest.len() != 10 {
        return None;
    }
    let part = |at: usize| number(rest.get(at..at + 2)?);
    let days = days_since_1970(year, part(0)?, part(2)?)?;
    Some(days * 86_400 + part(4)? * 3_600 + part(6)? * 60 + part(8)?)
}

fn number(digits: &str) -> Option<i64> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Of the Gregorian calendar; years are counted from March, so that a leap day is the last one.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    Some(
        year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
            - 719_468,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(from: (i32, u8, u8), until: (i32, u8, u8)) -> Option<Validity> {
        let mut params = rcgen::CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        let key = rcgen::KeyPair::generate().unwrap();
        Validity::of(params.self_signed(&key).unwrap().der())
    }

    #[test]
    fn both_kinds_of_time_are_read() {
        let read = of((1970, 1, 1), (2049, 12, 31)).unwrap();
        assert_eq!(read, Validity { from: 0, until: 2_524_521_600 });
        let read = of((2024, 2, 29), (2051, 3, 1)).unwrap();
        assert_eq!(read, Validity { from: 1_709_164_800, until: 2_561_241_600 });
    }

    #[test]
    fn what_is_no_certificate_has_no_validity() {
        let mut params = rcgen::CertificateParams::default();
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let der = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
        for end in 0..der.len() - 1 {
            assert_eq!(Validity::of(&der[..end]), None, "cut at {end}");
        }
        assert_eq!(Validity::of(b"\x30\x84\xff\xff\xff\xff"), None);
        assert_eq!(seconds(UTC_TIME, b"991301000000Z"), None);
        assert_eq!(seconds(UTC_TIME, "9\u{e9}0101000000Z".as_bytes()), None);
    }

    #[test]
    fn renewal_is_due_at_two_thirds() {
        let validity = Validity { from: 100, until: 400 };
        assert!(!validity.two_thirds_over(299));
        assert!(validity.two_thirds_over(300));
        assert_eq!(validity.until_two_thirds(250), Duration::from_secs(50));
        assert_eq!(validity.until_two_thirds(500), Duration::ZERO);
        assert!(!validity.is_over(400) && validity.is_over(401));
    }
}
