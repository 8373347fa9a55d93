//! The builder in a configuration file.

use std::time::Duration;

use plimsoll_core::support::serde_text::{duration, optional};
use serde::{Deserialize, Serialize};

use crate::{Window, settings::Settings};

/// The settings as a file has them: the names of the builder's methods, all optional.
#[derive(Serialize, Deserialize)]
#[serde(rename = "CircuitBreakerBuilder", default, deny_unknown_fields)]
pub(super) struct Form {
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<u32>,
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    window_time: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consecutive_failures: Option<u32>,
    #[serde(with = "duration")]
    max_age: Duration,
    failure_rate: f64,
    slow_rate: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_calls: Option<u32>,
    #[serde(with = "duration")]
    open_for: Duration,
    jitter: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff: Option<Backoff>,
    #[serde(with = "optional")]
    max_retry_after: Option<Duration>,
    probes: u32,
    successes: u32,
    #[serde(with = "duration")]
    probe_timeout: Duration,
    #[serde(with = "optional")]
    ramp: Option<Duration>,
    #[serde(with = "optional")]
    slow_call: Option<Duration>,
    #[serde(with = "optional")]
    cancelled_call: Option<Duration>,
    count_overloaded: bool,
    observe_only: bool,
}

/// A file has more than one kind of window.
#[derive(Debug, thiserror::Error)]
#[error("at most one of window, window_time and consecutive_failures can be set")]
pub struct SeveralWindows;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Backoff {
    factor: f64,
    #[serde(with = "duration")]
    max: Duration,
}

impl Default for Form {
    fn default() -> Self {
        Self::new(&Settings::DEFAULT, None)
    }
}

impl Form {
    pub(super) fn new(settings: &Settings, min_calls: Option<u32>) -> Self {
        Self {
            window: match settings.window {
                Window::Calls(calls) if settings.window != Settings::DEFAULT.window => Some(calls),
                _ => None,
            },
            window_time: match settings.window {
                Window::Time(period) => Some(period),
                _ => None,
            },
            consecutive_failures: match settings.window {
                Window::Consecutive(failures) => Some(failures),
                _ => None,
            },
            max_age: settings.max_age,
            failure_rate: settings.threshold,
            slow_rate: settings.slow_rate,
            min_calls,
            open_for: settings.open_for,
            jitter: settings.jitter,
            backoff: settings
                .backoff
                .map(|(factor, max)| Backoff { factor, max }),
            max_retry_after: settings.max_retry_after,
            probes: settings.probes_at_a_time,
            successes: settings.successes,
            probe_timeout: settings.probe_timeout,
            ramp: settings.ramp,
            slow_call: settings.slow_call,
            cancelled_call: settings.cancelled_call,
            count_overloaded: settings.count_overloaded,
            observe_only: settings.observe_only,
        }
    }

    fn window(&self) -> Result<Window, SeveralWindows> {
        match (self.window, self.window_time, self.consecutive_failures) {
            (None, None, None) => Ok(Settings::DEFAULT.window),
            (Some(calls), None, None) => Ok(Window::Calls(calls)),
            (None, Some(period), None) => Ok(Window::Time(period)),
            (None, None, Some(failures)) => Ok(Window::Consecutive(failures)),
            _ => Err(SeveralWindows),
        }
    }

    pub(super) fn into_settings(self) -> Result<(Settings, Option<u32>), SeveralWindows> {
        let settings = Settings {
            window: self.window()?,
            max_age: self.max_age,
            threshold: self.failure_rate,
            slow_rate: self.slow_rate,
            open_for: self.open_for,
            jitter: self.jitter,
            backoff: self.backoff.map(|Backoff { factor, max }| (factor, max)),
            max_retry_after: self.max_retry_after,
            probes_at_a_time: self.probes,
            successes: self.successes,
            probe_timeout: self.probe_timeout,
            ramp: self.ramp,
            slow_call: self.slow_call,
            cancelled_call: self.cancelled_call,
            count_overloaded: self.count_overloaded,
            observe_only: self.observe_only,
            ..Settings::DEFAULT
        };
        Ok((settings, self.min_calls))
    }
}
