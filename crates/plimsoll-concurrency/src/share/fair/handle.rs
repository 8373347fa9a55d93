//! What can be seen of fair shares from outside.

use std::{fmt, sync::Arc};

use plimsoll_core::Criticality;

use super::shared::Shared;

/// Reads the shares that a limit is divided into. Clones share it.
#[derive(Clone)]
pub struct FairShareHandle(pub(super) Arc<Shared>);

impl FairShareHandle {
    /// How many requests of the criticality that is held back most a key may have inside while the limit is nearly full;
    /// `None` while nobody is held back.
    pub fn level(&self) -> Option<f64> {
        let levels = Criticality::ALL
            .into_iter()
            .filter_map(|of| self.level_of(of));
        levels.reduce(f64::min)
    }

    /// The same, of this criticality.
    pub fn level_of(&self, criticality: Criticality) -> Option<f64> {
        let height = self.0.band(criticality).height();
        height.is_finite().then_some(height)
    }

    /// Requests that were refused because their key was at the level.
    pub fn rejected(&self) -> u64 {
        self.0.refusals.get()
    }
}

impl fmt::Debug for FairShareHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FairShareHandle")
            .field("level", &self.level())
            .field("rejected", &self.rejected())
            .finish()
    }
}
