//! The interface through which handles of policies show their figures. Core depends on no metrics
//! library.

use std::{fmt, sync::Arc};

/// The figures of a policy: its limit, its queue, its state, its counters.
///
/// Handles of policies implement it. `plimsoll-metrics` reads them when it takes a snapshot, never
/// on the path of a request. A reading must be cheap and must not block: a few atomics, or one short
/// lock.
///
/// ```
/// use plimsoll_core::figures::{self, Figure, Figures};
///
/// struct Pool;
///
/// impl Figures for Pool {
///     fn policy(&self) -> &str {
///         "pool"
///     }
///     fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
///         each(&figures::LIMIT, 64.0);
///     }
/// }
///
/// let mut read = Vec::new();
/// Pool.read(&mut |figure, value| read.push((figure.name, value)));
/// assert_eq!(read, [("limit", 64.0)]);
/// ```
pub trait Figures: Send + Sync {
    /// Returns the name of the policy, as its rejections state it.
    fn policy(&self) -> &str;

    /// Passes each figure and its current value to `each`: the same figures in the same order every
    /// time. A value that is unknown now is NaN.
    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64));

    /// Passes the settings of the policy to `each`, as name and text. Without settings by default.
    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        _ = each;
    }

    /// Adds a callback for the changes of the policy, such as the state transitions of a breaker.
    /// Never calls it by default.
    ///
    /// The callback is called outside of locks, in the order of the changes, and a panic in it is
    /// caught.
    fn on_change(&self, callback: Arc<dyn Fn(&Change) + Send + Sync>) {
        _ = callback;
    }
}

impl<F: Figures + ?Sized> Figures for Arc<F> {
    fn policy(&self) -> &str {
        (**self).policy()
    }
    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        (**self).read(each);
    }
    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        (**self).settings(each);
    }
    fn on_change(&self, callback: Arc<dyn Fn(&Change) + Send + Sync>) {
        (**self).on_change(callback);
    }
}

/// A figure of a policy: its name, its type, and a help text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// The name, such as `limit`; exporters add a prefix, and `_total` to a counter.
    pub name: &'static str,
    /// The unit, in the plural: `seconds`, `bytes`. `None` for numbers and ratios.
    pub unit: Option<&'static str>,
    /// The type.
    pub kind: FigureKind,
    /// One line about the figure, without a full stop.
    pub help: &'static str,
}

/// The type of a [`Figure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FigureKind {
    /// A value that rises and falls.
    Gauge,
    /// A count that never falls.
    Counter,
    /// One of these states; the value is its position in the list.
    State(&'static [&'static str]),
}

/// A change of a policy that an operator should see.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// The figure that changed.
    pub figure: &'static Figure,
    /// The value before; of a state its position in the list.
    pub from: f64,
    /// The value now.
    pub to: f64,
    /// Why it changed, in a few words.
    pub reason: String,
    /// The key, of a policy with a state for each key.
    pub key: Option<String>,
}

impl Change {
    /// A change of `figure`.
    pub fn new(figure: &'static Figure, from: f64, to: f64, reason: impl Into<String>) -> Self {
        Self {
            figure,
            from,
            to,
            reason: reason.into(),
            key: None,
        }
    }

    /// Sets the key.
    #[must_use]
    pub fn of_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

impl Figure {
    /// A figure that rises and falls.
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            unit: None,
            kind: FigureKind::Gauge,
            help,
        }
    }

    /// A figure that never falls.
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            unit: None,
            kind: FigureKind::Counter,
            help,
        }
    }

    /// A figure that is one of `states`.
    pub const fn state(
        name: &'static str,
        states: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            unit: None,
            kind: FigureKind::State(states),
            help,
        }
    }

    /// Sets the unit.
    #[must_use]
    pub const fn in_unit(mut self, unit: &'static str) -> Self {
        self.unit = Some(unit);
        self
    }
}

/// The limit on requests in flight.
pub static LIMIT: Figure = Figure::gauge("limit", "Limit on requests in flight");
/// Permits that are held now.
pub static IN_USE: Figure = Figure::gauge("in_use", "Permits held now");
/// Requests in the queue.
pub static QUEUED: Figure = Figure::gauge("queued", "Requests in the queue");
/// Places of the queue.
pub static QUEUE_CAPACITY: Figure = Figure::gauge("queue_capacity", "Places of the queue");
