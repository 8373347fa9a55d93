//! The keys with the most rejections of a gate, in a fixed number of counters.

use std::{
    borrow::Cow,
    fmt,
    hash::{BuildHasher as _, RandomState},
    panic::AssertUnwindSafe,
    sync::{Mutex, OnceLock, PoisonError},
};

use plimsoll_core::{
    RequestHead,
    support::{claim_slot, slot, slots},
};

/// Counters of one thread. A key that has more than one in 64 of its rejections is always among them
/// (`a_key_with_many_rejections_stays_beside_a_flood_of_others` fails with far fewer).
const COUNTERS: usize = 64;
/// Keys that a snapshot has.
const SHOWN: usize = 10;
/// Bytes of a key that are kept. Longer ones are cut, and still counted apart.
const LONGEST: usize = 64;

/// A key and the number of its rejections.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offender {
    /// The key, cut after 64 bytes.
    pub key: String,
    /// Its rejections: at least this number.
    pub rejected: u64,
    /// At most this number. Equal to `rejected` while there were few keys.
    pub at_most: u64,
}

type Read = dyn for<'a> Fn(&RequestHead<'a>) -> Option<Cow<'a, str>> + Send + Sync;

/// The counters of all threads.
pub(crate) struct Offenders {
    /// The gate catches its panics.
    read: AssertUnwindSafe<Box<Read>>,
    /// Secret, since callers choose keys, and must not be able to choose ones of equal hashes.
    seed: RandomState,
    own: Box<[OnceLock<Box<Mutex<Top>>>]>,
    /// For threads without a slot.
    shared: OnceLock<Box<Mutex<Top>>>,
}

impl Offenders {
    pub(crate) fn new(
        read: impl for<'a> Fn(&RequestHead<'a>) -> Option<Cow<'a, str>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            read: AssertUnwindSafe(Box::new(read)),
            seed: RandomState::new(),
            own: (0..slots()).map(|_| OnceLock::new()).collect(),
            shared: OnceLock::new(),
        }
    }

    /// Counts a rejection of the key of this request. Takes a lock that only a snapshot also takes,
    /// and threads without a slot.
    pub(crate) fn count(&self, request: &RequestHead<'_>) {
        let Some(key) = (self.read)(request) else {
            return;
        };
        let claimed = || claim_slot().and_then(|slot| self.own.get(slot));
        let own = self.own.get(slot()).or_else(claimed);
        let top = own.unwrap_or(&self.shared).get_or_init(Box::default);
        let mut top = top.lock().unwrap_or_else(PoisonError::into_inner);
        top.count(self.seed.hash_one(&*key), &key);
    }

    /// The keys with the most rejections, most first.
    pub(crate) fn read(&self) -> Vec<Offender> {
        let tops = self.own.iter().chain([&self.shared]);
        let tops = tops.filter_map(OnceLock::get).map(|top| {
            let top = top.lock().unwrap_or_else(PoisonError::into_inner);
            top.clone()
        });
        let tops: Vec<Top> = tops.collect();
        let mut all: Vec<(u64, Offender)> = Vec::new();
        for counter in tops.iter().flat_map(|top| &top.0) {
            if all.iter().any(|(hash, _)| *hash == counter.hash) {
                continue;
            }
            let (mut rejected, mut at_most) = (0, 0);
            for top in &tops {
                let same = top.0.iter().find(|of| of.hash == counter.hash);
                rejected += same.map_or(0, |of| of.count - of.error);
                at_most += same.map_or_else(|| top.least(), |of| of.count);
            }
            let key = counter.key.clone();
            let offender = Offender {
                key,
                rejected,
                at_most,
            };
            all.push((counter.hash, offender));
        }
        let mut all: Vec<_> = all.into_iter().map(|(_, offender)| offender).collect();
        all.sort_by(|a, b| (b.rejected, b.at_most, &a.key).cmp(&(a.rejected, a.at_most, &b.key)));
        all.truncate(SHOWN);
        all.retain(|offender| offender.rejected > 0);
        all
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        let tops = self.own.iter().chain([&self.shared]);
        let used = tops.filter_map(OnceLock::get).count();
        let each = size_of::<Mutex<Top>>() + COUNTERS * (size_of::<Counter>() + LONGEST);
        size_of::<Self>() + size_of_val(&*self.own) + used * each
    }
}

/// The counters of one thread: the algorithm "space saving" (Metwally, Agrawal and El Abbadi 2005).
/// A key without a counter takes that of the least count, and inherits the count as its error.
#[derive(Clone, Default)]
struct Top(Vec<Counter>);

#[derive(Clone)]
struct Counter {
    hash: u64,
    count: u64,
    /// Of the count, what may be other keys'.
    error: u64,
    /// Up to [`LONGEST`] bytes, for which it has room from the start.
    key: String,
}

impl Top {
    fn count(&mut self, hash: u64, key: &str) {
        if let Some(counter) = self.0.iter_mut().find(|counter| counter.hash == hash) {
            counter.count += 1;
            return;
        }
        let mut end = key.len().min(LONGEST);
        while !key.is_char_boundary(end) {
            end -= 1;
        }
        let key = &key[..end];
        if self.0.len() < COUNTERS {
            self.0.reserve_exact(COUNTERS - self.0.len());
            let mut own = String::with_capacity(LONGEST);
            own.push_str(key);
            self.0.push(Counter {
                hash,
                count: 1,
                error: 0,
                key: own,
            });
        } else if let Some(least) = self.0.iter_mut().min_by_key(|counter| counter.count) {
            // A flood of keys allocates nothing.
            least.hash = hash;
            least.error = least.count;
            least.count += 1;
            least.key.clear();
            least.key.push_str(key);
        }
    }

    /// What a key without a counter may have been counted at most.
    fn least(&self) -> u64 {
        if self.0.len() < COUNTERS {
            return 0;
        }
        let counts = self.0.iter().map(|counter| counter.count);
        counts.min().unwrap_or_default()
    }
}

impl fmt::Debug for Offenders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys may be secrets.
        f.debug_struct("Offenders").finish_non_exhaustive()
    }
}
