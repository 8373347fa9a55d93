//! Deadlines: read from headers, kept in extensions, and checked before work starts.

use std::{convert::Infallible, time::Duration};

use http::{HeaderName, HeaderValue, Request};
use tokio::time::Instant;

use crate::{
    Interests, Kind, Outcome, Policy, Rejection, Verdict, count::Counter, decimal::written, wire,
};

pub(crate) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The time after which the caller no longer needs the answer.
///
/// Code sets it by inserting it into a request's extensions. [`Deadlines`] reads it from headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// The deadline `timeout` after `now`. `None` when that is beyond the clock's range.
    pub fn after(now: Instant, timeout: Duration) -> Option<Self> {
        now.checked_add(timeout).map(Self)
    }

    /// Returns the time left, zero after the deadline.
    pub fn remaining(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// Returns the deadline in an HTTP request's extensions.
    pub fn of<B>(req: &Request<B>) -> Option<Self> {
        req.extensions().get().copied()
    }
}

/// Reads a `grpc-timeout`: one to eight digits and a unit (`H`, `M`, `S`, `m`, `u`, `n`).
///
/// Zero is outside the grammar, but some peers send it when they are already late: it reads as
/// zero, not as no timeout. Every other malformed value is `None`.
pub fn parse_grpc_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount = digits
        .iter()
        .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(amount * 3600),
        b'M' => Duration::from_secs(amount * 60),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// Writes a `grpc-timeout`, rounded down, in the finest unit that fits eight digits.
///
/// Rounding down ensures that a call never outlives the call that it belongs to. `None` when no
/// time is left: the call should not be made.
pub fn grpc_timeout(left: Duration) -> Option<HeaderValue> {
    const MOST: u128 = 99_999_999;
    let nanos = left.as_nanos();
    let units = [
        (1, b'n'),
        (1_000, b'u'),
        (1_000_000, b'm'),
        (1_000_000_000, b'S'),
    ];
    let fits = units.into_iter().find(|(unit, _)| nanos / unit <= MOST);
    // Longer than three years: in hours, capped at eight digits.
    let (unit, letter) = fits.unwrap_or((3_600_000_000_000, b'H'));
    let amount = (nanos / unit).min(MOST);
    if amount == 0 {
        return None;
    }
    let mut room = [0; 20];
    let digits = written(amount as u64, &mut room);
    let mut value = [0; 9];
    value[..digits.len()].copy_from_slice(digits);
    value[digits.len()] = letter;
    HeaderValue::from_bytes(&value[..=digits.len()]).ok()
}

/// Reads the deadline of a request. Implemented for closures
/// `Fn(&Req, Instant) -> Option<Deadline>`; `()` reads none.
pub trait ReadDeadline<Req>: Send + Sync {
    /// Returns the deadline of a request that arrived at `now`.
    fn deadline(&self, req: &Req, now: Instant) -> Option<Deadline>;
}

impl<Req> ReadDeadline<Req> for () {
    #[inline]
    fn deadline(&self, _: &Req, _: Instant) -> Option<Deadline> {
        None
    }
}

impl<Req, F> ReadDeadline<Req> for F
where
    F: Fn(&Req, Instant) -> Option<Deadline> + Send + Sync,
{
    #[inline]
    fn deadline(&self, req: &Req, now: Instant) -> Option<Deadline> {
        self(req, now)
    }
}

/// Reads deadlines of HTTP requests. As a policy, it rejects requests whose deadline cannot be met.
///
/// Sources: a [`Deadline`] in the extensions, `grpc-timeout`, the header of
/// [`propagated`](Deadlines::propagated), and the header set with [`header`](Deadlines::header)
/// (both in whole milliseconds from arrival). The earliest deadline counts.
/// An unreadable value is ignored and counted in [`malformed`](Deadlines::malformed).
///
/// As a policy it puts the deadline into the extensions, for later policies and the handler. It
/// rejects with [`Kind::Deadline`] when the time left is zero or less than
/// [`at_least`](Deadlines::at_least).
#[doc(alias("timeout", "grpc-timeout"))]
#[derive(Debug, Default)]
pub struct Deadlines {
    /// Whether [`wire::TIMEOUT`](crate::wire::TIMEOUT) is read.
    propagated: bool,
    header: Option<HeaderName>,
    at_least: Duration,
    malformed: Counter,
}

impl Deadlines {
    /// Reads extensions and `grpc-timeout`.
    pub const fn new() -> Self {
        Self {
            propagated: false,
            header: None,
            at_least: Duration::ZERO,
            malformed: Counter::new(),
        }
    }

    /// Reads extensions, `grpc-timeout`, and [`wire::TIMEOUT`](crate::wire::TIMEOUT).
    #[must_use]
    pub const fn propagated() -> Self {
        Self {
            propagated: true,
            header: None,
            at_least: Duration::ZERO,
            malformed: Counter::new(),
        }
    }

    /// Also reads this header: whole milliseconds from arrival. There is no standard header for it.
    /// A second call replaces the header of the first.
    #[must_use]
    pub fn header(mut self, header: HeaderName) -> Self {
        self.header = Some(header);
        self
    }

    /// Sets the least time left of an admitted request. Zero by default.
    ///
    /// The service's 99th percentile latency is a good value: a request with less time left is
    /// likely to be answered too late.
    #[must_use]
    pub fn at_least(mut self, remaining: Duration) -> Self {
        self.at_least = remaining;
        self
    }

    /// Returns how many requests had an unreadable deadline.
    pub fn malformed(&self) -> u64 {
        self.malformed.get()
    }

    fn header_timeout<B>(
        &self,
        req: &Request<B>,
        header: &HeaderName,
        parse: impl Fn(&[u8]) -> Option<Duration>,
    ) -> Option<Duration> {
        let value = req.headers().get(header)?;
        let timeout = parse(value.as_bytes());
        if timeout.is_none() {
            self.malformed.add();
        }
        timeout
    }
}

/// Reads up to 12 digits of milliseconds.
pub fn parse_millis(value: &[u8]) -> Option<Duration> {
    if value.is_empty() || value.len() > 12 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let millis = value
        .iter()
        .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(Duration::from_millis(millis))
}

impl<B> ReadDeadline<Request<B>> for Deadlines {
    fn deadline(&self, req: &Request<B>, now: Instant) -> Option<Deadline> {
        let set = Deadline::of(req);
        let grpc = self.header_timeout(req, &GRPC_TIMEOUT, parse_grpc_timeout);
        let millis = |header: &HeaderName| self.header_timeout(req, header, parse_millis);
        let propagated = self.propagated.then_some(&wire::TIMEOUT).and_then(millis);
        let own = self.header.as_ref().and_then(millis);
        let read = |timeout: Option<Duration>| timeout.and_then(|t| Deadline::after(now, t));
        [set, read(grpc), read(propagated), read(own)]
            .into_iter()
            .flatten()
            .min()
    }
}

impl<B> Policy<Request<B>> for Deadlines {
    type Permit = ();
    crate::decides_at_once!(Request<B>);

    fn admit(&self, req: &mut Request<B>, now: Instant) -> Verdict<(), Infallible> {
        let Some(deadline) = self.deadline(req, now) else {
            return Verdict::Admit(());
        };
        let remaining = deadline.remaining(now);
        if remaining.is_zero() || remaining < self.at_least {
            return Verdict::Reject(Rejection::new("deadline", Kind::Deadline));
        }
        if Deadline::of(req) != Some(deadline) {
            req.extensions_mut().insert(deadline);
        }
        Verdict::Admit(())
    }

    fn finish(&self, (): (), _: &Outcome) {}

    fn revoke(&self, (): (), _: Instant, _: Instant) {}

    #[inline]
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE
    }
}
