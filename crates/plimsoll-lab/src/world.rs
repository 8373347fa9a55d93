//! The world of one simulation: its time and its pending events.
//!
//! One per thread. A task that [sleeps](sleep_until) registers its waker in the world; when the
//! runtime is idle and parks, the [clock](crate::clock) advances the world's time to the next
//! event, to the nanosecond.

use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::BinaryHeap,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// Nanoseconds since the start of the world.
pub(crate) type Nanos = u64;

/// Nanoseconds of a second.
pub(crate) const SECOND: f64 = 1e9;

#[derive(Default)]
struct World {
    alive: Cell<bool>,
    now: Cell<Nanos>,
    agenda: RefCell<Agenda>,
}

/// Wakers by time. Entries with equal times are in the order of registration.
#[derive(Default)]
struct Agenda {
    times: BinaryHeap<Reverse<(Nanos, u64, usize)>>,
    made: u64,
    sleepers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

thread_local! {
    static WORLD: World = World::default();
}

/// Runs `main` in a new world, on its own tokio runtime, until it ends.
pub(crate) fn run<T>(main: impl Future<Output = T>) -> T {
    WORLD.with(|world| {
        assert!(!world.alive.replace(true), "one world to a thread");
        world.now.set(0);
        world.agenda.replace(Agenda::default());
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs an epoll descriptor");
    let ended = runtime.block_on(main);
    drop(runtime); // and the remaining tasks
    WORLD.with(|world| world.alive.set(false));
    ended
}

/// The current time on a thread with a world.
pub(crate) fn now_if_any() -> Option<Nanos> {
    let now = |world: &World| world.alive.get().then(|| world.now.get());
    WORLD.try_with(now).ok().flatten()
}

/// The current time.
pub(crate) fn now() -> Nanos {
    WORLD.with(|world| world.now.get())
}

/// Advances the time to the next event, or by `at_most`, and wakes the tasks that are due.
pub(crate) fn advance(at_most: Option<Nanos>) {
    WORLD.with(|world| {
        let now = world.now.get();
        let limit = at_most.map(|nanos| now.saturating_add(nanos));
        let mut due = Vec::new();
        {
            let mut agenda = world.agenda.borrow_mut();
            let next = agenda.times.peek().map(|Reverse((time, ..))| *time);
            let Some(to) = next.into_iter().chain(limit).min() else {
                panic!("the runtime waits, but no event is pending");
            };
            world.now.set(to.max(now));
            while let Some(Reverse((time, _, sleeper))) = agenda.times.peek().copied()
                && time <= to
            {
                agenda.times.pop();
                due.extend(agenda.sleepers[sleeper].take());
                agenda.free.push(sleeper);
            }
        }
        due.into_iter().for_each(Waker::wake);
    });
}

/// Ends at the time `at`.
pub(crate) fn sleep_until(at: Nanos) -> Sleep {
    Sleep { at, place: None }
}

/// A sleep. See [`sleep_until`].
pub(crate) struct Sleep {
    at: Nanos,
    place: Option<usize>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        WORLD.with(|world| {
            if world.now.get() >= self.at {
                return Poll::Ready(());
            }
            let mut agenda = world.agenda.borrow_mut();
            let replaced = if let Some(place) = self.place {
                agenda.sleepers[place].replace(cx.waker().clone())
            } else {
                self.place = Some(agenda.enter(self.at, cx.waker().clone()));
                None
            };
            drop(agenda);
            drop(replaced);
            Poll::Pending
        })
    }
}

impl Drop for Sleep {
    /// The entry stays, without a waker.
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let leave = |world: &World| {
                // From then on another sleep may use the place.
                let early = world.now.get() < self.at;
                early.then(|| world.agenda.borrow_mut().sleepers[place].take())
            };
            // Dropped outside of the borrow: the last waker of a task drops the task, which may
            // have other sleeps.
            drop(WORLD.try_with(leave));
        }
    }
}

impl Agenda {
    fn enter(&mut self, at: Nanos, waker: Waker) -> usize {
        let place = self.free.pop().unwrap_or_else(|| {
            self.sleepers.push(None);
            self.sleepers.len() - 1
        });
        self.sleepers[place] = Some(waker);
        self.made += 1;
        self.times.push(Reverse((at, self.made, place)));
        place
    }
}
