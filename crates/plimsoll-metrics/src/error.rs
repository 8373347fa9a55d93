//! Invalid metrics and settings.

/// A metric that cannot be registered, or a setting out of bounds.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMetric {
    /// The name is not valid in Prometheus.
    #[error("metric name {name:?} must be 1 to 128 of [a-zA-Z0-9_:], not starting with a digit")]
    Name {
        /// The rejected name.
        name: String,
    },
    /// A counter's name must end in `_total`, and no other name may.
    #[error("metric name {name:?} must end in `_total` for a counter, and only for a counter")]
    Suffix {
        /// The rejected name.
        name: String,
    },
    /// The name belongs to a family of this crate.
    #[error("metric name {name:?} is reserved for a family of `plimsoll-metrics`")]
    Reserved {
        /// The rejected name.
        name: String,
    },
    /// The help text is empty, too long, or would break its line.
    #[error("help of {name:?} must be 1 to 512 characters on one line, without `\"` and `\\`")]
    Help {
        /// The metric.
        name: String,
    },
    /// A label is invalid or a duplicate, its value is too long, or there are too many.
    #[error(
        "labels of {name:?} must be at most 8, with different names of 1 to 64 of [a-zA-Z0-9_] that start neither \
         with a digit nor with `__`, and values of at most 128 bytes, got {label:?}"
    )]
    Label {
        /// The metric.
        name: String,
        /// The rejected label.
        label: String,
    },
    /// A state gauge needs 1 to 16 different states.
    #[error("states of {name:?} must be 1 to 16 different names")]
    States {
        /// The metric.
        name: String,
    },
    /// A histogram needs 1 to 64 bounds that are finite and ascend.
    #[error("bounds of {name:?} must be 1 to 64 finite numbers that ascend")]
    Bounds {
        /// The metric.
        name: String,
    },
    /// The family is registered with another type or another help text.
    #[error("metric {name:?} is registered with another type or another help text")]
    Conflict {
        /// The metric.
        name: String,
    },
    /// A series with the same name and labels is registered.
    #[error("a series of {name:?} with the same labels is registered")]
    Duplicate {
        /// The metric, or the load signal.
        name: String,
    },
    /// The name of a watched policy, a part or a load signal is empty or too long.
    #[error(
        "the name of a policy, a part or a load signal must be 1 to 128 bytes long, got {bytes}"
    )]
    WatchedName {
        /// The length of the name.
        bytes: usize,
    },
    /// The name of an alarm is empty or too long.
    #[error("the name of an alarm must be 1 to 128 bytes long, got {bytes}")]
    AlarmName {
        /// The length of the name.
        bytes: usize,
    },
    /// The levels of an alarm are not finite, not above 0, or in the wrong order.
    #[error(
        "levels of alarm {alarm:?} must be finite and above 0, with clear_below at most raise_above, \
         got {high} and {low}"
    )]
    AlarmLevels {
        /// The alarm.
        alarm: String,
        /// The value above which it is raised.
        high: f64,
        /// The value below which it is cleared.
        low: f64,
    },
    /// The window of an alarm is out of bounds.
    #[error("window of alarm {alarm:?} must be 1 s to 1 h, got {window:?}")]
    AlarmWindow {
        /// The alarm.
        alarm: String,
        /// The rejected window.
        window: std::time::Duration,
    },
    /// The registry is full.
    #[error("{what} must be at most {max}")]
    Full {
        /// The kind of entry, such as pulled series.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// The load must be finite and above zero.
    #[error("overloaded_at must be finite and above 0, got {0}")]
    OverloadedAt(f64),
}
