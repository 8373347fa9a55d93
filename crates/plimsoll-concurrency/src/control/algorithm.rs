//! What an algorithm reads and returns.

use std::{fmt, ops::RangeInclusive, time::Duration};

use tokio::time::Instant;

use super::{InvalidLimits, LimitReason, WindowSize};

/// An algorithm that moves a limit.
///
/// It is pure: it reads one window after the other, and no clock. It runs on the thread of the
/// request that closes a window, never on two threads at once.
pub trait Algorithm: fmt::Debug + Send {
    /// The initial limit, at least 1.
    fn initial(&self) -> u32;

    /// How much the next window has to hold before [`update`](Self::update) is called.
    fn window(&self) -> WindowSize;

    /// The same for a window that begins when load follows idle time, in place of the one that was to
    /// follow. [`window`](Self::window) by default.
    fn window_after_idle_time(&self) -> WindowSize {
        self.window()
    }

    /// How many times as long the [queue](Change::queue) is for requests that are more important than
    /// all that were rejected in this window and in the last one: at least 1, which is the default.
    /// Read once.
    ///
    /// Under saturation a queue is short, since a longer one serves no more. For such requests the
    /// service is not saturated: what waits is a burst of them.
    fn longer_queue(&self) -> f64 {
        1.0
    }

    /// A window has ended. Returns the next limit, 1 to 2^30, and the reason.
    ///
    /// A limit outside these bounds, or a [queue](Change::queue) outside
    /// [its own](crate::ConcurrencyLimit::queue), is ignored: the previous value stays. So is the whole
    /// change when this panics, which fails no call; the next window calls it again.
    fn update(&mut self, window: &Window) -> Change;

    /// The bounds that the limit stays within; 1 to 2^30 by default.
    fn bounds(&self) -> RangeInclusive<u32> {
        1..=1 << 30
    }

    /// The user has [set the bounds](crate::ConcurrencyLimitHandle::set_bounds) of the limit.
    ///
    /// The limit is kept within them in any case, and [`Window::limit`] is the limit that was in use.
    /// An algorithm that keeps a limit of its own should move it, too. Does nothing by default.
    ///
    /// # Errors
    ///
    /// When they are not possible for this algorithm. Nothing is changed then.
    fn set_bounds(&mut self, within: RangeInclusive<u32>) -> Result<(), InvalidLimits> {
        _ = within;
        Ok(())
    }
}

/// What was measured of the calls that ended in a period of time.
///
/// Above half a million answered calls a second, latencies and numbers in flight are those of a
/// sample, at least one call in 64; the number of calls is exact.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// When it began.
    pub began: Instant,
    /// When it ended.
    pub ended: Instant,
    /// The part of that time in which no call was answered for many times the usual latency, if it
    /// is more than half: no request came, or the service stalled. Zero in most windows. Throughput
    /// is better computed without it.
    pub silent: Duration,
    /// Calls that the service answered, whatever the status. Their latency counts.
    pub answered: u64,
    /// Calls that were lost for lack of capacity: the service answered that it is overloaded, or
    /// their callers left after they had waited.
    pub dropped: u64,
    /// Calls whose callers left before the response head, for whatever reason.
    pub cancelled: u64,
    /// The work that was done for cancelled calls, in calls: each counts as the part of the no-load
    /// latency for which it held its slot, and at most as one.
    pub cancelled_work: f64,
    /// The share of slot time that late calls held: those that were cancelled after more than 1.2
    /// no-load latencies. They are long calls, or waited inside the service.
    pub late: f64,
    /// Mean latency to the response head of answered calls; zero when there were none.
    pub latency: Duration,
    /// Standard deviation of that latency, to about a tenth.
    pub deviation: Duration,
    /// The largest number in flight at the end of any call, that call included.
    pub max_in_flight: u32,
    /// The mean number in flight, likewise.
    pub mean_in_flight: f64,
    /// The limit during the window.
    pub limit: u32,
    /// Requests that found no slot when they came: they were rejected, or queued.
    pub without_slot: u64,
    /// Those of them that were rejected, at once or after a wait.
    pub rejected: u64,
    /// The mean no-load latency of the answered calls' [routes](crate::ConcurrencyLimit::route). It moves
    /// with the mix of routes, and not with load. `None` while it is unknown for most calls.
    pub route_latency: Option<Duration>,
    /// How long requests have until their deadline: one in ten has less. Read from all requests that
    /// found no slot, and from one other request in each window. `None` without deadlines, and when
    /// the no-load latency is longer.
    pub deadline_left: Option<Duration>,
}

/// What an algorithm decides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The limit from now on.
    pub limit: u32,
    /// Why.
    pub reason: LimitReason,
    /// How many requests may wait for a slot from now on, and for how long; `None` leaves the queue
    /// as it is.
    pub queue: Option<(u32, Duration)>,
    /// Whether calls did not wait for each other in this window. Only such windows update the
    /// no-load latencies of [routes](crate::ConcurrencyLimit::route).
    pub at_no_load: bool,
    /// The no-load latency, where the algorithm estimates it. It weighs the work of cancelled calls.
    /// With `None`, the lowest recent mean latency is used.
    pub no_load_latency: Option<Duration>,
}
