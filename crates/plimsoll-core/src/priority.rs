//! Priority of a request: four criticalities, each with 128 cohorts.

mod by_header;

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use http::Request;

pub use self::by_header::ByHeader;

/// Criticality of a request, as in Google's SRE book. Lower ones are shed first.
#[doc(alias("importance"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Criticality {
    /// Partial unavailability is expected: batch work that retries.
    Sheddable,
    /// Batch work whose result is waited for.
    SheddablePlus,
    /// Users notice a failure. The default.
    #[default]
    Critical,
    /// Failures cause the worst damage.
    CriticalPlus,
}

impl Criticality {
    /// All four, least important first.
    pub const ALL: [Self; 4] = [
        Self::Sheddable,
        Self::SheddablePlus,
        Self::Critical,
        Self::CriticalPlus,
    ];

    /// Returns the name on the wire, such as `CRITICAL_PLUS`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sheddable => "SHEDDABLE",
            Self::SheddablePlus => "SHEDDABLE_PLUS",
            Self::Critical => "CRITICAL",
            Self::CriticalPlus => "CRITICAL_PLUS",
        }
    }
}

impl fmt::Display for Criticality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not one of the four names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidCriticality;

impl fmt::Display for InvalidCriticality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("criticality must be CRITICAL_PLUS, CRITICAL, SHEDDABLE_PLUS or SHEDDABLE")
    }
}

impl std::error::Error for InvalidCriticality {}

impl FromStr for Criticality {
    type Err = InvalidCriticality;

    /// Parses a name, case-insensitively.
    fn from_str(name: &str) -> Result<Self, InvalidCriticality> {
        Self::ALL
            .into_iter()
            .find(|criticality| criticality.as_str().eq_ignore_ascii_case(name))
            .ok_or(InvalidCriticality)
    }
}

/// A criticality and a cohort within it: one of 512 levels.
///
/// Cohorts spread the requests of one criticality, so that a part of it can be shed. Services that
/// hash the same key with the same salt put all requests of a user into the same cohort, and shed
/// them together (DAGOR, `SoCC` 2018).
#[doc(alias("criticality"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Priority {
    criticality: Criticality,
    cohort: Option<u8>,
}

impl Priority {
    /// Number of cohorts in each criticality.
    pub const COHORTS: u16 = 128;
    /// Number of levels.
    pub const LEVELS: u16 = 4 * Self::COHORTS;

    /// A criticality without a cohort. Policies that shed a part of a criticality draw a random
    /// cohort for it.
    pub const fn new(criticality: Criticality) -> Self {
        Self {
            criticality,
            cohort: None,
        }
    }

    /// Sets the cohort to the hash of `key` (a user, a tenant, a session).
    ///
    /// The hash is the same in every process and version, so that services agree. Change `salt` now
    /// and then (hourly, for example), so that the shed users change.
    #[must_use]
    pub fn cohort_of(self, key: impl AsRef<[u8]>, salt: u64) -> Self {
        let mut hasher = CohortHasher::new(salt);
        hasher.write(key.as_ref());
        self.in_cohort(hasher.cohort())
    }

    /// Sets the cohort to the hash of `key`. For bytes it equals [`cohort_of`](Self::cohort_of).
    fn cohort_of_hash(self, key: impl Hash, salt: u64) -> Self {
        let mut hasher = CohortHasher::new(salt);
        key.hash(&mut hasher);
        self.in_cohort(hasher.cohort())
    }

    /// Sets the cohort, modulo 128.
    #[must_use]
    pub const fn in_cohort(self, cohort: u8) -> Self {
        Self {
            criticality: self.criticality,
            cohort: Some(cohort % Self::COHORTS as u8),
        }
    }

    /// Draws a random cohort, unless one is set. Draw once per request, so that all work for the
    /// request has the same level.
    #[must_use]
    pub fn or_drawn(self) -> Self {
        match self.cohort {
            Some(_) => self,
            None => self.in_cohort(fastrand::u8(..Self::COHORTS as u8)),
        }
    }

    /// Returns the criticality.
    pub const fn criticality(self) -> Criticality {
        self.criticality
    }

    /// Returns the cohort, 0 to 127, if one is set.
    pub const fn cohort(self) -> Option<u8> {
        self.cohort
    }

    /// Returns 0 (least important) to 511. Without a cohort, the lowest level of the criticality.
    pub const fn level(self) -> u16 {
        let cohort = match self.cohort {
            Some(cohort) => cohort,
            None => 0,
        };
        self.criticality as u16 * Self::COHORTS + cohort as u16
    }

    /// Returns the `Priority` in an HTTP request's extensions, or the default.
    pub fn of<B>(req: &Request<B>) -> Self {
        req.extensions().get().copied().unwrap_or_default()
    }
}

impl From<Criticality> for Priority {
    fn from(criticality: Criticality) -> Self {
        Self::new(criticality)
    }
}

/// FNV-1a with the finaliser of `MurmurHash3`. It never changes between versions, unlike the
/// standard library's hasher.
struct CohortHasher(u64);

impl CohortHasher {
    const fn new(salt: u64) -> Self {
        Self(salt ^ 0xcbf2_9ce4_8422_2325)
    }

    /// Returns the cohort, 0 to 127.
    fn cohort(&self) -> u8 {
        (self.finish() % u64::from(Priority::COHORTS)) as u8
    }
}

impl Hasher for CohortHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    }

    /// Ignores lengths and discriminants, whose size differs between platforms.
    fn write_usize(&mut self, _: usize) {}

    /// Ignored, as in [`write_usize`](Self::write_usize).
    fn write_isize(&mut self, _: isize) {}

    fn finish(&self) -> u64 {
        let mut hash = self.0;
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ (hash >> 33)
    }
}

/// Reads the priority of a request. Implemented for closures `Fn(&Req) -> Priority`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not read a priority from a `{Req}`",
    note = "use `ByExtension`, `ByHeader`, or a closure `|req: &{Req}| -> Priority`"
)]
pub trait Prioritize<Req>: Send + Sync {
    /// Returns the priority of this request.
    fn priority(&self, req: &Req) -> Priority;
}

impl<Req, F: Fn(&Req) -> Priority + Send + Sync> Prioritize<Req> for F {
    #[inline]
    fn priority(&self, req: &Req) -> Priority {
        self(req)
    }
}

/// Gives every request the same priority: for services whose requests carry none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Same(pub Priority);

impl<Req> Prioritize<Req> for Same {
    #[inline]
    fn priority(&self, _: &Req) -> Priority {
        self.0
    }
}

/// Reads the `Priority` in an HTTP request's extensions, `CRITICAL` without one. The default.
#[derive(Debug, Clone, Copy, Default)]
pub struct ByExtension;

impl<B> Prioritize<Request<B>> for ByExtension {
    #[inline]
    fn priority(&self, req: &Request<B>) -> Priority {
        Priority::of(req)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_an_error_that_lists_the_names() {
        let error = "URGENT".parse::<Criticality>().expect_err("unknown");
        let text = error.to_string();
        for name in Criticality::ALL.map(Criticality::as_str) {
            assert!(text.contains(name), "{text}");
        }
    }
}
