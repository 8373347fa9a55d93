//! Reads fair shares at run time.

use std::{fmt, sync::Arc};

use plimsoll_core::Criticality;

use super::shared::Shared;

/// Reads the fair shares of a limit at run time; clones share it.
#[derive(Clone)]
pub struct FairShareHandle(pub(super) Arc<Shared>);

impl FairShareHandle {
    /// Returns the lowest level of all criticalities; `None` while no level is limited.
    ///
    /// That is how many requests of that criticality a key may have inside while the limit is
    /// nearly full.
    pub fn level(&self) -> Option<f64> {
        let levels = Criticality::ALL
            .into_iter()
            .filter_map(|of| self.level_of(of));
        levels.reduce(f64::min)
    }

    /// Returns the level of one criticality; `None` while it is not limited.
    pub fn level_of(&self, criticality: Criticality) -> Option<f64> {
        let height = self.0.band(criticality).height();
        height.is_finite().then_some(height)
    }

    /// Returns the requests that were rejected because their key was at the level.
    pub fn rejected(&self) -> u64 {
        self.0.rejections.get()
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
