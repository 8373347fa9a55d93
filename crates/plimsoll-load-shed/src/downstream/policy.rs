//! The policy of a client.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::Request;
use plimsoll_core::{
    Announcement, ByHeader, Class, Criticality, Deadlines, Kind, Outcome, Policy, Prioritize,
    Priority, ReadDeadline, Rejection, Verdict, wire,
};
use tokio::time::Instant;

use super::{
    CallContext,
    learned::Learned,
    write::{write_deadline, write_priority},
};
use crate::{InvalidLoadShed, ledger::Tally};

/// The policy's name in rejections.
const NAME: &str = "downstream";
const EXPIRES: Duration = Duration::from_secs(5);
const PROBE_EVERY: Duration = Duration::from_secs(1);
const PERIODS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(3600);

/// The one layer that a client of another service wants: it passes priority and deadline on, and sheds here what the other
/// side would shed.
///
/// # What it writes
///
/// The priority is the one in the outgoing request's extensions ([`CallContext::pass_on`]), or else that of the scope
/// ([`CallScopeLayer`](crate::CallScopeLayer)), or what its headers say already, or `CRITICAL`. A request without a cohort gets one.
/// The deadline is the earliest of all that are stated. On the wire they are
///
/// | header | value |
/// |---|---|
/// | [`CRITICALITY`](wire::CRITICALITY) | `CRITICAL_PLUS`, `CRITICAL`, `SHEDDABLE_PLUS` or `SHEDDABLE` |
/// | [`COHORT`](wire::COHORT) | three digits, 000 to 127 |
/// | `grpc-timeout`, on gRPC | the time left, rounded down |
/// | [`TIMEOUT`](wire::TIMEOUT), on everything else | the time left in whole milliseconds, rounded down |
///
/// The callee reads them with [`ByHeader::trusted`] and [`Deadlines::propagated`]. A call whose time is over is not made,
/// but refused with [`Kind::Deadline`].
///
/// # What it learns
///
/// An answer that announces a [`THRESHOLD`](wire::THRESHOLD), in its head or its trailers, is counted, and the header is removed,
/// since it concerns this hop only. Of the calls that were sent in the last half to one second, the share that was answered
/// with a threshold above a level decides about that level:
///
/// ```text
/// threshold = the highest T with   2 * (answers that announce T or more + 4 if T <= in force)   >=   calls sent + 4
/// ```
///
/// - From half of the calls on, requests below T are rejected without being sent. One overloaded instance of ten behind one
///   name costs its own share and no more; when all instances announce a threshold, the client sheds at it.
/// - Calls in flight are calls: an overloaded instance answers sooner than the others. An answer that takes longer than the
///   window counts nowhere, and an answer without the header counts as 0.
/// - The four keep the threshold that is in force, so that it takes more than a first answer to shed, and more than silence
///   to stop. Clients that send fewer than four calls a second leave the shedding to the callee.
///
/// One request below the threshold is sent each second ([`probe_every`](Self::probe_every)). An answer to it with a lower threshold
/// holds at once. A threshold that no answer confirmed is dropped 5 seconds after the last call that was answered with it
/// was sent ([`expires`](Self::expires)).
///
/// A balancer that prefers instances with few calls in flight sends most to an overloaded instance, since rejections are
/// quick. It then is most of what the client sees: let the balancer eject it.
///
/// # Shared state and cloning
///
/// The threshold is the layer's: make one layer for each service that is called, and let all clients of that service share it.
///
/// # Cost
///
/// The headers: one allocation for the time left, and what the header map needs to grow.
///
/// ```
/// # type Body = String;
/// use plimsoll_core::{GateLayer, Policy};
/// use plimsoll_load_shed::Downstream;
/// # fn client<P: Policy<http::Request<Body>>>(_: GateLayer<P>) {}
///
/// let quotes = Downstream::new();
/// let handle = quotes.handle();
/// client(GateLayer::new(quotes)); // around hyper's client, tonic's `Channel`, ...
/// # _ = handle;
/// ```
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

/// What [`Downstream`] keeps of a request: its criticality, and whether it is a probe.
#[derive(Debug)]
pub struct DownstreamPermit {
    criticality: Criticality,
    /// When it was admitted, if it is below the threshold.
    probe: Option<Instant>,
}

/// Reads what a [`Downstream`] policy knows. Clones share it.
#[derive(Debug, Clone)]
pub struct DownstreamHandle(Arc<Shared>);

impl Downstream {
    /// Expires after 5 seconds and probes every second.
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

    /// Drops the threshold when the last call that was answered with it was sent this long ago. 5 seconds unless set. Handles that
    /// were made before do not belong to it.
    ///
    /// # Errors
    ///
    /// When it is less than 1 ms or more than 1 hour.
    pub fn expires(self, after: Duration) -> Result<Self, InvalidLoadShed> {
        Ok(Self {
            probe_every: self.probe_every,
            ..Self::expiring(period(after)?)
        })
    }

    /// Lets one request below the threshold pass in each period of this length. 1 second unless set.
    ///
    /// # Errors
    ///
    /// When it is less than 1 ms or more than 1 hour.
    pub fn probe_every(self, every: Duration) -> Result<Self, InvalidLoadShed> {
        Ok(Self {
            probe_every: period(every)?,
            ..self
        })
    }

    /// Reads what this policy knows.
    pub fn handle(&self) -> DownstreamHandle {
        DownstreamHandle(Arc::clone(&self.shared))
    }

    /// A request that is to be sent, unless it is shed.
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

    /// The request was admitted at `admitted`, and never sent.
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

fn period(period: Duration) -> Result<Duration, InvalidLoadShed> {
    if PERIODS.contains(&period) {
        Ok(period)
    } else {
        Err(InvalidLoadShed::Period(period))
    }
}

impl Default for Downstream {
    fn default() -> Self {
        Self::new()
    }
}

impl DownstreamHandle {
    /// The level below which requests are not sent at `now`.
    pub fn threshold(&self, now: Instant) -> u16 {
        self.0.learned.threshold(now, self.0.expires)
    }

    /// Requests of this criticality that were sent. What a later policy or gate rejected is not in it.
    pub fn sent(&self, criticality: Criticality) -> u64 {
        self.0.sent.get(criticality)
    }

    /// Requests of this criticality that were rejected here and not sent.
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
        if let Some(deadline) = context.deadline
            && write_deadline(req, deadline, now).is_none()
        {
            return Verdict::Reject(Rejection::new(NAME, Kind::Deadline));
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
        // A gate behind this one rejected it.
        if outcome.class == Class::Rejected {
            self.take_back(&permit, outcome.started());
        }
    }

    fn revoke(&self, permit: DownstreamPermit, admitted: Instant, _: Instant) {
        self.take_back(&permit, admitted);
    }

    #[inline]
    fn reads_latency(&self) -> bool {
        false
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
