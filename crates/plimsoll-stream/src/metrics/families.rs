//! Names and help texts of the families.

/// A family: its name, and its help text, which is the same for all parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
}

macro_rules! families {
    ($($constant:ident $name:literal $help:literal;)*) => {
        $(pub(super) const $constant: Family = Family {
            name: concat!("plimsoll_stream_", $name),
            help: $help,
        };)*
    };
}

families! {
    DEPTH "queue_depth" "What is queued now";
    CAPACITY "queue_capacity" "The bound of what is queued";
    SENT "queue_sent_total" "Items that were taken from producers";
    RECEIVED "queue_received_total" "Items that were handed to consumers";
    DROPPED "queue_dropped_total" "Items that were taken from producers and then lost";
    WAIT "queue_wait_seconds" "Waits of the measured items; the sum is an estimate";
    OLDEST "oldest_age_seconds" "Age of the oldest queued item";
}
#[cfg(feature = "axum")]
families! {
    UTILIZATION "client_buffer_utilization" "Highest share of its buffer that a client uses";
    RETRY "retry_headers_total" "Rejections with retry-after";
    MIGRATIONS "migrations_total" "Clients that were moved to polling, or came back to a stream";
}
families! {
    CLIENTS "clients" "Clients that are connected";
    SLOW "slow_disconnects_total" "Clients that were disconnected because they were slow";
    GAPS "gaps_total" "Gaps that were announced to clients";
    MISSED "missed_total" "Items in the gaps";
    HITS "replay_hits_total" "Clients that continued with nothing missing";
    MISSES "replay_misses_total" "Clients that could not continue";
    SATURATED "saturated" "1 while the alarm of the signal is raised";
}
#[cfg(any(feature = "listener", feature = "tonic"))]
families! {
    BLOCKED "blocked_clients" "Clients whose socket or stream takes nothing now";
}
#[cfg(feature = "listener")]
families! {
    UNSENT "unsent_bytes" "Bytes that the kernel holds and has not sent";
}
#[cfg(feature = "throttle")]
families! {
    PASSED "throttle_passed_total" "Items that have passed the buckets";
    DELAYED "throttle_delayed_total" "Items that have passed and had to wait";
}
