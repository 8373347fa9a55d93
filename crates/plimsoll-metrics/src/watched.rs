//! The policies and parts whose figures are shown.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use plimsoll_core::figures::{self, Change, Figure, FigureKind, Figures};
use tokio::time::Instant;

use crate::{
    InvalidMetric, PolicySnapshot, damper::Damper, derived::Derived, events::EventLog,
    pulled::attempt,
};

/// Bytes of a name that is given to [`Metrics::watch_as`](crate::Metrics::watch_as) or
/// [`Metrics::watch_part`](crate::Metrics::watch_part).
pub(crate) const MAX_NAME: usize = 128;

/// A handle that is watched.
pub(crate) struct Entry {
    pub(crate) reporter: Arc<Reporter>,
    handle: Arc<dyn Figures>,
    /// Whether the handle reports its changes by itself.
    reports: bool,
    derived: Mutex<Derived>,
}

/// Where the changes of one policy go.
///
/// Callbacks of the policy hold it. It does not hold the handle: a policy would keep itself alive.
pub(crate) struct Reporter {
    pub(crate) gate: String,
    pub(crate) policy: String,
    log: Arc<EventLog>,
    damper: Mutex<Damper>,
    is_watched: AtomicBool,
}

impl Reporter {
    fn damper<R>(&self, run: impl FnOnce(&mut Damper) -> R) -> R {
        // No code of the caller runs while it is held.
        run(&mut self.damper.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A change that the policy reports, on the thread that made it.
    fn reported(&self, change: &Change) {
        if self.is_watched.load(Relaxed) {
            let now = Instant::now();
            let kept = self.damper(|damper| damper.reported(change, now));
            self.add(kept, now);
        }
    }

    fn add(&self, change: Option<Change>, now: Instant) {
        if let Some(change) = change {
            self.log.add(&self.gate, &self.policy, change, now);
        }
    }
}

impl Entry {
    fn new(gate: &str, policy: String, handle: Arc<dyn Figures>, log: Arc<EventLog>) -> Self {
        let reporter = Arc::new(Reporter {
            gate: gate.to_owned(),
            policy,
            log,
            damper: Mutex::new(Damper::new()),
            is_watched: AtomicBool::new(true),
        });
        let to = Arc::clone(&reporter);
        let callback: Arc<dyn Fn(&Change) + Send + Sync> =
            Arc::new(move |change| to.reported(change));
        handle.on_change(Arc::clone(&callback));
        Self {
            reporter,
            handle,
            // A handle that reports nothing has dropped the callback.
            reports: Arc::strong_count(&callback) > 1,
            derived: Mutex::default(),
        }
    }

    /// Reads all figures; `None` when the handle panics.
    pub(crate) fn read(&self) -> Option<PolicySnapshot> {
        attempt(|| read_all(&*self.handle, &self.reporter.policy))
    }

    /// Reads all figures, and adds to the log what has changed since the last step and was not
    /// reported.
    pub(crate) fn step(&self, now: Instant) -> Option<PolicySnapshot> {
        let seen = self.reporter.damper(|damper| damper.seen());
        let snapshot = self.read()?;
        let mut found = Vec::new();
        let mut derived = self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        derived.step(&snapshot, now, |change| found.push(change));
        drop(derived);
        let by_hand = found.iter().any(|change| change.by_hand);
        let changes = self.reporter.damper(|damper| {
            // A change that was reported while the figures were read may be in them or not.
            let compared = snapshot.figures.iter().filter(|_| damper.seen() == seen);
            let compared: Vec<_> = compared.filter(|(figure, _)| is_compared(figure)).collect();
            let mut changes = Vec::new();
            for (figure, value) in compared {
                let change = damper.read(figure, *value, self.reports, now);
                // A setting that was changed is an event, and its figure no second one.
                changes.extend(change.filter(|_| !by_hand || is_state(figure)));
            }
            changes.extend(
                found
                    .into_iter()
                    .filter_map(|change| damper.spend(change, now)),
            );
            changes
        });
        for change in changes {
            self.reporter.add(Some(change), now);
        }
        Some(snapshot)
    }
}

/// Whether a change of the figure is an event: all states, and the gauges that a policy sets.
fn is_compared(figure: &Figure) -> bool {
    let gauges = [&figures::LIMIT, &figures::RATE, &figures::QUOTA];
    is_state(figure) || gauges.iter().any(|of| of.is(figure))
}

const fn is_state(figure: &Figure) -> bool {
    matches!(figure.kind, FigureKind::State(_))
}

fn read_all(handle: &dyn Figures, policy: &str) -> PolicySnapshot {
    let (mut figures, mut settings) = (Vec::new(), Vec::new());
    handle.read(&mut |figure, value| figures.push((figure, value)));
    handle.settings(&mut |name, text| settings.push((name, text.to_string())));
    PolicySnapshot {
        policy: policy.to_owned(),
        figures,
        settings,
    }
}

/// A list of handles with a bound.
pub(crate) struct Watched {
    entries: RwLock<Arc<Vec<Arc<Entry>>>>,
    what: &'static str,
    max: usize,
}

impl Watched {
    pub(crate) fn new(what: &'static str, max: usize) -> Self {
        Self {
            entries: RwLock::default(),
            what,
            max,
        }
    }

    /// Adds a handle. `is_same` finds one that it must not be beside.
    pub(crate) fn add(
        &self,
        (gate, policy): (&str, &str),
        handle: Arc<dyn Figures>,
        log: &Arc<EventLog>,
        is_same: impl Fn(&Reporter) -> bool,
    ) -> Result<(), InvalidMetric> {
        if policy.is_empty() || policy.len() > MAX_NAME {
            return Err(InvalidMetric::WatchedName {
                bytes: policy.len(),
            });
        }
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = entries.iter().find(|entry| is_same(&entry.reporter)) {
            let name = known.reporter.policy.clone();
            return Err(InvalidMetric::Duplicate { name });
        }
        if entries.len() >= self.max {
            let (what, max) = (self.what, self.max);
            return Err(InvalidMetric::Full { what, max });
        }
        let entry = Entry::new(gate, policy.to_owned(), handle, Arc::clone(log));
        Arc::make_mut(&mut entries).push(Arc::new(entry));
        Ok(())
    }

    /// Releases the handles for which `is_it`, and returns whether there were any.
    pub(crate) fn remove(&self, is_it: impl Fn(&Reporter) -> bool) -> bool {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let (gone, kept): (Vec<_>, Vec<_>) = entries
            .iter()
            .cloned()
            .partition(|entry| is_it(&entry.reporter));
        for entry in &gone {
            entry.reporter.is_watched.store(false, Relaxed);
        }
        let before = std::mem::replace(&mut *entries, Arc::new(kept));
        drop(entries);
        // Handles may run code of the caller when they are dropped: without the lock.
        drop(before);
        !gone.is_empty()
    }

    /// All handles, to be read outside of the lock.
    pub(crate) fn all(&self) -> Arc<Vec<Arc<Entry>>> {
        Arc::clone(&self.entries.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads all figures. A handle that panics is left out.
    pub(crate) fn read(&self) -> Vec<PolicySnapshot> {
        self.all().iter().filter_map(|entry| entry.read()).collect()
    }
}

impl Default for Watched {
    fn default() -> Self {
        /// Bound of policies of one gate: the longest tuple of policies has 8, and each may have a
        /// table of keys. `a_gate_watches_at_most_16_policies` fails when it differs.
        const MAX_POLICIES: usize = 16;
        Self::new("policies of a gate", MAX_POLICIES)
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.all();
        let names = all.iter().map(|entry| &entry.reporter.policy);
        f.debug_set().entries(names).finish()
    }
}
