//! How a limit finds itself: algorithms that see windows of finished calls and answer with a limit.

mod adaptive;
mod aimd;
mod average;
mod bounds;
mod common;
mod dip;
mod gradient2;
mod vegas;

use std::{fmt, time::Duration};

use tokio::time::Instant;

pub use self::{
    adaptive::Adaptive, aimd::Aimd, bounds::InvalidAlgorithm, gradient2::Gradient2, vegas::Vegas,
};

/// An algorithm that moves a limit. Pure: it sees one window after the other, and reads no clock.
///
/// It runs on the thread of the request that closes a window, never on two at once.
pub trait Algorithm: fmt::Debug + Send {
    /// The limit to begin with, at least 1.
    fn initial(&self) -> u32;

    /// How much a window has to hold before it is [told](Self::update).
    fn window(&self) -> WindowSize;

    /// A window has ended. Answers with the limit from now on, 1 to 2^30, and the reason.
    ///
    /// A limit out of these bounds, and a [queue](Change::queue) out of [its own](crate::Concurrency::queue), is
    /// ignored: what was there stays. So is all of it when this panics, which fails no call; the algorithm is told of the
    /// next window as if nothing had happened.
    fn update(&mut self, window: &Window) -> Change;
}

/// How much a window holds: it is closed by the first call that ends when it has both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSize {
    /// It is at least this long.
    pub time: Duration,
    /// It holds at least so many calls that were answered, or so many that were dropped, and one in any case. One that
    /// holds fewer goes on: at low rates no sample is thrown away, and while calls only fail no window ends.
    pub samples: u32,
}

/// What was seen of the calls that ended in a stretch of time.
///
/// Where more than half a million are answered in a second, latencies and numbers in flight are those of some of them, at
/// least one in 64; how many they were is exact.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// When it began.
    pub began: Instant,
    /// When it ended.
    pub ended: Instant,
    /// Of that time, that in which nothing was answered, for many times the usual latency, and which is more than half of
    /// it: nobody asked, or the service stood still. Zero in most windows; what got done in a second is better
    /// reckoned without it.
    pub silent: Duration,
    /// Calls that the service answered, whatever the status: those whose latency counts.
    pub answered: u64,
    /// Calls that were lost for lack of capacity: the service said that it is overloaded, or their
    /// callers left after they had waited.
    pub dropped: u64,
    /// Calls whose callers left before the head came, for whatever reason.
    pub cancelled: u64,
    /// The work that was done for cancelled calls, in calls: each counts by the part of the no-load
    /// latency for which it held its slot, and at most as one.
    pub cancelled_work: f64,
    /// Mean time to the head of those answered; zero when there were none.
    pub latency: Duration,
    /// Standard deviation of that time, to about a tenth.
    pub deviation: Duration,
    /// The most in flight at the end of any call in it, that call included.
    pub in_flight: u32,
    /// In flight on average, likewise.
    pub mean_in_flight: f64,
    /// The limit during the window.
    pub limit: u32,
    /// Requests that found no slot when they came, whether they were refused or waited.
    pub turned_away: u64,
    /// Those of them that were refused, at once or after a wait.
    pub refused: u64,
    /// Mean of the time that those answered take at rest, each by its [route](crate::Concurrency::route): it moves
    /// with the mix of routes, and not with load. `None` while that is not known of most.
    pub at_rest: Option<Duration>,
    /// How long requests that found no slot have until their deadline: one in ten has less. `None` when
    /// none of them had a deadline.
    pub time_left: Option<Duration>,
}

/// What becomes of the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The limit from now on.
    pub limit: u32,
    /// Why.
    pub because: Because,
    /// How long requests may wait for a slot from now on, and how many of them, where the algorithm has a view of that.
    pub queue: Option<(u32, Duration)>,
    /// Whether calls did not wait for each other in this window: what [routes](crate::Concurrency::route) take at rest is
    /// learnt from such windows, and from no others.
    pub at_rest: bool,
    /// Latency without queueing, where the algorithm knows it: what the work of cancelled calls is
    /// measured by. When `None`, the lowest recent mean latency is used.
    pub no_load_latency: Option<Duration>,
}

/// Why a limit is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Because {
    /// It is the first, or somebody set it.
    #[default]
    Set,
    /// It was not used, so nothing is known of a higher one.
    Idle,
    /// There was room for more, and demand.
    Growth,
    /// Latency rose.
    Latency,
    /// Calls were dropped.
    Drops,
    /// More in flight did not get more done.
    Throughput,
    /// To see how fast the service is with less in flight.
    Probe,
    /// It suits.
    Steady,
}

impl Because {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Set,
        Self::Idle,
        Self::Growth,
        Self::Latency,
        Self::Drops,
        Self::Throughput,
        Self::Probe,
        Self::Steady,
    ];

    /// A lower-case name for labels, such as `latency`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Idle => "idle",
            Self::Growth => "growth",
            Self::Latency => "latency",
            Self::Drops => "drops",
            Self::Throughput => "throughput",
            Self::Probe => "probe",
            Self::Steady => "steady",
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
