//! Workers that run one request at a time, behind an unbounded first-in first-out queue.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{
    scenario::{Cold, Step},
    schedule::Schedule,
    world::{self, Nanos, Sleep},
};

/// A callback with the wait of a request and its run time.
type OnTurn = Box<dyn Fn(Duration, Duration)>;

thread_local! {
    /// The stations with workers of this thread's server.
    static WORKERS: RefCell<Vec<Workers>> = const { RefCell::new(Vec::new()) };
    static WAITED: RefCell<Option<OnTurn>> = const { RefCell::new(None) };
}

/// Removes all stations with workers of this thread's server, and the callback.
pub(super) fn clear() {
    WORKERS.set(Vec::new());
    WAITED.set(None);
}

/// Adds a station to this thread's server, and returns its number.
pub(super) fn add(workers: Workers) -> usize {
    WORKERS.with_borrow_mut(|stations| {
        stations.push(workers);
        stations.len() - 1
    })
}

/// Sets a callback that gets the wait and the run time of each request that gets a worker.
pub(super) fn on_turn(report: impl Fn(Duration, Duration) + 'static) {
    WAITED.set(Some(Box::new(report)));
}

/// A number of workers, their speed over time, and the queue.
pub(super) struct Workers {
    /// Their number from given nanoseconds on.
    counts: VecDeque<(u64, usize)>,
    count: usize,
    busy: usize,
    /// The share of a request's work that is done here.
    share: f64,
    /// Slowdown per waiter, as a share: spinning lock waiters, shared caches.
    spin: f64,
    schedule: Schedule,
    cold: Option<Cold>,
    /// The times of stops, in nanoseconds.
    stops: VecDeque<u64>,
    /// Requests completed since the last stop, for callers that waited; infinite before the first one.
    completed: f64,
    queue: VecDeque<usize>,
    waiting: usize,
    turns: Vec<State>,
    free: Vec<usize>,
}

enum State {
    /// Not in use.
    Free,
    /// In the queue.
    Queued(Waker),
    /// Has a worker, and was not polled yet.
    Called,
    /// Dropped while queued: skipped at the head of the queue.
    Left,
}

impl Workers {
    pub(super) fn new(count: usize, share: f64, spin: f64, steps: &[Step]) -> Self {
        let counts = steps.iter().filter_map(|step| {
            let count = step.workers? * count as f64;
            Some((
                (step.at * world::SECOND) as u64,
                count.round().max(1.0) as usize,
            ))
        });
        let speeds = steps.iter().filter_map(|step| Some((step.at, step.speed?)));
        Self {
            counts: counts.collect(),
            count,
            busy: 0,
            share,
            spin,
            schedule: Schedule::new(speeds),
            cold: None,
            stops: VecDeque::new(),
            completed: f64::INFINITY,
            queue: VecDeque::new(),
            waiting: 0,
            turns: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Sets what each stop leaves behind.
    pub(super) fn colder(mut self, cold: Option<Cold>, steps: &[Step]) -> Self {
        let stops = steps.iter().filter(|step| step.speed == Some(0.0));
        self.stops = stops.map(|step| (step.at * world::SECOND) as u64).collect();
        self.cold = cold;
        self
    }

    /// The speed with the caches as they are, as a share of the full one.
    fn warmth(&mut self) -> f64 {
        let Some(cold) = self.cold else {
            return 1.0;
        };
        while self.stops.front().is_some_and(|at| *at <= world::now()) {
            self.stops.pop_front();
            self.completed = 0.0;
        }
        let filled = (self.completed / cold.requests).min(1.0);
        cold.speed + (1.0 - cold.speed) * filled
    }

    fn take_worker(&mut self) -> bool {
        while let Some((at, count)) = self.counts.front().copied()
            && at <= world::now()
        {
            self.count = count;
            self.counts.pop_front();
        }
        let free = self.busy < self.count;
        self.busy += usize::from(free);
        free
    }

    /// When work that begins now is done.
    fn done_at(&mut self, work: f64) -> u64 {
        let slower = (1.0 + self.spin * self.waiting as f64) / self.warmth();
        self.schedule
            .done_at(world::now(), work * self.share * slower)
    }

    fn enqueue(&mut self, waker: Waker) -> usize {
        let turn = self.free.pop().unwrap_or_else(|| {
            self.turns.push(State::Free);
            self.turns.len() - 1
        });
        self.turns[turn] = State::Queued(waker);
        self.queue.push_back(turn);
        self.waiting += 1;
        turn
    }

    /// Assigns free workers to the head of the queue.
    fn call_next(&mut self, called: &mut Vec<Waker>) {
        while let Some(turn) = self.queue.front().copied() {
            if matches!(self.turns[turn], State::Left) {
                self.turns[turn] = State::Free;
                self.free.push(turn);
            } else if self.take_worker() {
                if let State::Queued(waker) =
                    std::mem::replace(&mut self.turns[turn], State::Called)
                {
                    called.push(waker);
                }
                self.waiting -= 1;
            } else {
                return;
            }
            self.queue.pop_front();
        }
    }
}

/// One request at the station.
pub(super) struct Turn {
    station: usize,
    work: f64,
    since: Nanos,
    stage: Stage,
    /// The caller has left: the result is dropped, and fills no cache.
    abandoned: bool,
}

enum Stage {
    New,
    Queued(usize),
    Served(Sleep),
}

fn with<T>(station: usize, f: impl FnOnce(&mut Workers) -> T) -> Option<T> {
    WORKERS.with_borrow_mut(|stations| stations.get_mut(station).map(f))
}

impl Turn {
    pub(super) fn new(station: usize, work: f64) -> Self {
        Self {
            station,
            work,
            since: world::now(),
            stage: Stage::New,
            abandoned: false,
        }
    }

    pub(super) fn abandon(&mut self) {
        self.abandoned = true;
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (work, since) = (self.work, self.since);
        let serve = |workers: &mut Workers| {
            let done_at = workers.done_at(work);
            let (waited, runs) = (world::now() - since, done_at - world::now());
            WAITED.with_borrow(|report| {
                let report = report.iter();
                report.for_each(|report| {
                    report(Duration::from_nanos(waited), Duration::from_nanos(runs));
                });
            });
            Stage::Served(world::sleep_until(done_at))
        };
        loop {
            let next = match &mut self.stage {
                Stage::New => with(self.station, |workers| {
                    if workers.waiting == 0 && workers.take_worker() {
                        serve(workers)
                    } else {
                        Stage::Queued(workers.enqueue(cx.waker().clone()))
                    }
                }),
                Stage::Queued(turn) => with(self.station, |workers| {
                    if let State::Queued(waker) = &mut workers.turns[*turn] {
                        waker.clone_from(cx.waker());
                        return None;
                    }
                    workers.turns[*turn] = State::Free;
                    workers.free.push(*turn);
                    Some(serve(workers))
                })
                .flatten(),
                Stage::Served(sleep) => {
                    let done = Pin::new(sleep).poll(cx);
                    if done.is_ready() && !self.abandoned {
                        with(self.station, |workers| workers.completed += 1.0);
                    }
                    return done;
                }
            };
            let Some(next) = next else {
                return Poll::Pending;
            };
            let queued = matches!(next, Stage::Queued(_));
            self.stage = next;
            if queued {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Turn {
    /// Releases the worker, whether the work is complete or not.
    fn drop(&mut self) {
        let mut called = Vec::new();
        let stage = &self.stage;
        // After the end of the world there are no stations.
        _ = WORKERS.try_with(|stations| {
            let Ok(mut stations) = stations.try_borrow_mut() else {
                return;
            };
            let Some(workers) = stations.get_mut(self.station) else {
                return;
            };
            match stage {
                Stage::New => return,
                Stage::Queued(turn) => {
                    let left = std::mem::replace(&mut workers.turns[*turn], State::Left);
                    if matches!(left, State::Queued(_)) {
                        workers.waiting -= 1;
                        return;
                    }
                    workers.turns[*turn] = State::Free;
                    workers.free.push(*turn);
                }
                Stage::Served(_) => {}
            }
            workers.busy -= 1;
            workers.call_next(&mut called);
        });
        called.into_iter().for_each(Waker::wake);
    }
}
