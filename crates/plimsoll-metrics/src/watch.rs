//! How a program watches policies and parts, and reads their changes.

use std::sync::Arc;

use plimsoll_core::figures::{Change, Figures};
use tokio::time::Instant;

use crate::{
    Alarm, Event, InvalidMetric, Metrics,
    names::bounded,
    watched::{MAX_NAME, Reporter},
};

impl Metrics {
    /// Watches the figures of a policy as part of the gate called `gate`: one line for all gauges,
    /// counters and states of a handle. Its changes become [events](Self::events).
    ///
    /// The handle is kept, and with it what it shares with its policy: tables of keys, connections
    /// to Redis, a load signal with a task. [`unwatch`](Self::unwatch) releases it.
    ///
    /// ```
    /// use plimsoll_core::Shadow;
    /// # let limit = ();
    /// let metrics = plimsoll_metrics::Metrics::new();
    /// let shadow = Shadow::new(limit);
    /// metrics.watch("edge", shadow.handle())?;
    /// assert_eq!(metrics.snapshot().gates[0].policies[0].policy, "shadow");
    /// # Ok::<(), plimsoll_metrics::InvalidMetric>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidMetric`] when the gate watches a policy of this name already, or has 16 of them. For
    /// two policies of one kind use [`watch_as`](Self::watch_as).
    pub fn watch(
        &self,
        gate: impl Into<String>,
        handle: impl Figures + 'static,
    ) -> Result<(), InvalidMetric> {
        let policy = handle.policy().to_owned();
        self.watch_as(gate, policy, handle)
    }

    /// Watches the figures of a policy under another name, as [`watch`](Self::watch): for a limit per
    /// key beside a limit of all requests.
    ///
    /// # Errors
    ///
    /// As [`watch`](Self::watch), and when the name is not 1 to 128 bytes long.
    pub fn watch_as(
        &self,
        gate: impl Into<String>,
        policy: impl Into<String>,
        handle: impl Figures + 'static,
    ) -> Result<(), InvalidMetric> {
        let (gate, policy) = (self.gate(gate), policy.into());
        let is_same = |known: &Reporter| known.policy == policy;
        let handle = Arc::new(handle);
        gate.watched()
            .add((gate.name(), &policy), handle, &self.0.events, is_same)
    }

    /// Releases the handle of a policy, which was [watched](Self::watch) under this name. Returns
    /// whether there was one.
    ///
    /// For a policy that is replaced by another one. Events that are in the log stay.
    pub fn unwatch(&self, gate: impl Into<String>, policy: &str) -> bool {
        let mut gate = gate.into();
        bounded(&mut gate);
        let gates = self.gates();
        let found = gates.iter().find(|known| known.name() == gate);
        found.is_some_and(|gate| gate.watched().remove(|known| known.policy == policy))
    }

    /// Watches a part that belongs to no gate, under a name: a queue, a hub, a listener.
    ///
    /// As for [`watch`](Self::watch), the handle is kept until [`unwatch_part`](Self::unwatch_part).
    ///
    /// # Errors
    ///
    /// [`InvalidMetric`] when a part has this name, it is not 1 to 128 bytes long, or there are 256
    /// parts.
    pub fn watch_part(
        &self,
        name: impl Into<String>,
        handle: impl Figures + 'static,
    ) -> Result<(), InvalidMetric> {
        let (name, policy) = (name.into(), handle.policy().to_owned());
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(InvalidMetric::WatchedName { bytes: name.len() });
        }
        let is_same = |known: &Reporter| known.gate == name;
        let (parts, handle) = (&self.0.parts, Arc::new(handle));
        parts
            .list()
            .add((&name, &policy), handle, &self.0.events, is_same)
            .map_err(|error| match error {
                InvalidMetric::Duplicate { .. } => InvalidMetric::Duplicate { name: name.clone() },
                other => other,
            })
    }

    /// Releases the handle of a part. Returns whether there was one of this name.
    pub fn unwatch_part(&self, name: &str) -> bool {
        self.0.parts.list().remove(|known| known.gate == name)
    }

    /// The events with a number above `after`, oldest first; 0 gives all that are kept.
    ///
    /// The latest 1,024 are kept. Of one policy there are at most ten in a row and three a second
    /// afterwards; the next event states how many were left out.
    pub fn events(&self, after: u64) -> Vec<Event> {
        self.0.events.after(after)
    }

    /// Adds an event that no handle reports, such as a change by an operator.
    ///
    /// It is numbered and kept as those of watched policies are.
    pub fn record_event(&self, gate: &str, policy: &str, change: &Change) {
        self.0
            .events
            .add(gate, policy, change.clone(), Instant::now());
    }

    /// Calls `callback` for each event, in order, in the steps of the
    /// [`Watcher`](crate::Watcher): within a second, without a lock, and never on the path of a
    /// request.
    ///
    /// A panic in it is caught. While it blocks, the watcher waits; events that are dropped from the
    /// log by then are counted in [`Snapshot::missed_events`](crate::Snapshot::missed_events).
    /// Callbacks add up, and cannot be removed. One that holds a `Metrics` keeps it alive.
    pub fn on_event(&self, callback: impl Fn(&Event) + Send + Sync + 'static) {
        self.0.events.subscribe(callback);
    }

    /// Registers an alarm, which the [`Watcher`](crate::Watcher) evaluates. See [`Alarm`].
    ///
    /// # Errors
    ///
    /// [`InvalidMetric`] when a setting is out of bounds, an alarm of this name is registered, or
    /// there are 32.
    pub fn alarm(&self, alarm: Alarm) -> Result<(), InvalidMetric> {
        self.0.alarms.add(alarm)
    }
}
