//! The latest transition, for readers that wait for the next one.

use tokio::sync::watch;

use crate::Transition;

/// The latest transition, and how many there were.
#[derive(Debug, Default)]
struct Latest {
    count: u64,
    transition: Option<Transition>,
}

/// The sending side.
#[derive(Debug)]
pub(crate) struct Watch(watch::Sender<Latest>);

impl Watch {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Latest::default()))
    }

    /// Whether there are readers.
    pub(crate) fn is_read(&self) -> bool {
        self.0.receiver_count() > 0
    }

    pub(crate) fn send(&self, transition: &Transition) {
        if self.is_read() {
            self.0.send_modify(|latest| {
                latest.count += 1;
                latest.transition = Some(transition.clone());
            });
        }
    }

    pub(crate) fn subscribe(&self) -> Transitions {
        let latest = self.0.subscribe();
        let seen = latest.borrow().count;
        Transitions {
            latest,
            seen,
            missed: 0,
        }
    }
}

/// The state transitions of a breaker, or of all keys of a breaker
/// [per key](crate::CircuitBreaker::per_key), one after the other.
///
/// Made by [`CircuitBreakerHandle::transitions`](crate::CircuitBreakerHandle::transitions). It holds
/// one transition: a reader that is slower than the transitions gets the latest, and the number that
/// it [missed](Self::missed).
#[derive(Debug)]
pub struct Transitions {
    latest: watch::Receiver<Latest>,
    seen: u64,
    missed: u64,
}

impl Transitions {
    /// Waits for a transition after the last one returned. `None` when the breaker and its handles
    /// are dropped.
    ///
    /// Cancel safe: a transition is returned by the next call if the future is dropped.
    pub async fn next(&mut self) -> Option<Transition> {
        loop {
            self.latest.changed().await.ok()?;
            let latest = self.latest.borrow();
            if let Some(transition) = latest.transition.clone() {
                self.missed = latest.count.saturating_sub(self.seen + 1);
                self.seen = latest.count;
                return Some(transition);
            }
        }
    }

    /// Returns how many transitions were replaced before they were read, just before the one that
    /// [`next`](Self::next) returned last.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}
