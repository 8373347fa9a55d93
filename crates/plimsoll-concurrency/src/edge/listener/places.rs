//! Counts the open connections.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use plimsoll_core::policy::Counter;
use tokio::sync::Notify;

use super::error::InvalidListener;

/// The highest limit on connections: 2^20, the default of `fs.nr_open` on Linux. The tests
/// in `listener` fail with another value.
const MAX_CONNECTIONS: usize = 1 << 20;

/// How many connections are open and may be open, in total and per address.
#[derive(Debug)]
pub(super) struct Places {
    limit: AtomicUsize,
    open: AtomicUsize,
    /// Notified when there may be room. One task waits for it; an early notification is stored.
    room: Notify,
    per_address: AtomicUsize,
    counts_addresses: AtomicBool,
    /// Only addresses with an open connection, so there are at most as many as connections.
    addresses: Mutex<HashMap<IpAddr, usize>>,
    pub(super) accepted: Counter,
    pub(super) rejected: Counter,
}

/// The place of one connection, released on drop.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    /// The address under which it is counted.
    address: Option<IpAddr>,
}

impl Places {
    pub(super) fn new(limit: usize) -> Result<Self, InvalidListener> {
        Ok(Self {
            limit: AtomicUsize::new(checked(limit, InvalidListener::Connections)?),
            open: AtomicUsize::new(0),
            room: Notify::new(),
            per_address: AtomicUsize::new(MAX_CONNECTIONS),
            counts_addresses: AtomicBool::new(false),
            addresses: Mutex::default(),
            accepted: Counter::new(),
            rejected: Counter::new(),
        })
    }

    /// Waits until another connection may be open. Only the listener may call it: a notification
    /// wakes one task.
    pub(super) async fn room(&self) {
        while self.open() >= self.limit() {
            self.room.notified().await;
        }
    }

    /// Takes a place for a connection, if its address is below the limit per address.
    pub(super) fn take(this: &Arc<Self>, from: Option<IpAddr>) -> Option<Place> {
        let address = from.map(network);
        if address.is_some_and(|address| !this.take_for(address)) {
            this.rejected.add();
            return None;
        }
        this.open.fetch_add(1, SeqCst);
        this.accepted.add();
        Some(Place {
            places: Arc::clone(this),
            address,
        })
    }

    fn take_for(&self, address: IpAddr) -> bool {
        let limit = self.per_address.load(SeqCst);
        let mut addresses = self.addresses();
        let open = addresses.entry(address).or_default();
        // A new entry is below every limit.
        let free = *open < limit;
        *open += usize::from(free);
        free
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(SeqCst)
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.load(SeqCst)
    }

    pub(super) fn set_limit(&self, limit: usize) -> Result<(), InvalidListener> {
        let limit = checked(limit, InvalidListener::Connections)?;
        self.limit.store(limit, SeqCst);
        self.room.notify_one();
        Ok(())
    }

    pub(super) fn count_addresses(&self, limit: usize) -> Result<(), InvalidListener> {
        let limit = checked(limit, InvalidListener::PerAddress)?;
        self.per_address.store(limit, SeqCst);
        self.counts_addresses.store(true, SeqCst);
        Ok(())
    }

    pub(super) fn per_address(&self) -> Option<usize> {
        let counts = self.counts_addresses.load(SeqCst);
        counts.then(|| self.per_address.load(SeqCst))
    }

    pub(super) fn set_per_address(&self, limit: usize) -> Result<(), InvalidListener> {
        if !self.counts_addresses.load(SeqCst) {
            return Err(InvalidListener::NotCounted);
        }
        self.count_addresses(limit)
    }

    pub(super) fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // No code panics under this lock, so a poisoned lock holds a consistent value.
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            if let Entry::Occupied(mut open) = self.places.addresses().entry(address) {
                *open.get_mut() -= 1;
                if *open.get() == 0 {
                    open.remove();
                }
            }
        }
        self.places.open.fetch_sub(1, SeqCst);
        self.places.room.notify_one();
    }
}

fn checked(limit: usize, invalid: fn(usize) -> InvalidListener) -> Result<usize, InvalidListener> {
    if (1..=MAX_CONNECTIONS).contains(&limit) {
        Ok(limit)
    } else {
        Err(invalid(limit))
    }
}

/// Returns the network of one client: an IPv4 address, also if mapped, or the /64 of an IPv6
/// address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(places: &Arc<Places>, from: &str) -> Option<Place> {
        Places::take(places, Some(from.parse().unwrap()))
    }

    #[test]
    fn one_network_shares_one_limit_and_its_entry_is_removed() {
        let places = Arc::new(Places::new(100).unwrap());
        places.count_addresses(2).unwrap();
        let one = taken(&places, "2001:db8::1").unwrap();
        let two = taken(&places, "2001:db8::ffff:2").unwrap();
        assert!(taken(&places, "2001:db8::3").is_none());
        let other = taken(&places, "2001:db8:0:1::1").unwrap();
        let v4 = taken(&places, "192.0.2.1").unwrap();
        let mapped = taken(&places, "::ffff:192.0.2.1").unwrap();
        assert!(taken(&places, "192.0.2.1").is_none());
        let neighbour = taken(&places, "192.0.2.2").unwrap();
        assert_eq!(places.addresses().len(), 4);
        assert_eq!((places.open(), places.rejected.get()), (6, 2));
        drop(one);
        assert!(taken(&places, "2001:db8::3").is_some());
        drop((two, other, v4, mapped, neighbour));
        assert_eq!((places.open(), places.addresses().len()), (0, 0));
    }
}
