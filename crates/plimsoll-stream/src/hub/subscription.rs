//! A subscriber, and where it is.

use std::{collections::VecDeque, fmt, sync::Arc};

use plimsoll_core::LoadSignal;

use super::{
    cursor::Cursor, error::Ended, lag::Bounds, latest::Numbered, parked::Place, segment::Segment,
    shared::Shared,
};
use crate::sync::Ordering;

/// One subscriber of a [`Hub`](crate::Hub).
///
/// Dropping it ends the subscription. Keep its [`cursor`](Self::cursor) to continue later.
pub struct Subscription<T> {
    pub(super) shared: Arc<Shared<T>>,
    pub(super) bounds: Bounds,
    pub(super) segment: Arc<Segment<T>>,
    /// The number to be received next.
    pub(super) next: u64,
    /// Latest items of their keys that are still to be received.
    pub(super) coalesced: VecDeque<Numbered<T>>,
    /// Of the subscription, which chooses the list in which it waits.
    pub(super) number: usize,
    pub(super) place: Option<Place>,
    pub(super) ended: Option<Ended>,
    /// Not yet added to the counter of the hub, which all subscribers share.
    pub(super) delivered: u64,
    resumed: Resumed,
}

/// Where a subscription begins.
pub(super) struct Start<T> {
    pub(super) segment: Arc<Segment<T>>,
    pub(super) next: u64,
    pub(super) resumed: Resumed,
    pub(super) number: usize,
}

/// How a subscription has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumed {
    /// Without a cursor.
    Live,
    /// After the cursor, with nothing missing.
    Complete,
    /// The cursor was of no use. The client must discard what it derived from earlier items.
    Reset(Reset),
}

/// A client could not continue where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reset {
    /// Why.
    pub reason: ResetReason,
    /// The number in the client's cursor.
    pub from: u64,
    /// The number after which the subscription begins.
    pub to: u64,
}

/// Why a cursor was of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResetReason {
    /// It is of another hub, or of this one before a restart.
    UnknownEpoch,
    /// Items after it are no longer kept.
    TooOld,
    /// Its item has not been published.
    NotPublished,
}

impl ResetReason {
    /// Returns the name for messages and labels, such as `too_old`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownEpoch => "unknown_epoch",
            Self::TooOld => "too_old",
            Self::NotPublished => "not_published",
        }
    }
}

impl<T> Subscription<T> {
    pub(super) fn new(shared: Arc<Shared<T>>, bounds: Bounds, start: Start<T>) -> Self {
        Self {
            shared,
            bounds,
            segment: start.segment,
            next: start.next,
            coalesced: VecDeque::new(),
            number: start.number,
            place: None,
            ended: None,
            delivered: 0,
            resumed: start.resumed,
        }
    }

    /// Returns how the subscription has begun.
    pub fn resumed(&self) -> Resumed {
        self.resumed
    }

    /// Returns the cursor of what was received last, with gaps.
    pub fn cursor(&self) -> Cursor {
        self.shared.cursor(self.next - 1)
    }

    /// Returns how many items the subscriber is behind.
    pub fn lag(&self) -> u64 {
        (self.shared.last() + 1).saturating_sub(self.next)
    }

    /// Adds what was received to the counter of the hub.
    pub(super) fn count(&mut self) {
        let delivered = std::mem::take(&mut self.delivered);
        self.shared
            .figures
            .delivered
            .fetch_add(delivered, Ordering::Relaxed);
    }
}

/// All parts are `Unpin` pointers and numbers.
impl<T> Unpin for Subscription<T> {}

/// The share of the bound in items that the subscriber is behind: above 1 it is too slow.
impl<T> LoadSignal for Subscription<T> {
    fn load(&self) -> f64 {
        self.lag() as f64 / self.bounds.items as f64
    }
}

impl<T> Drop for Subscription<T> {
    fn drop(&mut self) {
        self.count();
        self.shared.leave();
        if let Some(place) = self.place.take() {
            let waker = self.shared.lists.of(self.number).leave(Some(place));
            drop(waker);
        }
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("cursor", &self.cursor())
            .field("lag", &self.lag())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
