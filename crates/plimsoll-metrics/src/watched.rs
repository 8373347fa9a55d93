//! The policies whose figures a gate shows.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use plimsoll_core::figures::Figures;

use crate::{InvalidMetric, PolicySnapshot, pulled::attempt};

/// Bound of policies of one gate.
const MAX_POLICIES: usize = 16;

/// The handles that a gate watches.
#[derive(Default)]
pub(crate) struct Watched(RwLock<Arc<Vec<Arc<dyn Figures>>>>);

impl Watched {
    pub(crate) fn add(&self, handle: Arc<dyn Figures>) -> Result<(), InvalidMetric> {
        let mut handles = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if handles
            .iter()
            .any(|known| known.policy() == handle.policy())
        {
            return Err(InvalidMetric::Duplicate {
                name: handle.policy().to_owned(),
            });
        }
        if handles.len() >= MAX_POLICIES {
            return Err(InvalidMetric::Full {
                what: "policies of a gate",
                max: MAX_POLICIES,
            });
        }
        Arc::make_mut(&mut handles).push(handle);
        Ok(())
    }

    /// Reads all figures, outside of the lock. A handle that panics is left out.
    pub(crate) fn read(&self) -> Vec<PolicySnapshot> {
        let handles = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let read = |handle: &Arc<dyn Figures>| attempt(|| figures(&**handle));
        handles.iter().filter_map(read).collect()
    }
}

fn figures(handle: &dyn Figures) -> PolicySnapshot {
    let (mut figures, mut settings) = (Vec::new(), Vec::new());
    handle.read(&mut |figure, value| figures.push((figure, value)));
    handle.settings(&mut |name, text| settings.push((name, text.to_string())));
    PolicySnapshot {
        policy: handle.policy().to_owned(),
        figures,
        settings,
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handles = self.0.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_set()
            .entries(handles.iter().map(|handle| handle.policy()))
            .finish()
    }
}
