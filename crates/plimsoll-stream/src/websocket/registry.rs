//! The open connections.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use super::shared::Shared;

/// Finds the open connections; at most `max_connections`.
#[derive(Debug, Default)]
pub(super) struct Registry(Mutex<Clients>);

#[derive(Debug, Default)]
struct Clients {
    by_id: HashMap<u64, Weak<Shared>>,
    next: u64,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Clients> {
        // No code panics under this lock, so a poisoned lock holds a consistent value.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(this: &Arc<Self>, shared: &Arc<Shared>) -> Registered {
        let mut clients = this.lock();
        let id = clients.next;
        clients.next += 1;
        clients.by_id.insert(id, Arc::downgrade(shared));
        drop(clients);
        let registry = Arc::clone(this);
        Registered { registry, id }
    }

    pub(super) fn clients(&self) -> Vec<Arc<Shared>> {
        self.lock()
            .by_id
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }
}

/// The entry of a connection, removed on drop.
#[derive(Debug)]
pub(super) struct Registered {
    registry: Arc<Registry>,
    id: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.registry.lock().by_id.remove(&self.id);
    }
}
