//! The state of a cell with its own storage.

use crate::{cell::Cell, refunds::Refunds, settings::Settings, sync::AtomicU64};

/// The state of one cell.
#[derive(Debug)]
pub(crate) struct State<const N: usize> {
    refunded: AtomicU64,
    pub(crate) words: [AtomicU64; N],
    pub(crate) refunds: Refunds<N>,
}

impl<const N: usize> State<N> {
    pub(crate) fn new() -> Self {
        Self {
            refunded: AtomicU64::new(0),
            words: std::array::from_fn(|_| AtomicU64::new(0)),
            refunds: Refunds::new(),
        }
    }

    #[inline]
    pub(crate) fn cell<'a>(&'a self, settings: &'a Settings<N>) -> Cell<'a, N> {
        Cell {
            quotas: &settings.quotas,
            tag: &self.refunded,
            words: &self.words,
        }
    }
}
