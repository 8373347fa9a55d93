//! The builder of a breaker.

#[cfg(feature = "serde")]
mod serde_form;

use std::time::Duration;

use crate::{CircuitBreaker, InvalidCircuitBreaker, settings::Settings};

/// The settings of a [`CircuitBreaker`], checked together by [`build`](Self::build).
///
/// | setting | default | why |
/// |---|---|---|
/// | [`window`](Self::window) | 100 calls | a rate in whole per cents |
/// | [`failure_rate`](Self::failure_rate) | 0.5 | half of the work is wasted |
/// | [`min_calls`](Self::min_calls) | 20, or the window if that is smaller | Hystrix's volume: a single failure opens nothing |
/// | [`open_for`](Self::open_for) | 5 s | Polly's break duration |
/// | [`jitter`](Self::jitter) | 0.2 | gRPC's: instances that opened together do not probe together |
/// | [`backoff`](Self::backoff) | none | |
/// | [`probes`](Self::probes) | 3 at a time | |
/// | [`successes`](Self::successes) | 3 | a single success does not restore the full load |
/// | [`probe_timeout`](Self::probe_timeout) | 5 s | |
/// | [`slow_call`](Self::slow_call) | off | depends on the service |
/// | [`cancelled_call`](Self::cancelled_call) | 1 s | the default time limit of Hystrix and of resilience4j's `TimeLimiter` |
/// | [`count_overloaded`](Self::count_overloaded) | yes | fewer calls help a service that is overloaded |
///
/// With the feature `serde` it can be read from a configuration file: fields have the names of the
/// methods, all are optional, durations are texts such as `300ms` or `off`, and `backoff` is
/// `{ factor = 2.0, max = "30s" }`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(from = "serde_form::Form", into = "serde_form::Form")
)]
#[must_use = "a builder does nothing until `build`"]
pub struct CircuitBreakerBuilder {
    settings: Settings,
    min_calls: Option<u32>,
}

impl CircuitBreakerBuilder {
    pub(crate) const fn new() -> Self {
        Self {
            settings: Settings::DEFAULT,
            min_calls: None,
        }
    }

    /// Sets the number of latest outcomes that the failure rate is taken over: 1 to 65,536.
    pub const fn window(mut self, calls: u32) -> Self {
        self.settings.window = calls;
        self
    }

    /// Sets the share of failures in the window at which the breaker opens: above 0, at most 1.
    pub const fn failure_rate(mut self, rate: f64) -> Self {
        self.settings.threshold = rate;
        self
    }

    /// Sets the number of outcomes below which the breaker does not open: 1 to the window.
    pub const fn min_calls(mut self, calls: u32) -> Self {
        self.min_calls = Some(calls);
        self
    }

    /// Sets how long the breaker stays open before the first probe: at least this long, and longer
    /// by up to the [`jitter`](Self::jitter).
    pub const fn open_for(mut self, duration: Duration) -> Self {
        self.settings.open_for = duration;
        self
    }

    /// Sets the largest random share by which an opening is longer: 0 to 1. With 0.2 and an
    /// [`open_for`](Self::open_for) of 5 s, the first probe is admitted after 5 to 6 s.
    ///
    /// An opening is never shorter than `open_for`. Without jitter, the instances of a fleet that
    /// opened together probe together. Each breaker has its own random generator with its own seed.
    pub const fn jitter(mut self, share: f64) -> Self {
        self.settings.jitter = share;
        self
    }

    /// Sets how openings grow while probes fail: each is `factor` (at least 1) times as long as the
    /// last, up to `max` (at least `open_for`). After a closed state they start from `open_for`
    /// again.
    pub const fn backoff(mut self, factor: f64, max: Duration) -> Self {
        self.settings.backoff = Some((factor, max));
        self
    }

    /// Sets how many probes may run at a time while half-open: 1 to 64.
    pub const fn probes(mut self, probes: u32) -> Self {
        self.settings.probes_at_a_time = probes;
        self
    }

    /// Sets how many probes must succeed, with none failed, to close: at least 1. It may be more
    /// than `probes`.
    pub const fn successes(mut self, successes: u32) -> Self {
        self.settings.successes = successes;
        self
    }

    /// Sets the time after which another probe may replace one without a result. A result that
    /// comes later still counts if the breaker has stayed half-open.
    pub const fn probe_timeout(mut self, timeout: Duration) -> Self {
        self.settings.probe_timeout = timeout;
        self
    }

    /// Counts answers whose head took this long or longer as failures. `None` switches it off.
    ///
    /// Calls that the caller cancelled after this time count as failures too: see
    /// [`cancelled_call`](Self::cancelled_call). It costs a clock read at each head.
    pub fn slow_call(mut self, from: impl Into<Option<Duration>>) -> Self {
        self.settings.slow_call = from.into();
        self
    }

    /// Counts calls that the caller cancelled without an answer, this long or longer after the
    /// start, as failures.
    ///
    /// A timeout outside of the breaker appears as such calls: set this at or below that timeout.
    /// The time includes waits inside of the breaker, for a connection or in the queue of another
    /// gate. A call cancelled earlier is only counted in
    /// [`CircuitBreakerHandle::cancelled`](crate::CircuitBreakerHandle::cancelled). A shorter
    /// [`slow_call`](Self::slow_call) takes precedence. `None` switches it off.
    pub fn cancelled_call(mut self, from: impl Into<Option<Duration>>) -> Self {
        self.settings.cancelled_call = from.into();
        self
    }

    /// Sets whether answers of the class [`Overloaded`](plimsoll_core::Class::Overloaded) count as
    /// failures. If not, they are left out of the failure rate, and such an answer to a probe is a
    /// success.
    pub const fn count_overloaded(mut self, count: bool) -> Self {
        self.settings.count_overloaded = count;
        self
    }

    /// Builds the breaker, closed.
    ///
    /// # Errors
    ///
    /// The first setting that is out of bounds, with the bound.
    pub fn build(self) -> Result<CircuitBreaker, InvalidCircuitBreaker> {
        let mut settings = self.settings;
        settings.min_calls = self
            .min_calls
            .unwrap_or(settings.min_calls.min(settings.window));
        settings.check().map(CircuitBreaker::with)
    }
}

impl CircuitBreaker {
    /// A builder for a breaker with other settings.
    pub const fn builder() -> CircuitBreakerBuilder {
        CircuitBreakerBuilder::new()
    }
}

impl Default for CircuitBreakerBuilder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "serde")]
impl From<serde_form::Form> for CircuitBreakerBuilder {
    fn from(form: serde_form::Form) -> Self {
        let (settings, min_calls) = form.into_settings();
        Self {
            settings,
            min_calls,
        }
    }
}

#[cfg(feature = "serde")]
impl From<CircuitBreakerBuilder> for serde_form::Form {
    fn from(builder: CircuitBreakerBuilder) -> Self {
        Self::new(&builder.settings, builder.min_calls)
    }
}
