//! The builder in a configuration file.

use std::time::Duration;

use plimsoll_core::support::serde_text::{duration, optional};
use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// The settings as a file has them: the names of the builder's methods, all optional.
#[derive(Serialize, Deserialize)]
#[serde(rename = "CircuitBreakerBuilder", default, deny_unknown_fields)]
pub(super) struct Form {
    window: u32,
    failure_rate: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_calls: Option<u32>,
    #[serde(with = "duration")]
    open_for: Duration,
    jitter: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff: Option<Backoff>,
    probes: u32,
    successes: u32,
    #[serde(with = "duration")]
    probe_timeout: Duration,
    #[serde(with = "optional")]
    slow_call: Option<Duration>,
    #[serde(with = "optional")]
    cancelled_call: Option<Duration>,
    count_overloaded: bool,
}

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
            window: settings.window,
            failure_rate: settings.threshold,
            min_calls,
            open_for: settings.open_for,
            jitter: settings.jitter,
            backoff: settings
                .backoff
                .map(|(factor, max)| Backoff { factor, max }),
            probes: settings.probes_at_a_time,
            successes: settings.successes,
            probe_timeout: settings.probe_timeout,
            slow_call: settings.slow_call,
            cancelled_call: settings.cancelled_call,
            count_overloaded: settings.count_overloaded,
        }
    }

    pub(super) fn into_settings(self) -> (Settings, Option<u32>) {
        let settings = Settings {
            window: self.window,
            threshold: self.failure_rate,
            open_for: self.open_for,
            jitter: self.jitter,
            backoff: self.backoff.map(|Backoff { factor, max }| (factor, max)),
            probes_at_a_time: self.probes,
            successes: self.successes,
            probe_timeout: self.probe_timeout,
            slow_call: self.slow_call,
            cancelled_call: self.cancelled_call,
            count_overloaded: self.count_overloaded,
            ..Settings::DEFAULT
        };
        (settings, self.min_calls)
    }
}
