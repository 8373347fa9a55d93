//! What can be wrong with a metric.

/// A metric that cannot be registered, or a setting out of bounds.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMetric {
    /// The name is not one that Prometheus reads.
    #[error("metric name {name:?} must be 1 to 128 of [a-zA-Z0-9_:], not starting with a digit")]
    Name {
        /// What was given.
        name: String,
    },
    /// A counter's name ends in `_total`, and nothing else's does.
    #[error("metric name {name:?}: the names of counters, and no others, end in `_total`")]
    Suffix {
        /// What was given.
        name: String,
    },
    /// The name belongs to a family of this crate.
    #[error("metric name {name:?} belongs to a family that `plimsoll-metrics` writes itself")]
    Reserved {
        /// What was given.
        name: String,
    },
    /// The help text would break the line it stands on.
    #[error("help of {name:?} must be 1 to 512 characters on one line, without `\"` and `\\`")]
    Help {
        /// The metric.
        name: String,
    },
    /// A label's name is not one that Prometheus reads, or there twice, or there are too many.
    #[error(
        "labels of {name:?} must be at most 8, with different names of 1 to 64 of [a-zA-Z0-9_] that start neither \
         with a digit nor with `__`, and values of at most 128 bytes; {label:?} is not"
    )]
    Label {
        /// The metric.
        name: String,
        /// The label at fault.
        label: String,
    },
    /// A state gauge needs different states to show.
    #[error("states of {name:?} must be 1 to 16 different names")]
    States {
        /// The metric.
        name: String,
    },
    /// The family is there already, with another type or another help text.
    #[error("metric {name:?} is registered with another type or another help text")]
    Conflict {
        /// The metric.
        name: String,
    },
    /// The very same series is there already.
    #[error("a series of {name:?} with the same labels is registered")]
    Duplicate {
        /// The metric, or the load signal.
        name: String,
    },
    /// The registry is full.
    #[error("there can be at most {max} {what}")]
    Full {
        /// Of what there are too many.
        what: &'static str,
        /// How many there can be.
        max: usize,
    },
    /// The load above which the service is overloaded must be a number above zero.
    #[error("overloaded_at must be finite and above 0, not {0}")]
    OverloadedAt(f64),
}
