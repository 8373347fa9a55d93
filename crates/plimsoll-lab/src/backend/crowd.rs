//! A shared processor: all requests run at once, and the more there are, the slower each of them
//! is. The Universal Scalability Law: `N` requests together have `N / (1 + sigma (N - 1) + kappa N
//! (N - 1))` times the throughput of one.

use std::{
    cell::RefCell,
    cmp::Reverse,
    collections::BinaryHeap,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use crate::world::{self, Nanos, Sleep};

thread_local! {
    /// The shared processors of this thread's server.
    static CROWDS: RefCell<Vec<Crowd>> = const { RefCell::new(Vec::new()) };
}

/// Removes all shared processors of this thread's server.
pub(super) fn clear() {
    CROWDS.set(Vec::new());
}

/// Adds a shared processor to this thread's server, and returns its number.
pub(super) fn add(crowd: Crowd) -> usize {
    CROWDS.with_borrow_mut(|crowds| {
        crowds.push(crowd);
        crowds.len() - 1
    })
}

/// The requests in service, by the amount of work per request at which each ends.
pub(super) struct Crowd {
    sigma: f64,
    kappa: f64,
    /// Work done per request since the start, in nanoseconds, as of `updated`.
    done: f64,
    updated: Nanos,
    present: usize,
    /// Goals as the bits of a positive `f64`, which sort alike; requests that were dropped are
    /// included.
    goals: BinaryHeap<Reverse<(u64, usize)>>,
    /// The goal and the waker of the request at each place.
    places: Vec<Option<(u64, Waker)>>,
    free: Vec<usize>,
}

impl Crowd {
    pub(super) fn new(sigma: f64, kappa: f64) -> Self {
        Self {
            sigma,
            kappa,
            done: 0.0,
            updated: 0,
            present: 0,
            goals: BinaryHeap::new(),
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    /// The speed of each request; 1 for one alone.
    fn speed(&self) -> f64 {
        let n = self.present as f64;
        1.0 / (1.0 + self.sigma * (n - 1.0) + self.kappa * n * (n - 1.0))
    }

    fn update(&mut self) {
        let now = world::now();
        if self.present > 0 {
            self.done += (now - self.updated) as f64 * self.speed();
        }
        self.updated = now;
    }

    /// The next request to end: goal, place and waker.
    fn first(&mut self) -> Option<(f64, usize, &Waker)> {
        loop {
            let Reverse((goal, place)) = *self.goals.peek()?;
            if matches!(&self.places[place], Some((own, _)) if *own == goal) {
                break;
            }
            self.goals.pop();
        }
        let Reverse((goal, place)) = *self.goals.peek()?;
        let (_, waker) = self.places[place].as_ref()?;
        Some((f64::from_bits(goal), place, waker))
    }

    /// When work up to this goal is done, if no request starts or ends until then.
    fn done_at(&self, goal: f64) -> Nanos {
        let left = (goal - self.done).max(0.0);
        world::now() + (left / self.speed()).ceil() as Nanos
    }

    fn enter(&mut self, goal: f64, waker: Waker) -> usize {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.places[place] = Some((goal.to_bits(), waker));
        self.goals.push(Reverse((goal.to_bits(), place)));
        self.present += 1;
        place
    }
}

/// One request in service.
pub(super) struct Stay {
    station: usize,
    work: f64,
    /// Its place and its goal.
    place: Option<(usize, f64)>,
    sleep: Option<Sleep>,
}

fn with<T>(station: usize, f: impl FnOnce(&mut Crowd) -> T) -> Option<T> {
    // After the end of the world there are no stations.
    CROWDS
        .try_with(|crowds| crowds.try_borrow_mut().ok()?.get_mut(station).map(f))
        .ok()
        .flatten()
}

impl Stay {
    pub(super) fn new(station: usize, work: f64) -> Self {
        Self {
            station,
            work,
            place: None,
            sleep: None,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (work, had) = (self.work, self.place);
        let answer = with(self.station, |crowd| {
            crowd.update();
            // The previous first wakes too early, and sleeps again.
            let (place, goal) = had.unwrap_or_else(|| {
                let goal = crowd.done + work;
                (crowd.enter(goal, cx.waker().clone()), goal)
            });
            if let Some((_, waker)) = &mut crowd.places[place] {
                waker.clone_from(cx.waker());
            }
            // Half a nanosecond of work is within rounding.
            let done = goal - crowd.done < 0.5;
            let first = crowd.first().is_some_and(|(_, first, _)| first == place);
            let wake_at = first.then(|| crowd.done_at(goal));
            (place, goal, done, wake_at)
        });
        let Some((place, goal, done, wake_at)) = answer else {
            return Poll::Pending;
        };
        self.place = Some((place, goal));
        if done {
            return Poll::Ready(());
        }
        // Performance: only the first of all needs a timer; when it ends it wakes the next.
        self.sleep = wake_at.map(|at| world::sleep_until(at.max(world::now() + 1)));
        if let Some(sleep) = &mut self.sleep {
            _ = Pin::new(sleep).poll(cx);
        }
        Poll::Pending
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let Some((place, _)) = self.place else {
            return;
        };
        let next = with(self.station, |crowd| {
            crowd.update();
            crowd.present -= 1;
            let own = crowd.places[place].take();
            crowd.free.push(place);
            (crowd.first().map(|(_, _, waker)| waker.clone()), own)
        });
        if let Some((Some(waker), _)) = next {
            waker.wake();
        }
    }
}
