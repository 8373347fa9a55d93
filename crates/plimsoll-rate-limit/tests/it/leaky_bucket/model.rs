//! The bucket against a plain list of waiters and a plain schedule.

use std::{collections::VecDeque, time::Duration};

use plimsoll_rate_limit::LeakyBucket;
use proptest::{collection::vec, prelude::*, sample::Index};
use tokio::time::advance;

use super::{Call, call_with, of};

const COUNT: u64 = 7;
const INTERVAL: u64 = 1000;
const MAX_WAIT: u64 = 6500;
const MAX_WAITING: usize = 5;

#[derive(Debug, Clone)]
enum Step {
    Forward(u64),
    Arrive(u32),
    Cancel(Index),
    RevokeLatest,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..1500).prop_map(Step::Forward),
        1 => (0_u64..9000).prop_map(Step::Forward),
        8 => prop_oneof![3 => Just(1), 2 => 0_u32..4, 1 => Just(8)].prop_map(Step::Arrive),
        2 => any::<Index>().prop_map(Step::Cancel),
        1 => Just(Step::RevokeLatest),
    ]
}

/// The index of the call, and the intervals that it takes.
type Request = (usize, u64);

#[derive(Default, Clone)]
struct Model {
    now: u64,
    next: u64,
    queue: VecDeque<Request>,
    left: Vec<usize>,
    /// The latest departure: the call, and the schedule before and after it.
    latest: Option<(usize, u64, u64)>,
}

impl Model {
    fn depart(&mut self, (id, units): Request, slot: u64) {
        self.next = slot + units * INTERVAL;
        self.latest = Some((id, slot, self.next));
        self.left.push(id);
    }

    fn forward(&mut self, nanos: u64) {
        self.now += nanos;
        while self.next <= self.now
            && let Some(first) = self.queue.pop_front()
        {
            self.depart(first, self.next);
        }
    }

    /// Whether the request is admitted or queued.
    fn arrive(&mut self, id: usize, units: u64) -> bool {
        if units == 0 {
            self.left.push(id);
            return true;
        }
        if units > COUNT {
            return false;
        }
        if self.queue.is_empty() && self.next <= self.now {
            self.depart((id, units), self.now);
            return true;
        }
        let ahead: u64 = self.queue.iter().map(|(_, units)| units).sum();
        let wait = self.next + ahead * INTERVAL - self.now;
        if self.queue.len() == MAX_WAITING || wait > MAX_WAIT {
            return false;
        }
        self.queue.push_back((id, units));
        true
    }

    /// Whether it would be admitted or queued after this time, with no other arrival or
    /// cancellation.
    fn takes_after(&self, nanos: u64, units: u64) -> bool {
        let mut later = self.clone();
        later.forward(nanos);
        later.arrive(usize::MAX, units)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn decides_like_the_plain_schedule(steps in vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let bucket = LeakyBucket::new(7, Duration::from_nanos(COUNT * INTERVAL))
                .and_then(|bucket| bucket.max_waiting(MAX_WAITING))
                .and_then(|bucket| bucket.max_wait(Duration::from_nanos(MAX_WAIT)));
            let bucket = of(bucket.expect("valid"));
            let mut model = Model::default();
            let mut calls: Vec<Option<Call<'_>>> = Vec::new();
            assert!(bucket.turn_in(tokio::time::Instant::now()).is_zero()); // the epoch
            for step in steps {
                match step {
                    Step::Forward(nanos) => {
                        advance(Duration::from_nanos(nanos)).await;
                        model.forward(nanos);
                    }
                    Step::Arrive(units) => {
                        let mut call = call_with(&bucket, (units, None));
                        let units = u64::from(units);
                        if model.arrive(calls.len(), units) {
                            assert!(call.rejection().is_none());
                            calls.push(Some(call));
                        } else {
                            let rejection = call.rejection().expect("no room");
                            assert_eq!(rejection.retry_after().is_some(), units <= COUNT);
                            if let Some(wait) = rejection.retry_after() {
                                let wait = wait.as_nanos() as u64;
                                assert!(model.takes_after(wait, units), "after the wait");
                                assert!(!model.takes_after(wait - 1, units), "not before");
                            }
                        }
                    }
                    Step::Cancel(which) if !model.queue.is_empty() => {
                        let which = which.index(model.queue.len());
                        let (id, _) = model.queue.remove(which).expect("in range");
                        calls[id] = None;
                    }
                    Step::RevokeLatest => if let Some((id, slot, after)) = model.latest.take() {
                        assert_eq!(after, model.next);
                        model.next = if model.queue.is_empty() { slot } else { model.now };
                        calls[id] = None;
                        model.forward(0);
                    },
                    Step::Cancel(_) => {}
                }
                for (id, call) in calls.iter_mut().enumerate() {
                    let Some(call) = call else { continue };
                    assert_eq!(call.has_departed(), model.left.contains(&id), "{id}");
                }
                assert_eq!(bucket.handle().waiting(), model.queue.len());
            }
            // Takes the departures, so that they are not revoked on drop.
            for mut call in calls.into_iter().flatten() {
                if call.has_departed() {
                    call.go();
                }
            }
            assert_eq!(bucket.handle().waiting(), 0);
        });
    }
}
