//! The rules of Reactive Streams 1.0.3, as properties named after them.

use std::{
    cell::RefCell,
    collections::VecDeque,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    thread,
};

use futures_core::Stream;
use futures_util::stream;
use plimsoll_stream::demand::{Demand, Ended, InvalidRequest, Publisher, Subscription};
use proptest::prelude::*;

use crate::Wakes;

/// A source that a test feeds. Panics when it is polled after its end.
#[derive(Clone, Default)]
struct Source(Rc<RefCell<Inner>>);

#[derive(Default)]
struct Inner {
    items: VecDeque<u64>,
    next: u64,
    ended: bool,
    finished: bool,
    waker: Option<Waker>,
    /// Called with each item while the source is polled.
    on_item: Option<Box<dyn Fn(u64)>>,
}

impl Source {
    fn feed(&self, count: u64) {
        let mut inner = self.0.borrow_mut();
        for _ in 0..count {
            let next = inner.next;
            inner.items.push_back(next);
            inner.next += 1;
        }
        inner.waker.take().into_iter().for_each(Waker::wake);
    }

    fn end(&self) {
        let mut inner = self.0.borrow_mut();
        inner.ended = true;
        inner.waker.take().into_iter().for_each(Waker::wake);
    }
}

impl Stream for Source {
    type Item = u64;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u64>> {
        let mut inner = self.0.borrow_mut();
        assert!(!inner.finished, "polled after its end");
        if let Some(item) = inner.items.pop_front() {
            if let Some(on_item) = &inner.on_item {
                on_item(item);
            }
            return Poll::Ready(Some(item));
        }
        if inner.ended {
            inner.finished = true;
            return Poll::Ready(None);
        }
        inner.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Request(u64),
    RequestNothing,
    Feed(u64),
    EndSource,
    Poll,
    Cancel,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u64..4).prop_map(Step::Request),
        1 => Just(Step::Request(u64::MAX)),
        1 => Just(Step::RequestNothing),
        4 => (1_u64..4).prop_map(Step::Feed),
        1 => Just(Step::EndSource),
        8 => Just(Step::Poll),
        1 => Just(Step::Cancel),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 0..60)
}

/// A subscription, and what the rules say about it, written without regard to cost.
struct World {
    source: Source,
    subscription: Pin<Box<Subscription<Source>>>,
    wakes: Arc<Wakes>,
    /// Wakes at the last poll that was pending, if the last one was.
    pending: Option<usize>,
    requested: u64,
    /// Items that the source was given and that have not been received.
    queued: VecDeque<u64>,
    fed: u64,
    received: u64,
    source_ended: bool,
    cancelled: bool,
    ended: bool,
}

impl World {
    fn new() -> Self {
        let source = Source::default();
        Self {
            subscription: Box::pin(source.clone().subscribe()),
            source,
            wakes: Arc::default(),
            pending: None,
            requested: 0,
            queued: VecDeque::new(),
            fed: 0,
            received: 0,
            source_ended: false,
            cancelled: false,
            ended: false,
        }
    }

    fn run(steps: Vec<Step>) -> Self {
        let mut world = Self::new();
        for step in steps {
            world.step(step);
        }
        world
    }

    fn has_credit(&self) -> bool {
        self.requested == u64::MAX || self.received < self.requested
    }

    /// What the next poll returns.
    fn expected(&self) -> Poll<Option<u64>> {
        if self.ended || self.cancelled {
            Poll::Ready(None)
        } else if !self.has_credit() {
            Poll::Pending
        } else if let Some(item) = self.queued.front() {
            Poll::Ready(Some(*item))
        } else if self.source_ended {
            Poll::Ready(None)
        } else {
            Poll::Pending
        }
    }

    fn poll(&mut self) -> Poll<Option<u64>> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        let polled = self
            .subscription
            .as_mut()
            .poll_next(&mut Context::from_waker(&waker));
        self.pending = polled.is_pending().then(|| self.wakes.count());
        match polled {
            Poll::Ready(Some(_)) => {
                self.received += 1;
                self.queued.pop_front();
            }
            Poll::Ready(None) => self.ended = true,
            Poll::Pending => {}
        }
        polled
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Request(n) => {
                assert_eq!(self.subscription.request(n), Ok(()));
                if !self.cancelled && !self.ended {
                    self.requested = self.requested.saturating_add(n);
                }
            }
            Step::RequestNothing => {
                let over = self.cancelled || self.ended;
                let expected = if over { Ok(()) } else { Err(InvalidRequest) };
                assert_eq!(self.subscription.request(0), expected);
            }
            Step::Feed(n) if !self.source_ended => {
                self.queued.extend(self.fed..self.fed + n);
                self.fed += n;
                self.source.feed(n);
            }
            Step::EndSource if !self.source_ended => {
                self.source_ended = true;
                self.source.end();
            }
            Step::Feed(_) | Step::EndSource => {}
            Step::Poll => {
                let expected = self.expected();
                assert_eq!(self.poll(), expected);
            }
            Step::Cancel => {
                let first = !self.cancelled && !self.ended;
                assert_eq!(self.subscription.cancel(), first);
                self.cancelled |= first;
            }
        }
        if let Some(wakes) = self.pending {
            let woken = self.wakes.count() > wakes;
            assert!(woken || self.expected().is_pending(), "a lost wake-up");
        }
    }
}

proptest! {
    #[test]
    fn rule_1_1_never_more_than_requested(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
            prop_assert!(world.received <= world.requested);
        }
        // And never less: what is requested and there comes out.
        while let Poll::Ready(Some(_)) = world.poll() {}
        let due = if world.cancelled { world.received } else { world.fed.min(world.requested) };
        prop_assert_eq!(world.received, due);
    }

    #[test]
    fn rule_1_7_nothing_follows_the_terminal_signal(steps in steps(), more in steps()) {
        let mut world = World::run(steps);
        world.subscription.cancel();
        world.cancelled = true;
        prop_assert_eq!(world.poll(), Poll::Ready(None));
        let (received, ended) = (world.received, world.subscription.ended());
        prop_assert!(ended.is_some());
        prop_assert_eq!(Rc::strong_count(&world.source.0), 1, "the source is dropped (3.13)");
        for step in more {
            world.step(step);
            prop_assert_eq!(world.poll(), Poll::Ready(None));
        }
        prop_assert_eq!((world.received, world.subscription.ended()), (received, ended));
    }

    /// The end of the source comes once as well, and cancels (1.6).
    #[test]
    fn rule_1_7_the_end_of_the_source_is_one_signal(fed in 0_u64..20, polls in 1_usize..5) {
        let mut world = World::new();
        world.step(Step::Feed(fed));
        world.step(Step::EndSource);
        world.step(Step::Request(u64::MAX));
        for _ in 0..fed {
            world.step(Step::Poll);
        }
        for _ in 0..polls {
            prop_assert_eq!(world.poll(), Poll::Ready(None));
            prop_assert_eq!(world.subscription.ended(), Some(Ended::Completed));
            prop_assert!(world.subscription.demand().is_cancelled());
        }
        prop_assert_eq!(world.received, fed);
    }

    #[test]
    fn rule_2_8_a_late_item_is_within_the_demand(credit in 1_u64..6, at in 0_u64..8) {
        let mut world = World::new();
        let demand = world.subscription.demand().clone();
        // The cancellation comes while the source is polled for item `at`.
        world.source.0.borrow_mut().on_item = Some(Box::new(move |item| {
            if item == at {
                demand.cancel();
            }
        }));
        world.step(Step::Feed(10));
        world.step(Step::Request(credit));
        let mut received = Vec::new();
        while let Poll::Ready(Some(item)) = world.poll() {
            received.push(item);
        }
        let due = credit.min(at + 1);
        prop_assert!(received.into_iter().eq(0..due), "one late item at most");
        let cancelled = at < credit;
        let end = if cancelled { Poll::Ready(None) } else { Poll::Pending };
        prop_assert_eq!(world.poll(), end);
    }

    #[test]
    fn rule_3_6_a_request_after_a_cancellation_does_nothing(
        steps in steps(),
        requests in prop::collection::vec(prop_oneof![0_u64..4, Just(u64::MAX)], 1..8),
    ) {
        let mut world = World::run(steps);
        world.subscription.cancel();
        for n in requests {
            prop_assert_eq!(world.subscription.request(n), Ok(()), "not even an error for 0");
            prop_assert_eq!(world.subscription.demand().outstanding(), 0);
        }
        prop_assert_eq!(world.poll(), Poll::Ready(None));
    }

    #[test]
    fn rule_3_7_a_second_cancellation_does_nothing(steps in steps(), again in 1_usize..5) {
        let mut world = World::run(steps);
        world.subscription.cancel();
        let wakes = world.wakes.count();
        for _ in 0..again {
            prop_assert!(!world.subscription.cancel());
        }
        prop_assert_eq!(world.wakes.count(), wakes);
        prop_assert_eq!(world.poll(), Poll::Ready(None));
    }

    #[test]
    fn rule_3_9_a_request_for_nothing_is_an_error(steps in steps()) {
        let mut world = World::run(steps);
        let over = world.cancelled || world.ended;
        let demand = world.subscription.demand().clone();
        let before = (demand.outstanding(), demand.is_cancelled(), world.expected());
        let said = demand.request(0);
        prop_assert_eq!(said, if over { Ok(()) } else { Err(InvalidRequest) });
        let after = (demand.outstanding(), demand.is_cancelled(), world.expected());
        prop_assert_eq!(before, after);
        prop_assert_eq!(world.poll(), before.2, "the stream goes on");
    }

    #[test]
    fn rule_3_17_demand_adds_up_to_unbounded(
        requests in prop::collection::vec(
            prop_oneof![1_u64..10, (1_u64 << 62)..=u64::MAX],
            1..10,
        ),
        takes in 0_u64..5,
    ) {
        let demand = Demand::new();
        let mut sum = 0_u128;
        for n in requests {
            prop_assert_eq!(demand.request(n), Ok(()));
            sum += u128::from(n);
            let expected = u64::try_from(sum).unwrap_or(u64::MAX);
            prop_assert_eq!(demand.outstanding(), expected);
        }
        let bounded = u64::try_from(sum).ok().filter(|sum| *sum < Demand::UNBOUNDED);
        for taken in 0..takes {
            let left = bounded.is_none_or(|sum| taken < sum);
            prop_assert_eq!(demand.try_acquire(), Ok(left));
        }
        let expected = bounded.map_or(Demand::UNBOUNDED, |sum| sum.saturating_sub(takes));
        prop_assert_eq!(demand.outstanding(), expected);
    }
}

/// A runtime for one thread.
fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn rule_1_3_signals_are_serial(threads in 1_usize..5, each in 1_u64..200, by in 1_u64..5) {
        let total = threads as u64 * each * by;
        let subscription = stream::iter(0..total).subscribe();
        let start = Arc::new(Barrier::new(threads));
        let requesters: Vec<_> = (0..threads)
            .map(|_| {
                let (demand, start) = (subscription.demand().clone(), Arc::clone(&start));
                thread::spawn(move || {
                    start.wait();
                    (0..each).for_each(|_| demand.request(by).unwrap());
                })
            })
            .collect();
        let inside = AtomicBool::new(false);
        let mut next = 0;
        let ended = block_on(subscription.for_each(|item, _| {
            assert!(!inside.swap(true, SeqCst), "two calls overlap");
            assert_eq!(item, next, "in order");
            next += 1;
            assert!(inside.swap(false, SeqCst));
        }));
        prop_assert_eq!((ended, next), (Ended::Completed, total));
        for requester in requesters {
            requester.join().unwrap();
        }
    }

    #[test]
    fn rule_3_3_a_request_in_the_callback_does_not_recurse(
        items in 1_u64..20_000,
        by in 1_u64..4,
    ) {
        // The stack would not hold a call per item.
        let thread = thread::Builder::new().stack_size(256 << 10).spawn(move || {
            let subscription = stream::iter(0..items).subscribe();
            subscription.request(1).unwrap();
            let (mut depth, mut seen) = (0, 0);
            let ended = block_on(subscription.for_each(|_, demand| {
                depth += 1;
                assert_eq!(depth, 1);
                demand.request(by).unwrap();
                seen += 1;
                depth -= 1;
            }));
            (ended, seen)
        });
        prop_assert_eq!(thread.unwrap().join().unwrap(), (Ended::Completed, items));
    }

    #[test]
    fn rule_3_5_cancel_is_idempotent_and_thread_safe(threads in 1_usize..6, credit in 0_u64..3) {
        // It waits for credit, or for the source.
        let subscription = Source::default().subscribe();
        if credit > 0 {
            subscription.request(credit).unwrap();
        }
        let (start, first) = (Arc::new(Barrier::new(threads)), Arc::new(AtomicUsize::new(0)));
        let cancelling: Vec<_> = (0..threads)
            .map(|_| {
                let demand = subscription.demand().clone();
                let (start, first) = (Arc::clone(&start), Arc::clone(&first));
                thread::spawn(move || {
                    start.wait();
                    first.fetch_add(usize::from(demand.cancel()), SeqCst);
                })
            })
            .collect();
        let ended = block_on(subscription.for_each(|_, _| {}));
        prop_assert_eq!(ended, Ended::Cancelled);
        for thread in cancelling {
            thread.join().unwrap();
        }
        prop_assert_eq!(first.load(SeqCst), 1);
    }
}
