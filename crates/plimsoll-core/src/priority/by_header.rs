//! The priority that a request's headers state, and how much of it is believed.

use std::convert::Infallible;

use http::{HeaderName, Request};
use tokio::time::Instant;

use super::{Criticality, Prioritize, Priority};
use crate::{Key, Missing, MissingKeys, Outcome, Policy, Verdict, count::Counter, key::Line, wire};

/// The priority in the request's headers: [`wire::CRITICALITY`] and [`wire::COHORT`].
///
/// Every caller can write these headers, so the constructors name the trust that they take:
///
/// | constructor | criticality | cohort | for |
/// |---|---|---|---|
/// | [`untrusted`](Self::untrusted) | as stated, at most `CRITICAL` | hashed from the caller's key | the edge |
/// | [`trusted`](Self::trusted) | as stated | as stated | services that only your own services can call |
///
/// A `Priority` in the request's extensions comes before all headers. An absent criticality is
/// `CRITICAL`. A criticality or cohort that is malformed, or there twice, counts as absent and in
/// [`malformed`](Self::malformed).
///
/// As a policy it admits every request and leaves its priority in the extensions, with a cohort
/// drawn at random for a request that has none. Policies after it, the handler, and the handler's
/// calls read it there ([`ByExtension`](crate::ByExtension)).
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
    /// `None`: callers are trusted with every criticality, and with their cohort.
    ceiling: Option<Criticality>,
    key: Option<K>,
    salt: u64,
    malformed: Counter,
    missing: MissingKeys,
}

impl ByHeader {
    /// Believes the criticality and the cohort that the caller states.
    ///
    /// A caller that states `CRITICAL_PLUS` and cohort 127 is admitted before all others. So use it
    /// only where every caller is a service of your own, or where a proxy removes both headers from
    /// requests of strangers.
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
    /// Believes a criticality up to `CRITICAL`, and hashes the cohort from the caller's key.
    ///
    /// A caller can lower its own requests (`SHEDDABLE` for batch work) and raise none. Its cohort
    /// is the same for all of its requests, so repeating a rejected request does not help. `key` is
    /// one that the caller cannot choose: [`ClientIp`](crate::ClientIp), or a key of an
    /// authenticated caller. A request without a key is counted in [`missing`](Self::missing) and
    /// draws a cohort at random.
    ///
    /// The salt of the hash is random; replicas that should agree need a common [`salt`](Self::salt).
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

    /// Caps the criticality. A cohort in the headers is no longer believed: callers that need a
    /// ceiling are not trusted.
    #[must_use]
    pub fn ceiling(mut self, ceiling: Criticality) -> Self {
        self.ceiling = Some(ceiling);
        self
    }

    /// Hashes the cohort from `key`, for requests whose stated cohort is absent or not believed.
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
    /// Take the same salt in all replicas, and another one now and then, so that the same callers
    /// are not always the first to be shed. Keep it secret from untrusted callers: with it they can
    /// look for a key (an IPv6 network, a new account) in a high cohort.
    #[must_use]
    pub const fn salt(mut self, salt: u64) -> Self {
        self.salt = salt;
        self
    }

    /// Requests with an unreadable or repeated criticality or cohort.
    pub fn malformed(&self) -> u64 {
        self.malformed.get()
    }

    /// Requests whose cohort should have been hashed from a key and that had no key.
    pub fn missing(&self) -> u64 {
        self.missing.get()
    }

    /// What the one line of a header says; `None` when there is none that can be read.
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

    /// The criticality that the caller states, as far as it is believed.
    fn criticality<B>(&self, req: &Request<B>) -> Criticality {
        let parse = |line: &[u8]| std::str::from_utf8(line).ok()?.trim().parse().ok();
        let stated = self.read(req, &self.criticality, parse).unwrap_or_default();
        self.ceiling.map_or(stated, |ceiling| stated.min(ceiling))
    }

    /// The cohort that the caller states, if it is believed.
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
        if let Some(said) = req.extensions().get() {
            return *said;
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
    fn reads_latency(&self) -> bool {
        false
    }

    #[inline]
    fn announces(&self) -> bool {
        false
    }
}
