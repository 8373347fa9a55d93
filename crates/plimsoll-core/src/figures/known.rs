//! Figures that several policies have: one name per idea, so that dashboards and alerts find them.

use super::figure::Figure;

macro_rules! known {
    ($($(#[$doc:meta])* $name:ident = $figure:expr;)*) => {$(
        $(#[$doc])*
        pub static $name: Figure = $figure;
    )*};
}

known! {
    /// The limit on requests in flight.
    LIMIT = Figure::gauge("limit", "Limit on requests in flight");
    /// Permits that are held now.
    IN_USE = Figure::gauge("in_use", "Permits held now");
    /// Requests in the queue.
    QUEUED = Figure::gauge("queued", "Requests in the queue");
    /// Places of the queue. 0 without a queue.
    QUEUE_CAPACITY = Figure::gauge("queue_capacity", "Places of the queue");
    /// The time until the next probe of an open breaker. NaN when none is due.
    PROBE_IN = Figure::gauge("probe_in", "Time until the next probe").in_unit("seconds");
    /// The share of failures, 0 to 1. NaN while it is unknown.
    FAILURE_RATE = Figure::gauge("failure_rate", "Share of failures in the window");
    /// Keys whose breaker is not closed, up to a bound of the list.
    OPEN_KEYS = Figure::gauge("open_keys", "Keys whose breaker is not closed");
    /// State transitions.
    TRANSITIONS = Figure::counter("transitions", "State transitions");
    /// The level of priority below which requests are shed, 0 to 511. 0 sheds nothing.
    THRESHOLD = Figure::gauge("threshold", "Level of priority below which requests are shed");
    /// A load: 0 idle, 1 at capacity.
    LOAD = Figure::gauge("load", "Load: 0 idle, 1 at capacity");
    /// The share of requests that are kept, 0 to 1.
    RATE = Figure::gauge("rate", "Share of requests that are kept");
    /// Requests per second that are admitted at most.
    QUOTA = Figure::gauge("quota", "Requests per second that are admitted at most");
    /// Retries that a budget allows now.
    BUDGET = Figure::gauge("budget", "Retries and hedges that the budget allows now");
    /// Attempts that a spent budget suppressed.
    SUPPRESSED = Figure::counter("suppressed", "Retries and hedges that the spent budget suppressed");
    /// Retries that were sent.
    RETRIED = Figure::counter("retried", "Retries that were sent");
    /// Hedges that were sent.
    HEDGED = Figure::counter("hedged", "Second attempts that were sent");
    /// Responses with a substitute.
    DEGRADED = Figure::counter("degraded", "Responses that were substituted");
    /// Requests that a policy in shadow mode would have rejected.
    SHADOW_REJECTED = Figure::counter("shadow_rejected", "Requests that the shadow would reject");
    /// Requests that the policy rejected, of all keys together.
    REJECTED = Figure::counter("policy_rejected", "Requests that the policy rejected");
    /// Requests that left the queue before they could run.
    ABANDONED = Figure::counter("queue_abandoned", "Requests that left the queue before they could run");
    /// Requests that were rejected after the longest wait.
    TIMED_OUT = Figure::counter("queue_timed_out", "Requests rejected after the longest wait");
    /// Keys with a cell of their own.
    KEYS = Figure::gauge("keys", "Keys that have a cell");
    /// Keys that can have a cell at the same time.
    KEY_CAPACITY = Figure::gauge("key_capacity", "Keys that can have a cell at the same time");
    /// Cells, or waiters, that were evicted.
    EVICTED = Figure::counter("evicted", "Cells of keys that were given to another key");
    /// Requests that shared an overflow cell.
    OVERFLOWED = Figure::counter("overflowed", "Requests that shared an overflow cell");
    /// Requests without a key.
    MISSING_KEYS = Figure::counter("without_key", "Requests without a key");
    /// Items that a queue took.
    SENT = Figure::counter("sent", "Items that were taken from producers");
    /// Items that a queue handed on.
    RECEIVED = Figure::counter("received", "Items that were handed to consumers");
    /// Items that a queue took and lost.
    DROPPED = Figure::counter("dropped", "Items that were taken from producers and then lost");
    /// Clients that are connected.
    CLIENTS = Figure::gauge("clients", "Clients that are connected");
    /// Changes of settings by a call of a handle; the reason of the change has the setting.
    SETTINGS = Figure::counter("setting_changes", "Changes of settings by hand");
    /// Whether a queue has been above 80 % of its capacity for some time.
    SATURATED = Figure::state("saturated", &["no", "yes"], "Whether the queue stays nearly full");
    /// Whether an alarm is raised.
    ALARM = Figure::state("alarm", &["cleared", "raised"], "Whether the alarm is raised");
}

/// Requests that were admitted, by criticality, in the order of
/// [`Criticality::ALL`](crate::Criticality::ALL).
pub static ADMITTED_AS: [Figure; 4] =
    by_criticality("policy_admitted", "Requests that the policy admitted");
/// Requests that were shed, by criticality, in the order of
/// [`Criticality::ALL`](crate::Criticality::ALL).
pub static SHED_AS: [Figure; 4] = by_criticality("shed", "Requests that were shed");

const fn by_criticality(name: &'static str, help: &'static str) -> [Figure; 4] {
    let figure = Figure::counter(name, help);
    [
        figure.with_label("criticality", "SHEDDABLE"),
        figure.with_label("criticality", "SHEDDABLE_PLUS"),
        figure.with_label("criticality", "CRITICAL"),
        figure.with_label("criticality", "CRITICAL_PLUS"),
    ]
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Criticality;

    #[test]
    fn labels_are_the_names_of_the_criticalities() {
        for (figure, criticality) in SHED_AS.iter().zip(Criticality::ALL) {
            assert_eq!(figure.label, Some(("criticality", criticality.as_str())));
        }
    }
}
