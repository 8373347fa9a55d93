//! The builder of a breaker.

#[cfg(feature = "serde")]
mod serde_form;

use std::time::Duration;

use crate::{CircuitBreaker, InvalidCircuitBreaker, Window, settings::Settings};

/// The settings of a [`CircuitBreaker`], checked together by [`build`](Self::build).
///
/// | setting | default | why |
/// |---|---|---|
/// | [`window`](Self::window), [`window_time`](Self::window_time), [`consecutive_failures`](Self::consecutive_failures) | 100 calls | a rate in whole per cents |
/// | [`max_age`](Self::max_age) | 15 min | 20 outcomes at two calls a minute |
/// | [`failure_rate`](Self::failure_rate) | 0.5 | half of the work is wasted |
/// | [`slow_call`](Self::slow_call) | off | depends on the service |
/// | [`slow_rate`](Self::slow_rate) | 0.5 | as the failure rate |
/// | [`min_calls`](Self::min_calls) | 20, or the window if that is smaller | Hystrix's volume: a single failure opens nothing |
/// | [`open_for`](Self::open_for) | 5 s | Polly's break duration |
/// | [`jitter`](Self::jitter) | 0.5 | instances that opened together do not probe together |
/// | [`backoff`](Self::backoff) | 2, up to 8 times `open_for` | an outage of minutes is not probed each 5 s |
/// | [`max_retry_after`](Self::max_retry_after) | 60 s | bounds what an answer of the callee can cause |
/// | [`probes`](Self::probes) | 3 at a time | |
/// | [`successes`](Self::successes) | 3 | a single success does not restore the load |
/// | [`probe_timeout`](Self::probe_timeout) | 5 s | |
/// | [`ramp`](Self::ramp) | 5 s | caches and pools fill again |
/// | [`cancelled_call`](Self::cancelled_call) | 1 s | the default time limit of Hystrix and of resilience4j's `TimeLimiter` |
/// | [`count_overloaded`](Self::count_overloaded) | yes | fewer calls help a service that is overloaded |
/// | [`observe_only`](Self::observe_only) | no | |
///
/// With the feature `serde` it can be read from a configuration file: fields have the names of the
/// methods, all are optional, durations are texts such as `300ms` or `off`, and `backoff` is
/// `{ factor = 2.0, max = "30s" }`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "serde_form::Form", into = "serde_form::Form")
)]
#[must_use = "a builder does nothing until `build`"]
pub struct CircuitBreakerBuilder {
    /// Without the default of `backoff`, which depends on `open_for`.
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

    /// Sets the number of latest outcomes that the rates are taken over: 1 to 65,536.
    ///
    /// The last of `window`, `window_time` and `consecutive_failures` applies.
    pub const fn window(mut self, calls: u32) -> Self {
        self.settings.window = Window::Calls(calls);
        self
    }

    /// Takes the rates over the calls that ended within this time, whatever their number.
    ///
    /// The window slides in sixteen steps: an outcome is dropped between 15/16 of the time and the
    /// whole time after its call ended.
    pub const fn window_time(mut self, period: Duration) -> Self {
        self.settings.window = Window::Time(period);
        self
    }

    /// Opens after this many failures or slow calls in a row, without a success between them: 1 to
    /// 65,536. Rates and [`min_calls`](Self::min_calls) then have no effect.
    pub const fn consecutive_failures(mut self, failures: u32) -> Self {
        self.settings.window = Window::Consecutive(failures);
        self
    }

    /// Sets the age from which outcomes do not count in a [`window`](Self::window) of calls. They
    /// are dropped between 15/16 of it and the whole of it.
    ///
    /// With [`consecutive_failures`](Self::consecutive_failures), a row whose latest failure is
    /// this old starts again. A [`window_time`](Self::window_time) has its own length.
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.settings.max_age = age;
        self
    }

    /// Sets the share of failures in the window at which the breaker opens: above 0, at most 1.
    pub const fn failure_rate(mut self, rate: f64) -> Self {
        self.settings.threshold = rate;
        self
    }

    /// Sets the share of slow calls in the window at which the breaker opens: above 0, at most 1.
    ///
    /// Without effect while [`slow_call`](Self::slow_call) is off.
    pub const fn slow_rate(mut self, rate: f64) -> Self {
        self.settings.slow_rate = rate;
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

    /// Sets the largest random share by which an opening is longer: 0 to 1. With 0.5 and an
    /// [`open_for`](Self::open_for) of 5 s, the first probe is admitted after 5 to 7.5 s.
    ///
    /// An opening is never shorter than `open_for`. Without jitter, the instances of a fleet that
    /// opened together probe together. Each breaker has its own random generator with its own seed.
    pub const fn jitter(mut self, share: f64) -> Self {
        self.settings.jitter = share;
        self
    }

    /// Sets how openings in a row grow: each is `factor` (at least 1) times as long as the last, up
    /// to `max` (at least `open_for`). With a factor of 1 all have the same length.
    ///
    /// The growth decays with the time that the breaker is closed: it halves when the breaker has
    /// been closed for as long as the latest opening, again after half of that, and so on. After
    /// twice the latest opening it starts from `open_for` again. A few good probes reset nothing, so
    /// a callee that flaps gets longer and longer pauses.
    pub const fn backoff(mut self, factor: f64, max: Duration) -> Self {
        self.settings.backoff = Some((factor, max));
        self
    }

    /// Sets the longest wait asked for by an answer (`Retry-After`) that makes an opening longer.
    /// `None`: answers have no effect on openings.
    ///
    /// The answers are the failed and overloaded ones of the time before the breaker opens, also
    /// those of probes. The opening lasts at least until the latest time that one of them asked for,
    /// and longer by the jitter. Read are `Retry-After` and `grpc-retry-pushback-ms` of the head.
    pub fn max_retry_after(mut self, longest: impl Into<Option<Duration>>) -> Self {
        self.settings.max_retry_after = longest.into();
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

    /// Sets how long the admitted concurrency grows after the probes, before the breaker closes.
    /// `None`: it closes at once.
    ///
    /// The number of concurrent calls starts at [`probes`](Self::probes) and doubles after each
    /// eighth of this time. After the whole of it all requests are admitted. A rate that is reached
    /// meanwhile opens the breaker again.
    pub fn ramp(mut self, length: impl Into<Option<Duration>>) -> Self {
        self.settings.ramp = length.into();
        self
    }

    /// Counts calls whose head takes this long or longer as slow. `None` switches it off.
    ///
    /// The breaker opens when the share of slow calls reaches [`slow_rate`](Self::slow_rate). A
    /// call is slow from the moment that it has taken this long (at most an eighth later), also
    /// when it never ends: the next request finds it, without a timer. A probe that is slow has
    /// failed. A call that the caller cancels after this time is slow and a failure; see also
    /// [`cancelled_call`](Self::cancelled_call).
    ///
    /// It costs a clock read at each head, and two counts per call.
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

    /// Sets whether the breaker only observes: it counts and changes its state as usual, and admits
    /// the requests that it would reject.
    ///
    /// Those requests are counted in
    /// [`CircuitBreakerHandle::rejected`](crate::CircuitBreakerHandle::rejected), and their outcomes
    /// are not counted.
    pub const fn observe_only(mut self, observe: bool) -> Self {
        self.settings.observe_only = observe;
        self
    }

    /// Builds the breaker, closed.
    ///
    /// # Errors
    ///
    /// The first setting that is out of bounds, with the bound.
    pub fn build(self) -> Result<CircuitBreaker, InvalidCircuitBreaker> {
        let mut settings = self.settings;
        let most = settings.most_calls();
        settings.min_calls = self.min_calls.unwrap_or(settings.min_calls.min(most));
        if let Window::Consecutive(failures) = settings.window {
            // A row of failures is a window of as many calls that all failed.
            (settings.min_calls, settings.threshold) = (failures, 1.0);
        }
        settings.backoff = settings
            .backoff
            .or(Some(Settings::default_backoff(settings.open_for)));
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
impl TryFrom<serde_form::Form> for CircuitBreakerBuilder {
    type Error = serde_form::SeveralWindows;

    fn try_from(form: serde_form::Form) -> Result<Self, Self::Error> {
        let (settings, min_calls) = form.into_settings()?;
        Ok(Self {
            settings,
            min_calls,
        })
    }
}

#[cfg(feature = "serde")]
impl From<CircuitBreakerBuilder> for serde_form::Form {
    fn from(builder: CircuitBreakerBuilder) -> Self {
        Self::new(&builder.settings, builder.min_calls)
    }
}
