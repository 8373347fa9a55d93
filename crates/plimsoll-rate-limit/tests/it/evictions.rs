//! More keys than cells: an evicted key gets no more than its quota.

use std::time::Duration;

use plimsoll_core::{
    Class, Missing, Outcome, Policy,
    policy::{Spent, Verdict},
};
use plimsoll_rate_limit::{KeyedRateLimit, KeyedRateLimitPermit, RateLimit};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};
use tokio::time::Instant;

use crate::exact::{Counted, Exact, Terms};

const SECOND: u64 = 1_000_000_000;

/// A key and a cost.
type Ask = (u16, u32);
type Limit<const N: usize> = KeyedRateLimit<fn(&Ask) -> Option<u16>, N, fn(&Ask) -> u32>;

fn limit_of<const N: usize>(terms: [Terms; N], capacity: usize) -> Limit<N> {
    let limit = RateLimit::all(terms.map(Terms::quota))
        .expect("valid")
        .charge(Outcome::cost)
        .cost((|(_, cost)| *cost) as fn(&Ask) -> u32);
    let key: fn(&Ask) -> Option<u16> = |(key, _)| Some(*key);
    limit
        .per_key(key, Missing::Share, capacity)
        .expect("a capacity")
}

#[derive(Debug, Clone)]
enum Step {
    /// Nanoseconds pass.
    Pass(u64),
    /// A request of this key with this cost.
    Ask(u16, u32),
    /// Requests of one key until it is rejected.
    Drain(u16),
    /// One request each of this many keys, from this one on.
    Flood(u16, u16),
    /// An admitted request is revoked.
    Revoke(Index),
    /// An admitted request ends and is charged.
    Charge(Index, u64),
}

/// Few keys with many requests, and floods of others.
fn steps(revoke: u32, charge: u32) -> impl Strategy<Value = Vec<Step>> {
    let key = || prop_oneof![2 => 0_u16..6, 1 => 0_u16..200];
    let step = prop_oneof![
        3 => (0..SECOND / 5).prop_map(Step::Pass),
        1 => (0..3 * SECOND).prop_map(Step::Pass),
        6 => (key(), 0_u32..5).prop_map(|(key, cost)| Step::Ask(key, cost)),
        3 => key().prop_map(Step::Drain),
        2 => (200_u16..2000, 1_u16..40).prop_map(|(from, keys)| Step::Flood(from, keys)),
        revoke => any::<Index>().prop_map(Step::Revoke),
        charge => (any::<Index>(), 0_u64..12).prop_map(|(which, cost)| Step::Charge(which, cost)),
    ];
    vec(step, 1..120)
}

/// The admissions of each key that were not revoked, and the running permits.
struct Ledger<const N: usize> {
    limit: Limit<N>,
    terms: [Terms; N],
    start: Instant,
    at: u64,
    /// Key, time, cost.
    stands: Vec<(u16, u64, u64)>,
    out: Vec<(u16, u64, u64, KeyedRateLimitPermit<N>)>,
}

impl<const N: usize> Ledger<N> {
    fn new(terms: [Terms; N], capacity: usize) -> Self {
        let (limit, start) = (limit_of(terms, capacity), Instant::now());
        assert!(limit.handle().available(0_u16, start).is_none());
        let mut ledger = Self {
            limit,
            terms,
            start,
            at: 0,
            stands: Vec::new(),
            out: Vec::new(),
        };
        // Starts the epoch.
        ledger.ask(u16::MAX, 0).expect("a cost of 0");
        ledger
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_nanos(self.at)
    }

    /// Whether a request is admitted. Fails when the key gets more than its quota.
    fn ask(&mut self, key: u16, cost: u32) -> Result<bool, TestCaseError> {
        let Verdict::Admit(permit) = self.limit.admit(&mut (key, cost), self.now()) else {
            return Ok(false);
        };
        let units = u64::from(cost);
        for terms in self.terms {
            let mut own = Exact::new(terms);
            for (_, at, units) in self.stands.iter().filter(|(whose, ..)| *whose == key) {
                own.take(*at, *units);
            }
            prop_assert!(
                own.fits(self.at, units),
                "{key} gets {cost} over its quota at {} ns: {own:?}",
                self.at
            );
        }
        self.stands.push((key, self.at, units));
        self.out.push((key, self.at, units, permit));
        Ok(true)
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Pass(nanos) => self.at += nanos,
            Step::Ask(key, cost) => {
                self.ask(*key, *cost)?;
            }
            Step::Drain(key) => while self.ask(*key, 1)? {},
            Step::Flood(from, keys) => {
                for key in *from..from + keys {
                    self.ask(key, 1)?;
                }
            }
            Step::Revoke(which) if !self.out.is_empty() => {
                let (key, at, units, permit) = self.out.remove(which.index(self.out.len()));
                let admitted = self.start + Duration::from_nanos(at);
                self.limit.revoke(permit, admitted, self.now());
                let of_it = |stands: &(u16, u64, u64)| *stands == (key, at, units);
                let stood = self.stands.iter().position(of_it).expect("an admission");
                self.stands.remove(stood);
            }
            Step::Charge(which, cost) if !self.out.is_empty() => {
                let (key, .., permit) = self.out.remove(which.index(self.out.len()));
                let outcome = Outcome::new(Class::Success, Duration::ZERO, self.now());
                let spent = Spent {
                    cost: *cost,
                    ..Spent::default()
                };
                self.limit.finish(permit, &outcome.spending(spent));
                self.stands.push((key, self.at, *cost));
            }
            Step::Revoke(_) | Step::Charge(..) => {}
        }
        Ok(())
    }
}

fn capacity() -> impl Strategy<Value = usize> {
    prop_oneof![1_usize..=8, 1_usize..=64]
}

/// `count` per second.
fn terms(count: u32, counted: Counted) -> Terms {
    Terms {
        count,
        period: SECOND,
        counted,
    }
}

fn run<const N: usize>(
    terms: [Terms; N],
    capacity: usize,
    steps: &[Step],
) -> Result<(), TestCaseError> {
    let mut ledger = Ledger::new(terms, capacity);
    steps.iter().try_for_each(|step| ledger.step(step))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A key's admissions never exceed its own bucket, however often it is evicted.
    #[test]
    fn an_eviction_never_refills_a_bucket(
        capacity in capacity(),
        count in 1_u32..20,
        burst in 1_u32..10,
        steps in steps(0, 2),
    ) {
        run([terms(count, Counted::Bucket { burst })], capacity, &steps)?;
    }

    /// The same with requests that are revoked after an eviction.
    #[test]
    fn an_evicted_key_is_not_refunded_tokens_of_others(
        capacity in capacity(),
        count in 1_u32..20,
        burst in 1_u32..10,
        steps in steps(3, 0),
    ) {
        run([terms(count, Counted::Bucket { burst })], capacity, &steps)?;
    }

    #[test]
    fn an_eviction_never_resets_a_window(
        capacity in capacity(),
        count in 1_u32..10,
        counted in select(vec![Counted::Fixed, Counted::Sliding]),
        steps in steps(0, 0),
    ) {
        run([terms(count, counted)], capacity, &steps)?;
    }

    /// The quota with the longest refill selects the evicted key. What was taken of the other quota
    /// is kept, too.
    #[test]
    fn an_eviction_refills_none_of_several_quotas(
        capacity in capacity(),
        counts in [1_u32..10, 1_u32..10],
        counted in select(vec![Counted::Fixed, Counted::Sliding]),
        steps in steps(0, 0),
    ) {
        let bucket = terms(counts[0], Counted::Bucket { burst: 3 });
        let window = Terms { period: 3 * SECOND, ..terms(counts[1], counted) };
        run([bucket, window], capacity, &steps)?;
    }
}
