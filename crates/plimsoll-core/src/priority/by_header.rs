//! The priority in a request's headers, and how far it is trusted.

use std::convert::Infallible;

use http::{HeaderName, Request};
use tokio::time::Instant;

use super::{Criticality, Prioritize, Priority};
use crate::{
    Interests, Key, Missing, MissingKeys, Outcome, Policy, Verdict, count::Counter, key::Line, wire,
};

/// Reads the priority from the request's headers [`wire::CRITICALITY`] and [`wire::COHORT`].
///
/// Every caller can write these headers, so the constructors name the trust that they place in
/// callers:
///
/// | constructor | criticality | cohort | for |
/// |---|---|---|---|
/// | [`untrusted`](Self::untrusted) | as stated, at most `CRITICAL` | hashed from the caller's key | the edge |
/// | [`trusted`](Self::trusted) | as stated | as stated | services that only your own services can call |
///
/// A `Priority` in the request's extensions overrides all headers. An absent criticality is
/// `CRITICAL`. A malformed or repeated criticality or cohort counts as absent, and in
/// [`malformed`](Self::malformed).
///
/// As a policy it admits every request and puts its priority into the extensions. A request without
/// a cohort gets a random one. Policies after it, the handler, and the handler's calls read it
/// there ([`ByExtension`](crate::ByExtension)).
///
/// ```
/// use plimsoll_core::{ByExtension, ByHeader, ClientIp, GateLayer};
/// # fn limit(_: ByExtension) {}
///
/// // Callers from the internet, behind one proxy.
/// let stack = (
///     ByHeader::untrusted(ClientIp::behind(1)),
///     limit(ByExtension),
/// );
/// # let _: GateLayer<_> = GateLayer::new(stack);
/// ```
#[derive(Debug)]
pub struct ByHeader<K = ()> {
    criticality: HeaderName,
    /// `None`: callers are trusted with every criticality and with their cohort.
    ceiling: Option<Criticality>,
    key: Option<K>,
    salt: u64,
    malformed: Counter,
    missing: MissingKeys,
}

impl ByHeader {
    /// Trusts the criticality and the cohort that the caller states.
    ///
    /// A caller that states `CRITICAL_PLUS` and cohort 127 is admitted before all others. Use it
    /// only when every caller is a service of your own, or when a proxy removes both headers from
    /// external requests.
    #[must_use]
    pub const fn trusted() -> Self {
        Self {
            criticality: wire::CRITICALITY,
            ceiling: None,
            key: None,
            salt: 0,
            malformed: Counter::new(),
            missing: MissingKeys::new(),
        }
    }
}

impl<K> ByHeader<K> {
    /// Trusts a criticality up to `CRITICAL`, and hashes the cohort from the caller's key.
    ///
    /// A caller can lower the priority of its requests (`SHEDDABLE` for batch work), but not raise
    /// it. All its requests have the same cohort, so repeating a rejected request does not help.
    /// `key` must be one that the caller cannot choose: [`ClientIp`](crate::ClientIp), or a key of
    /// an authenticated caller. A request without a key gets a random cohort and counts in
    /// [`missing`](Self::missing).
    ///
    /// The salt of the hash is random; replicas that should agree need a common
    /// [`salt`](Self::salt).
    #[must_use]
    pub fn untrusted(key: K) -> Self {
        Self {
            criticality: wire::CRITICALITY,
            ceiling: Some(Criticality::Critical),
            key: Some(key),
            salt: fastrand::u64(..),
            malformed: Counter::new(),
            missing: MissingKeys::new(),
        }
    }

    /// Reads the criticality from this header instead of [`wire::CRITICALITY`].
    #[must_use]
    pub fn criticality_header(mut self, header: HeaderName) -> Self {
        self.criticality = header;
        self
    }

    /// Caps the criticality. The cohort in the headers is then ignored, since callers that need a
    /// cap are not trusted.
    #[must_use]
    pub fn ceiling(mut self, ceiling: Criticality) -> Self {
        self.ceiling = Some(ceiling);
        self
    }

    /// Hashes the cohort from `key`, for requests without a trusted cohort in the headers.
    #[must_use]
    pub fn cohort_from<L>(self, key: L) -> ByHeader<L> {
        ByHeader {
            criticality: self.criticality,
            ceiling: self.ceiling,
            key: Some(key),
            salt: self.salt,
            malformed: self.malformed,
            missing: self.missing,
        }
    }

    /// Hashes cohorts with this salt, as [`Priority::cohort_of`] does.
    ///
    /// Use the same salt in all replicas, and change it now and then, so that the shed callers
    /// change. Keep it secret from untrusted callers: with the salt they can search for a key (an
    /// IPv6 network, a new account) with a high cohort.
    #[must_use]
    pub const fn salt(mut self, salt: u64) -> Self {
        self.salt = salt;
        self
    }

    /// Returns how many requests had an unreadable or repeated criticality or cohort.
    pub fn malformed(&self) -> u64 {
        self.malformed.get()
    }

    /// Returns how many requests had no key to hash the cohort from.
    pub fn missing(&self) -> u64 {
        self.missing.get()
    }

    /// Parses the only line of a header; `None` when it is absent or unreadable.
    fn read<B, T>(
        &self,
        req: &Request<B>,
        header: &HeaderName,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let read = match Line::of(header, req.headers()) {
            Line::Absent => return None,
            Line::Once(line) => parse(line),
            Line::Unusable => None,
        };
        if read.is_none() {
            self.malformed.add();
        }
        read
    }

    /// Returns the stated criticality, capped at the ceiling.
    fn criticality<B>(&self, req: &Request<B>) -> Criticality {
        let parse = |line: &[u8]| std::str::from_utf8(line).ok()?.trim().parse().ok();
        let stated = self.read(req, &self.criticality, parse).unwrap_or_default();
        self.ceiling.map_or(stated, |ceiling| stated.min(ceiling))
    }

    /// Returns the stated cohort, if callers are trusted.
    fn cohort<B>(&self, req: &Request<B>) -> Option<u8> {
        if self.ceiling.is_some() {
            return None;
        }
        let parse = |line: &[u8]| wire::small_number(line, Priority::COHORTS);
        let cohort = self.read(req, &wire::COHORT, parse)?;
        Some(cohort as u8)
    }
}

impl<B, K: Key<Request<B>>> Prioritize<Request<B>> for ByHeader<K> {
    fn priority(&self, req: &Request<B>) -> Priority {
        if let Some(stated) = req.extensions().get() {
            return *stated;
        }
        let priority = Priority::new(self.criticality(req));
        if let Some(cohort) = self.cohort(req) {
            return priority.in_cohort(cohort);
        }
        let Some(reader) = &self.key else {
            return priority;
        };
        if let Some(key) = reader.key(req) {
            return priority.cohort_of_hash(key, self.salt);
        }
        self.missing.note(reader, req, Missing::Share);
        priority
    }
}

impl<B, K: Key<Request<B>>> Policy<Request<B>> for ByHeader<K> {
    type Permit = ();
    crate::decides_at_once!(Request<B>);

    fn admit(&self, req: &mut Request<B>, _: Instant) -> Verdict<(), Infallible> {
        let priority = self.priority(req).or_drawn();
        req.extensions_mut().insert(priority);
        Verdict::Admit(())
    }

    fn finish(&self, (): (), _: &Outcome) {}

    fn revoke(&self, (): (), _: Instant, _: Instant) {}

    #[inline]
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE
    }
}
