use proptest::prelude::*;

use super::{stamp::EPOCH_BITS, *};

/// The reference model: the same counts, kept for each permit.
#[derive(Debug, Default)]
struct Model {
    permits: Vec<Permit>,
    epoch: usize,
    last: Option<u64>,
    /// Closed epochs, and when they were closed.
    closed: Vec<(usize, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Permit {
    Service,
    Caller { epoch: usize },
    Lost,
    Ended,
}

impl Model {
    fn waits(&mut self, at: usize, on: WaitsOn) {
        let permit = &mut self.permits[at];
        if matches!(permit, Permit::Service | Permit::Caller { .. }) {
            *permit = match on {
                WaitsOn::Caller => Permit::Caller { epoch: self.epoch },
                WaitsOn::Service => Permit::Service,
            };
        }
    }

    /// Returns whether the permit still held its slot.
    fn end(&mut self, at: usize) -> bool {
        std::mem::replace(&mut self.permits[at], Permit::Ended) != Permit::Lost
    }

    fn left_in(&self, epoch: usize) -> usize {
        let of = Permit::Caller { epoch };
        self.permits.iter().filter(|permit| **permit == of).count()
    }

    fn reclaim(&mut self, now: u64, longest: u64) -> usize {
        let mut taken = 0;
        let is_over = |(_, at): &(usize, u64)| now - *at >= longest;
        for &(epoch, _) in self.closed.iter().filter(|closed| is_over(closed)) {
            for permit in &mut self.permits {
                if *permit == (Permit::Caller { epoch }) {
                    *permit = Permit::Lost;
                    taken += 1;
                }
            }
        }
        self.closed.retain(|closed| !is_over(closed));
        if self.last.is_none_or(|last| now >= last + longest / 4) {
            if self.left_in(self.epoch) > 0 {
                self.closed.push((self.epoch, now));
                self.epoch += 1;
            }
            self.last = Some(now);
        }
        taken
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Begin,
    Waits(usize, WaitsOn, usize),
    End(usize),
    Full { after: u64 },
    Spread,
}

const LONGEST: u64 = 100;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let on = prop_oneof![4 => Just(WaitsOn::Caller), 1 => Just(WaitsOn::Service)];
    let step = prop_oneof![
        4 => Just(Step::Begin),
        12 => (any::<usize>(), on, 0..4_usize).prop_map(|(at, on, core)| Step::Waits(at, on, core)),
        4 => any::<usize>().prop_map(Step::End),
        6 => (0..LONGEST).prop_map(|after| Step::Full { after }),
        1 => Just(Step::Spread),
    ];
    proptest::collection::vec(step, 1..200)
}

proptest! {
    #[test]
    fn law_02_each_slot_is_released_by_its_call_or_reclaimed_never_both(steps in steps()) {
        let (stalls, mut model) = (Stalls::new(), Model::default());
        let (mut stamps, mut now, mut released) = (Vec::new(), 1, 0);
        for step in steps {
            let at = |at: usize, stamps: &[Stamp]| (!stamps.is_empty()).then(|| at % stamps.len());
            match step {
                Step::Begin => {
                    stamps.push(Stamp::NONE);
                    model.permits.push(Permit::Service);
                }
                Step::Waits(any, on, core) => {
                    if let Some(at) = at(any, &stamps) && model.permits[at] != Permit::Ended {
                        stamps[at] = if on == WaitsOn::Caller && stalls.is_spread() {
                            stalls.count_progress(stamps[at], || core)
                        } else {
                            stalls.body_waits(stamps[at], on)
                        };
                        model.waits(at, on);
                    }
                }
                Step::End(any) => {
                    if let Some(at) = at(any, &stamps) && model.permits[at] != Permit::Ended {
                        let held = stalls.end(stamps[at], || false);
                        prop_assert_eq!(held, model.end(at));
                        released += usize::from(held);
                    }
                }
                Step::Full { after } => {
                    now += after;
                    let taken = stalls.reclaim(now, LONGEST) as usize;
                    prop_assert_eq!(taken, model.reclaim(now, LONGEST));
                    released += taken;
                }
                Step::Spread => stalls.spread(4),
            }
        }
        for (at, stamp) in stamps.iter().enumerate() {
            if model.permits[at] != Permit::Ended {
                let held = stalls.end(*stamp, || false);
                prop_assert_eq!(held, model.end(at));
                released += usize::from(held);
            }
        }
        prop_assert_eq!(released, stamps.len());
        prop_assert_eq!(stalls.reclaim(now + 2 * LONGEST, LONGEST), 0, "no permit is left");
    }
}

#[test]
fn reclaiming_is_due_when_an_epoch_closes_or_a_generation_expires() {
    let stalls = Stalls::new();
    assert_eq!(
        stalls.due(LONGEST),
        0,
        "the first request that finds the limit full closes the epoch"
    );
    let early = stalls.body_waits(Stamp::NONE, WaitsOn::Caller);
    assert_eq!(stalls.reclaim(1000, LONGEST), 0);
    assert_eq!(stalls.due(LONGEST), 1025);
    let late = stalls.body_waits(Stamp::NONE, WaitsOn::Caller);
    assert_eq!(stalls.reclaim(1090, LONGEST), 0);
    assert_eq!(stalls.due(LONGEST), 1100, "the first generation");
    assert_eq!(stalls.due(10 * LONGEST), 1340, "with the current setting");
    assert_eq!(stalls.reclaim(1100, LONGEST), 1);
    assert_eq!(stalls.due(LONGEST), 1115);
    assert!(!stalls.end(early, || false) && stalls.end(late, || false));
}

#[test]
fn an_epoch_without_waiting_permits_stays_open() {
    let stalls = Stalls::new();
    let before = stalls.body_waits(Stamp::NONE, WaitsOn::Caller);
    assert!(stalls.end(before, || false));
    assert_eq!(stalls.reclaim(1000, LONGEST), 0);
    assert_eq!(stalls.body_waits(Stamp::NONE, WaitsOn::Caller), before);
}

#[test]
fn epoch_numbers_wrap_around() {
    let mut closed = Closed::default();
    for _ in 0..1 << EPOCH_BITS {
        closed.push(0, 0);
    }
    assert_eq!(closed.epoch(), 0);
    let last = Stamp::new((1 << EPOCH_BITS) - 1, FIRST_SHARD + 63);
    assert_ne!(last, Stamp::LOST);
    assert_eq!(Stamp::of(last.word() + COUNT), last);
}

#[test]
fn contending_threads_get_shards_where_those_pay() {
    let contend = |may_spread: bool| {
        let stalls = Stalls::new();
        // As `end` does when another thread changed the word first.
        let stamp = stalls.body_waits(Stamp::NONE, WaitsOn::Caller);
        assert!(stalls.release(stamp, || may_spread));
        stalls.is_spread()
    };
    assert!(!contend(false));
    assert_eq!(contend(true), shards() > 1);
}

#[test]
fn concurrent_threads_lose_no_permit() {
    use std::sync::atomic::AtomicU32;

    const CALLS: u32 = 20_000;
    let (stalls, released) = (Stalls::new(), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for core in 0..3 {
            let (stalls, released) = (&stalls, &released);
            scope.spawn(move || {
                for call in 0..CALLS {
                    let stamp = stalls.count_progress(Stamp::NONE, || core);
                    let stamp = match call % 3 {
                        0 => stalls.body_waits(stamp, WaitsOn::Service),
                        1 => stalls.count_progress(stamp, || core + 1),
                        _ => stamp,
                    };
                    if stalls.end(stamp, || call == CALLS / 2) {
                        released.fetch_add(1, Relaxed);
                    }
                }
            });
        }
        scope.spawn(|| {
            for now in 1..u64::from(CALLS) {
                released.fetch_add(stalls.reclaim(now, 8), Relaxed);
            }
        });
    });
    assert_eq!(released.into_inner(), 3 * CALLS);
}
