//! The interface through which handles of policies show their figures. Core depends on no metrics
//! library.

mod change;
mod figure;
mod known;

use std::{fmt, sync::Arc};

pub use self::{
    change::Change,
    figure::{Figure, FigureKind},
    known::*,
};

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
    ///
    /// A text changes only when a call of a handle changes the setting, which is then reported as an
    /// event. The text under [`LIMIT_REASON`] is an exception: the policy changes it.
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

/// The name under which an adaptive limit states why it has its value, among its
/// [settings](Figures::settings).
pub const LIMIT_REASON: &str = "limit changed because";
