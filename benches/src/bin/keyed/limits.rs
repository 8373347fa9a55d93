//! The rate limiters of Plimsoll and its peers, each as drivers that make one decision after
//! another.

use std::{fmt::Debug, hash::Hash, hint::black_box, num::NonZeroU32, sync::Arc, time::Duration};

use benches::driver::{Driver, End, Tally};
use governor::{
    RateLimiter,
    clock::{self, DefaultClock, FakeRelativeClock},
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed, keyed::DashMapStateStore},
};
use plimsoll_core::{Class, Missing, Outcome, Policy, policy::Verdict};
use plimsoll_rate_limit::{Quota, RateLimit};
use tokio::time::Instant;

/// A quota: one request per `every`, with a burst of `burst`.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    pub every: Duration,
    pub burst: u32,
}

impl Terms {
    /// More than any benchmark uses.
    pub const AMPLE: Self = Self {
        every: Duration::from_nanos(1),
        burst: 1_000_000_000,
    };
    /// Spent by the first request.
    pub const SPENT: Self = Self {
        every: Duration::from_secs(3600),
        burst: 1,
    };

    pub fn plimsoll(self) -> Quota {
        Quota::new(1, self.every).burst(self.burst)
    }

    pub fn governor(self) -> governor::Quota {
        let burst = NonZeroU32::new(self.burst).expect("a burst is not zero");
        governor::Quota::with_period(self.every)
            .expect("a period is not zero")
            .allow_burst(burst)
    }
}

/// Whether a decision includes reading the limiter's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    Read,
    Still,
}

/// Iterates over the keys, again and again.
#[derive(Debug)]
pub struct Walk<T: 'static> {
    keys: &'static [T],
    next: usize,
}

impl<T> Walk<T> {
    /// One of `threads` walks that start at equal distances.
    pub fn new(keys: &'static [T], thread: usize, threads: usize) -> Self {
        Self {
            keys,
            next: keys.len() * thread / threads,
        }
    }

    #[inline]
    fn step(&mut self) -> &'static T {
        let key = &self.keys[self.next];
        self.next += 1;
        if self.next == self.keys.len() {
            self.next = 0;
        }
        black_box(key)
    }
}

/// The key of a limiter without keys.
const ALL: &[()] = &[()];

/// A type of keys.
pub trait KeyType: Hash + Eq + Clone + Debug + Send + Sync + 'static {}

impl<T: Hash + Eq + Clone + Debug + Send + Sync + 'static> KeyType for T {}

/// A driver of these decisions.
fn driver(mut admits: impl FnMut() -> bool + Send + 'static) -> Driver {
    Box::new(move |calls| {
        let mut tally = Tally::default();
        for _ in 0..calls {
            tally.count(if admits() {
                End::Accepted
            } else {
                End::Refused
            });
        }
        tally
    })
}

/// Plimsoll's decision on one request, and its end if it was admitted.
#[inline]
pub fn admits<R, P: Policy<R>>(policy: &P, mut request: R, now: Instant, end: &Outcome) -> bool {
    match policy.admit(&mut request, now) {
        Verdict::Admit(permit) => {
            policy.finish(permit, end);
            true
        }
        Verdict::Reject(rejection) => {
            black_box(rejection);
            false
        }
        Verdict::Wait(_) => unreachable!("a rate limit has no queue"),
    }
}

/// The outcome of admitted requests.
pub fn outcome() -> Outcome {
    Outcome::new(Class::Success, Duration::ZERO, Instant::now())
}

fn plimsoll<T: KeyType, P: Policy<&'static T> + 'static>(
    policy: P,
    clock: Clock,
    keys: &'static [T],
    threads: usize,
) -> Vec<Driver> {
    let policy = Arc::new(policy);
    let driver = |thread| {
        let (policy, mut walk, end) = (
            Arc::clone(&policy),
            Walk::new(keys, thread, threads),
            outcome(),
        );
        let still = Instant::now();
        match clock {
            Clock::Read => driver(move || admits(&*policy, walk.step(), Instant::now(), &end)),
            Clock::Still => driver(move || admits(&*policy, walk.step(), black_box(still), &end)),
        }
    };
    (0..threads).map(driver).collect()
}

/// Plimsoll, one limit for all.
pub fn plimsoll_global(terms: Terms, clock: Clock, threads: usize) -> Vec<Driver> {
    let limit = RateLimit::new(terms.plimsoll()).expect("a valid quota");
    plimsoll(limit, clock, ALL, threads)
}

/// Plimsoll, one limit per key, in a table with the capacity of all keys.
pub fn plimsoll_keyed<T: KeyType>(
    terms: Terms,
    clock: Clock,
    keys: &'static [T],
    threads: usize,
) -> Vec<Driver> {
    let key = |key: &&'static T| Some(*key);
    let limit = RateLimit::new(terms.plimsoll())
        .expect("a valid quota")
        .per_key(key, Missing::Share, keys.len())
        .expect("a valid capacity");
    plimsoll(limit, clock, keys, threads)
}

type Nothing<C> = NoOpMiddleware<<C as clock::Clock>::Instant>;
type Direct<C> = RateLimiter<NotKeyed, InMemoryState, C, Nothing<C>>;
/// `governor`'s keyed limiter.
pub type PerKey<T, C = DefaultClock> = RateLimiter<T, DashMapStateStore<T>, C, Nothing<C>>;

/// Drivers of one shared limiter.
fn shared<L: Send + Sync + 'static, T: KeyType>(
    limiter: L,
    keys: &'static [T],
    threads: usize,
    admits: impl Fn(&L, &'static T) -> bool + Copy + Send + 'static,
) -> Vec<Driver> {
    let limiter = Arc::new(limiter);
    (0..threads)
        .map(|thread| {
            let (limiter, mut walk) = (Arc::clone(&limiter), Walk::new(keys, thread, threads));
            driver(move || admits(&limiter, walk.step()))
        })
        .collect()
}

/// `governor`, one limit for all.
pub fn governor_global(terms: Terms, clock: Clock, threads: usize) -> Vec<Driver> {
    let quota = terms.governor();
    match clock {
        Clock::Read => shared(
            Direct::<DefaultClock>::direct_with_clock(quota, DefaultClock::default()),
            ALL,
            threads,
            |limiter, ()| seen(limiter.check()),
        ),
        Clock::Still => shared(
            Direct::<FakeRelativeClock>::direct_with_clock(quota, still()),
            ALL,
            threads,
            |limiter, ()| seen(limiter.check()),
        ),
    }
}

/// `governor`, one limit per key.
pub fn governor_keyed<T: KeyType>(
    terms: Terms,
    clock: Clock,
    keys: &'static [T],
    threads: usize,
) -> Vec<Driver> {
    match clock {
        Clock::Read => shared(
            governor_per_key(terms, DefaultClock::default()),
            keys,
            threads,
            |limiter, key| seen(limiter.check_key(key)),
        ),
        Clock::Still => shared(
            governor_per_key(terms, still()),
            keys,
            threads,
            |limiter, key| seen(limiter.check_key(key)),
        ),
    }
}

/// `governor`'s default keyed limiter, with this clock.
pub fn governor_per_key<T: KeyType, C: clock::Clock>(terms: Terms, clock: C) -> PerKey<T, C> {
    RateLimiter::new(terms.governor(), DashMapStateStore::default(), clock)
}

/// Hides the answer from the optimiser, and returns whether it admits.
#[inline]
pub fn seen<T, E>(answer: Result<T, E>) -> bool {
    black_box(answer).is_ok()
}

/// A clock that does not advance.
fn still() -> FakeRelativeClock {
    FakeRelativeClock::default()
}

/// `ratelimit`. It reads its own clock at each decision.
pub fn ratelimit(terms: Terms, threads: usize) -> Vec<Driver> {
    let limiter = ratelimit::Ratelimiter::builder(1)
        .period(terms.every)
        .max_tokens(terms.burst.into())
        .initial_available(terms.burst.into())
        .build();
    shared(
        limiter.expect("a valid quota"),
        ALL,
        threads,
        |limiter, ()| seen(limiter.try_wait()),
    )
}

/// `leaky-bucket`, without waiting. It refills at whole milliseconds.
pub fn leaky_bucket(terms: Terms, threads: usize) -> Vec<Driver> {
    let interval = terms.every.max(Duration::from_millis(1));
    let refill = interval.as_nanos() / terms.every.as_nanos();
    let limiter = leaky_bucket::RateLimiter::builder()
        .max(terms.burst as usize)
        .initial(terms.burst as usize)
        .interval(interval)
        .refill(refill as usize)
        .build();
    shared(limiter, ALL, threads, |limiter, ()| {
        black_box(limiter.try_acquire(1))
    })
}

/// The control without a limit: the cost of the loop and of the clock read.
pub fn nothing(threads: usize) -> Vec<Driver> {
    shared((), ALL, threads, |(), ()| {
        black_box(Instant::now());
        true
    })
}
