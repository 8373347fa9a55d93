//! How important a request is: four criticalities, each with 128 cohorts.

use std::{convert::Infallible, fmt, str::FromStr};

use http::{HeaderName, Request};

use tokio::time::Instant;

use crate::{Outcome, Policy, Verdict, count::Counter, wire};

/// How much a request matters, in the words of Google's SRE book. The greater, the later it is shed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Criticality {
    /// Partial unavailability is expected: batch work that retries.
    Sheddable,
    /// Batch work that somebody waits for.
    SheddablePlus,
    /// Users notice, and it has no more important kind. The default.
    #[default]
    Critical,
    /// Failing it does the worst damage.
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

    /// The name on the wire, such as `CRITICAL_PLUS`.
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

/// Not one of the four names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a criticality: expected CRITICAL_PLUS, CRITICAL, SHEDDABLE_PLUS or SHEDDABLE")]
pub struct InvalidCriticality;

impl FromStr for Criticality {
    type Err = InvalidCriticality;

    /// Reads a name, in any case of letters.
    fn from_str(name: &str) -> Result<Self, InvalidCriticality> {
        Self::ALL
            .into_iter()
            .find(|criticality| criticality.as_str().eq_ignore_ascii_case(name))
            .ok_or(InvalidCriticality)
    }
}

/// A criticality and a cohort within it: one of 512 levels.
///
/// Cohorts spread the requests of one criticality, so that a part of it can be shed, and so that all requests of
/// one user, in all the services that hash the same key with the same salt, share a fate (DAGOR, `SoCC` 2018).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Priority {
    criticality: Criticality,
    cohort: Option<u8>,
}

impl Priority {
    /// Cohorts in each criticality.
    pub const COHORTS: u16 = 128;
    /// Levels in all.
    pub const LEVELS: u16 = 4 * Self::COHORTS;

    /// A criticality, and no cohort yet. Who sheds a part of a criticality draws one.
    pub const fn new(criticality: Criticality) -> Self {
        Self {
            criticality,
            cohort: None,
        }
    }

    /// In the cohort that `key` (a user, a tenant, a session) hashes to.
    ///
    /// The hash is the same in every process and version, so that services agree; `salt` should change now and then
    /// (hourly, say), so that the same users are not always the first to be shed.
    #[must_use]
    pub fn cohort_of(self, key: impl AsRef<[u8]>, salt: u64) -> Self {
        let hash = cohort_hash(key.as_ref(), salt);
        self.in_cohort((hash % u64::from(Self::COHORTS)) as u8)
    }

    /// In this cohort, modulo 128.
    #[must_use]
    pub const fn in_cohort(self, cohort: u8) -> Self {
        Self {
            criticality: self.criticality,
            cohort: Some(cohort % Self::COHORTS as u8),
        }
    }

    /// In a cohort that is drawn now, if it is in none: for all that is done on behalf of one request, so that it shares
    /// a fate.
    #[must_use]
    pub fn or_drawn(self) -> Self {
        match self.cohort {
            Some(_) => self,
            None => self.in_cohort(fastrand::u8(..Self::COHORTS as u8)),
        }
    }

    /// The criticality.
    pub const fn criticality(self) -> Criticality {
        self.criticality
    }

    /// The cohort, 0 to 127, if the request is in one.
    pub const fn cohort(self) -> Option<u8> {
        self.cohort
    }

    /// 0 (least important) to 511. Without a cohort: the lowest level of the criticality.
    pub const fn level(self) -> u16 {
        let cohort = match self.cohort {
            Some(cohort) => cohort,
            None => 0,
        };
        self.criticality as u16 * Self::COHORTS + cohort as u16
    }

    /// The priority of an HTTP request: the `Priority` in its extensions, or the default.
    pub fn of<B>(req: &Request<B>) -> Self {
        req.extensions().get().copied().unwrap_or_default()
    }
}

impl From<Criticality> for Priority {
    fn from(criticality: Criticality) -> Self {
        Self::new(criticality)
    }
}

/// FNV-1a with a final mix (the finaliser of `MurmurHash3`): fixed for ever, unlike the standard library's.
fn cohort_hash(key: &[u8], salt: u64) -> u64 {
    let start = salt ^ 0xcbf2_9ce4_8422_2325;
    let mut hash = key.iter().fold(start, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// Tells the priority of a request. Closures `Fn(&Req) -> Priority` do.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not tell the priority of a `{Req}`",
    note = "use `ByExtension`, `ByHeader`, or a closure `|req: &{Req}| -> Priority`"
)]
pub trait Prioritize<Req>: Send + Sync {
    /// The priority of this request.
    fn priority(&self, req: &Req) -> Priority;
}

impl<Req, F: Fn(&Req) -> Priority + Send + Sync> Prioritize<Req> for F {
    #[inline]
    fn priority(&self, req: &Req) -> Priority {
        self(req)
    }
}

/// Every request has the same priority: for services whose requests carry none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Same(pub Priority);

impl<Req> Prioritize<Req> for Same {
    #[inline]
    fn priority(&self, _: &Req) -> Priority {
        self.0
    }
}

/// The `Priority` in an HTTP request's extensions, or `CRITICAL`. The default.
#[derive(Debug, Clone, Copy, Default)]
pub struct ByExtension;

impl<B> Prioritize<Request<B>> for ByExtension {
    #[inline]
    fn priority(&self, req: &Request<B>) -> Priority {
        Priority::of(req)
    }
}

/// A header with the criticality's name, and perhaps another whose value is hashed to the cohort.
///
/// Callers write headers: name a `ceiling` where they are not to be trusted with more. A value that is none of
/// the four names counts as absent, and in [`malformed`](ByHeader::malformed).
///
/// As a policy it admits every request, and leaves the priority it read in the extensions (one that is there already
/// stays), with a cohort drawn for a request that has none: for the policies after it, the handler, and what the handler
/// calls.
#[derive(Debug)]
pub struct ByHeader {
    header: HeaderName,
    number: Option<HeaderName>,
    cohort: Option<(HeaderName, u64)>,
    ceiling: Criticality,
    malformed: Counter,
}

impl ByHeader {
    /// The criticality from `header`; absent means `CRITICAL`.
    pub const fn new(header: HeaderName) -> Self {
        let ceiling = Criticality::CriticalPlus;
        Self {
            header,
            number: None,
            cohort: None,
            ceiling,
            malformed: Counter::new(),
        }
    }

    /// As other services of the family pass priorities on: [`wire::CRITICALITY`](crate::wire::CRITICALITY) and the cohort
    /// in [`wire::COHORT`](crate::wire::COHORT). Everybody can write those: strip them at the edge, or name a `ceiling`.
    #[must_use]
    pub fn passed_on() -> Self {
        Self {
            number: Some(wire::COHORT),
            ..Self::new(wire::CRITICALITY)
        }
    }

    /// The cohort from the value of another header, with a salt; see [`Priority::cohort_of`].
    #[must_use]
    pub fn cohort(mut self, header: HeaderName, salt: u64) -> Self {
        self.cohort = Some((header, salt));
        self
    }

    /// Nobody is taken to be more important than this.
    #[must_use]
    pub fn ceiling(mut self, ceiling: Criticality) -> Self {
        self.ceiling = ceiling;
        self
    }

    /// How many requests had an unreadable criticality or cohort.
    pub fn malformed(&self) -> u64 {
        self.malformed.get()
    }
}

impl ByHeader {
    /// The cohort that the caller has put the request in.
    fn numbered<B>(&self, req: &Request<B>) -> Option<u8> {
        let value = req.headers().get(self.number.as_ref()?)?;
        let cohort = wire::small_number(value.as_bytes(), Priority::COHORTS);
        if cohort.is_none() {
            self.malformed.add();
        }
        cohort.map(|cohort| cohort as u8)
    }
}

impl<B> Prioritize<Request<B>> for ByHeader {
    fn priority(&self, req: &Request<B>) -> Priority {
        let stated = req.headers().get(&self.header).and_then(|value| {
            let read: Option<Criticality> = value
                .to_str()
                .ok()
                .and_then(|name| name.trim().parse().ok());
            if read.is_none() {
                self.malformed.add();
            }
            read
        });
        let priority = Priority::new(stated.unwrap_or_default().min(self.ceiling));
        if let Some(cohort) = self.numbered(req) {
            return priority.in_cohort(cohort);
        }
        match &self.cohort {
            Some((header, salt)) => match req.headers().get(header) {
                Some(key) => priority.cohort_of(key.as_bytes(), *salt),
                None => priority,
            },
            None => priority,
        }
    }
}

impl<B> Policy<Request<B>> for ByHeader {
    type Permit = ();
    crate::decides_at_once!(Request<B>);

    fn admit(&self, req: &mut Request<B>, _: Instant) -> Verdict<(), Infallible> {
        // What code has said about the request counts for more than what its caller says.
        let said = req.extensions().get().copied();
        let priority = said.unwrap_or_else(|| self.priority(req)).or_drawn();
        req.extensions_mut().insert(priority);
        Verdict::Admit(())
    }

    fn finish(&self, (): (), _: &Outcome) {}

    fn revoke(&self, (): (), _: Instant, _: Instant) {}

    #[inline]
    fn reads_latency(&self) -> bool {
        false
    }

    #[inline]
    fn announces(&self) -> bool {
        false
    }
}
