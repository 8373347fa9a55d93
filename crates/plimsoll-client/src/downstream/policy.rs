//! The policy of a client.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::Request;
use plimsoll_core::{
    ByHeader, Class, Criticality, Deadlines, Kind, Outcome, Policy, Priority, Rejection,
    policy::{Announcement, Interests, Prioritize, ReadDeadline, Verdict},
    support::Tally,
    wire,
};
use tokio::time::Instant;

use super::{
    CallContext,
    learned::Learned,
    write::{write_deadline, write_priority},
};
use crate::InvalidDownstream;

/// The policy's name in rejections.
pub(super) const NAME: &str = "downstream";
const EXPIRES: Duration = Duration::from_secs(5);
const PROBE_EVERY: Duration = Duration::from_secs(1);
const PERIODS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(3600);

/// Propagates priority and deadline to a callee, and rejects in the client what the callee would
/// shed.
///
/// One layer around the client of another service is enough.
///
/// # Headers it writes
///
/// The priority is the first of: the outgoing request's extensions ([`CallContext::propagate`]), the
/// scope ([`CallScopeLayer`](crate::CallScopeLayer)), the request's headers, `CRITICAL`. A request
/// without a cohort gets a random one. The deadline is the earliest one that is stated.
///
/// | header | value |
/// |---|---|
/// | [`CRITICALITY`](wire::CRITICALITY) | `CRITICAL_PLUS`, `CRITICAL`, `SHEDDABLE_PLUS` or `SHEDDABLE` |
/// | [`COHORT`](wire::COHORT) | three digits, 000 to 127 |
/// | `grpc-timeout`, on gRPC | the time left, rounded down |
/// | [`TIMEOUT`](wire::TIMEOUT), on everything else | the time left in whole milliseconds, rounded down |
///
/// The callee reads them with [`ByHeader::trusted`] and [`Deadlines::propagated`]. A call whose
/// deadline has passed is not sent; it is rejected with [`Kind::Deadline`].
///
/// # The callee's threshold
///
/// An answer that announces a [`THRESHOLD`](wire::THRESHOLD), in its head or its trailers, is
/// counted, and the header is removed, since it concerns this hop only. The threshold in force
/// follows from the calls sent in the last 0.5 to 1 second:
///
/// ```text
/// threshold = the highest T with   2 * (answers that announce T or more + 4 if T <= in force)   >=   calls sent + 4
/// ```
///
/// - Once half of the calls announce T or more, requests below T are rejected without being sent.
///   One overloaded instance of ten behind one name costs its own share of the traffic only; when
///   all instances announce a threshold, the client sheds at it.
/// - Calls in flight count as calls without a threshold, since an overloaded instance answers
///   sooner than the others. An answer later than the window is not counted, and an answer without
///   the header counts as 0.
/// - The constant 4 supports the threshold in force: one answer is not enough to start shedding,
///   and silence is not enough to stop it. Clients that send fewer than four calls per second leave
///   the shedding to the callee.
///
/// One request below the threshold is sent each second as a probe
/// ([`probe_every`](Self::probe_every)). A lower threshold in the answer to a probe takes effect at
/// once. A threshold expires 5 seconds after the last call whose answer confirmed it was sent
/// ([`expires`](Self::expires)).
///
/// A balancer that prefers instances with few calls in flight sends most calls to an overloaded
/// instance, since rejections are fast. Most answers then announce its threshold: let the balancer
/// eject it.
///
/// # Shared state and cloning
///
/// The threshold belongs to the layer: make one layer for each callee, and share it among all
/// clients of that callee.
///
/// # Cost
///
/// The headers: one allocation for the time left, and the growth of the header map.
///
/// ```
/// # type Body = String;
/// use plimsoll_core::{GateLayer, Policy};
/// use plimsoll_client::Downstream;
/// # fn client<P: Policy<http::Request<Body>>>(_: GateLayer<P>) {}
///
/// let quotes = Downstream::new();
/// let handle = quotes.handle();
/// client(GateLayer::new(quotes)); // around hyper's client, tonic's `Channel`, ...
/// # _ = handle;
/// ```
#[doc(alias("deadline propagation", "backpressure"))]
#[derive(Debug)]
pub struct Downstream {
    shared: Arc<Shared>,
    priorities: ByHeader,
    deadlines: Deadlines,
    probe_every: Duration,
}

#[derive(Debug)]
struct Shared {
    learned: Learned,
    expires: Duration,
    sent: Tally,
    shed: Tally,
}

/// The permit of [`Downstream`]: a request's criticality, and whether it is a probe.
#[derive(Debug)]
pub struct DownstreamPermit {
    criticality: Criticality,
    /// When it was admitted, if it is a probe below the threshold.
    probe: Option<Instant>,
}

/// Reads the state of a [`Downstream`] policy. Clones share it.
#[derive(Debug, Clone)]
pub struct DownstreamHandle(Arc<Shared>);

impl Downstream {
    /// A policy with the defaults: thresholds expire after 5 seconds, one probe per second.
    pub fn new() -> Self {
        Self::expiring(EXPIRES)
    }

    fn expiring(expires: Duration) -> Self {
        let shared = Shared {
            learned: Learned::new(),
            expires,
            sent: Tally::default(),
            shed: Tally::default(),
        };
        Self {
            shared: Arc::new(shared),
            priorities: ByHeader::trusted(),
            deadlines: Deadlines::propagated(),
            probe_every: PROBE_EVERY,
        }
    }

    /// Sets how long a threshold stays in force after the last call that confirmed it was sent.
    /// Default: 5 seconds. Handles made before this call do not belong to the returned policy.
    ///
    /// # Errors
    ///
    /// When it is less than 1 ms or more than 1 hour.
    pub fn expires(self, after: Duration) -> Result<Self, InvalidDownstream> {
        if !PERIODS.contains(&after) {
            return Err(InvalidDownstream::Expires(after));
        }
        Ok(Self {
            probe_every: self.probe_every,
            ..Self::expiring(after)
        })
    }

    /// Sets the period in which one request below the threshold is sent as a probe. Default: 1
    /// second.
    ///
    /// # Errors
    ///
    /// When it is less than 1 ms or more than 1 hour.
    pub fn probe_every(self, every: Duration) -> Result<Self, InvalidDownstream> {
        if !PERIODS.contains(&every) {
            return Err(InvalidDownstream::ProbeEvery(every));
        }
        Ok(Self {
            probe_every: every,
            ..self
        })
    }

    /// A handle that reads this policy's state.
    pub fn handle(&self) -> DownstreamHandle {
        DownstreamHandle(Arc::clone(&self.shared))
    }

    /// Admits a request at or above the threshold, or as a probe; `None` when it is shed.
    fn permit(&self, priority: Priority, now: Instant) -> Option<DownstreamPermit> {
        let learned = &self.shared.learned;
        let below = priority.level() < learned.threshold(now, self.shared.expires);
        if below && !learned.probes(now, self.probe_every) {
            return None;
        }
        Some(DownstreamPermit {
            criticality: priority.criticality(),
            probe: below.then_some(now),
        })
    }

    /// Undoes the admission at `admitted` of a request that was not sent.
    #[cold]
    fn take_back(&self, permit: &DownstreamPermit, admitted: Instant) {
        let learned = &self.shared.learned;
        self.shared.sent.take_back(permit.criticality);
        learned.take_back(admitted);
        if let Some(probe) = permit.probe {
            learned.take_back_probe(probe, self.probe_every);
        }
    }
}

impl Default for Downstream {
    fn default() -> Self {
        Self::new()
    }
}

impl DownstreamHandle {
    /// The level below which requests are rejected at `now`.
    pub fn threshold(&self, now: Instant) -> u16 {
        self.0.learned.threshold(now, self.0.expires)
    }

    /// Requests of this criticality that were sent. Requests that a later policy or gate rejected
    /// are not counted.
    pub fn sent(&self, criticality: Criticality) -> u64 {
        self.0.sent.get(criticality)
    }

    /// Requests of this criticality that were rejected here.
    pub fn shed(&self, criticality: Criticality) -> u64 {
        self.0.shed.get(criticality)
    }
}

impl<B> Policy<Request<B>> for Downstream {
    type Permit = DownstreamPermit;
    plimsoll_core::decides_at_once!(Request<B>);

    fn admit(&self, req: &mut Request<B>, now: Instant) -> Verdict<DownstreamPermit, Infallible> {
        let scope = CallContext::current();
        let stated = CallContext {
            deadline: self.deadlines.deadline(req, now),
            ..CallContext::of(req)
        };
        let context = stated.or(scope);
        if let Some(deadline) = context.deadline {
            if write_deadline(req, deadline, now).is_none() {
                return Verdict::Reject(Rejection::new(NAME, Kind::Deadline));
            }
        }
        let priority = context
            .priority
            .unwrap_or_else(|| self.priorities.priority(req))
            .or_drawn();
        let Some(permit) = self.permit(priority, now) else {
            self.shared.shed.add(priority.criticality());
            let hint = self.probe_every;
            return Verdict::Reject(Rejection::new(NAME, Kind::Full).with_retry_after(hint));
        };
        write_priority(req, priority);
        self.shared.sent.add(priority.criticality());
        self.shared.learned.sends(now);
        Verdict::Admit(permit)
    }

    #[inline]
    fn finish(&self, permit: DownstreamPermit, outcome: &Outcome) {
        // An inner gate rejected it.
        if outcome.class == Class::Rejected {
            self.take_back(&permit, outcome.started());
        }
    }

    fn revoke(&self, permit: DownstreamPermit, admitted: Instant, _: Instant) {
        self.take_back(&permit, admitted);
    }

    #[inline]
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE.with_announce(true)
    }

    #[inline]
    fn announce(&self, permit: &DownstreamPermit, sent: Instant, out: &mut Announcement<'_>) {
        let headers = out.headers();
        let Some(threshold) = wire::threshold(headers) else {
            return;
        };
        headers.remove(wire::THRESHOLD);
        let (learned, expires) = (&self.shared.learned, self.shared.expires);
        if permit.probe.is_some() {
            learned.learn_by_probe(threshold, sent, expires);
        } else {
            learned.learn(threshold, sent, expires, self.probe_every);
        }
    }
}
