//! The parts of a registry, which belong to no gate.

use std::sync::Arc;

use crate::{
    PartSnapshot,
    watched::{Entry, Watched},
};

/// Bound of parts: queues and hubs of a program are few, and each is read in each snapshot.
/// `a_registry_watches_at_most_256_parts` fails when it differs.
const MAX_PARTS: usize = 256;

/// The parts.
#[derive(Debug)]
pub(crate) struct Parts(Watched);

impl Default for Parts {
    fn default() -> Self {
        Self(Watched::new("parts", MAX_PARTS))
    }
}

impl Parts {
    pub(crate) const fn list(&self) -> &Watched {
        &self.0
    }

    pub(crate) fn all(&self) -> Arc<Vec<Arc<Entry>>> {
        self.0.all()
    }

    pub(crate) fn snapshot(&self) -> Vec<PartSnapshot> {
        let read = |entry: &Arc<Entry>| {
            let (name, figures) = (entry.reporter.gate.clone(), entry.read()?);
            Some(PartSnapshot { name, figures })
        };
        self.all().iter().filter_map(read).collect()
    }
}
