//! Futures that are polled, woken and dropped in a random order.

use std::{collections::BTreeSet, task::Poll};

use plimsoll_stream::{BoundedQueue, Permit, QueuePolicy, ReserveError, SendError, Sent};
use proptest::prelude::*;

use crate::{Task, queue};

#[derive(Debug, Clone)]
enum Step {
    Send,
    Recv,
    RecvMany,
    Reserve,
    /// Polls a task, woken or not.
    Poll(prop::sample::Index),
    /// Cancels a task at the point that it has reached.
    Drop(prop::sample::Index),
    /// Sends with a permit, or drops it.
    EndPermit(prop::sample::Index, bool),
    SetPolicy(QueuePolicy),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => Just(Step::Send),
        4 => Just(Step::Recv),
        1 => Just(Step::RecvMany),
        2 => Just(Step::Reserve),
        8 => index().prop_map(Step::Poll),
        4 => index().prop_map(Step::Drop),
        2 => (index(), any::<bool>()).prop_map(|(which, send)| Step::EndPermit(which, send)),
        1 => prop_oneof![
            Just(QueuePolicy::BLOCK),
            Just(QueuePolicy::BLOCK),
            Just(QueuePolicy::DropOldest),
            Just(QueuePolicy::DropNewest),
        ].prop_map(Step::SetPolicy),
        1 => Just(Step::Close),
    ]
}

/// What the future of a task ends with.
enum Ended<'a> {
    Sent(Result<Sent<u64>, SendError<u64>>),
    Received(Option<u64>),
    Batch(Vec<u64>),
    Reserved(Result<Permit<'a, u64>, ReserveError>),
}

type Boxed<'a> = std::pin::Pin<Box<dyn Future<Output = Ended<'a>> + 'a>>;

struct World<'a> {
    queue: &'a BoundedQueue<u64>,
    /// A task, the wakes that it has answered, and whether it sends or receives.
    tasks: Vec<(Task<Boxed<'a>>, usize, bool)>,
    permits: Vec<Permit<'a, u64>>,
    /// Items that came out.
    out: BTreeSet<u64>,
    next: u64,
}

impl<'a> World<'a> {
    fn start(&mut self, sends: bool, future: impl Future<Output = Ended<'a>> + 'a) {
        self.tasks.push((Task::new(Box::pin(future)), 0, sends));
        self.poll(self.tasks.len() - 1);
    }

    fn item(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Polls a task, and notes what it ended with.
    fn poll(&mut self, index: usize) {
        let (task, answered, _) = &mut self.tasks[index];
        *answered = task.woken();
        let Poll::Ready(ended) = task.poll() else {
            return;
        };
        self.tasks.swap_remove(index);
        match ended {
            Ended::Sent(Ok(sent)) => self.note(sent),
            // The item stays with the sender.
            Ended::Sent(Err(_)) => {}
            Ended::Received(item) => self.out(item),
            Ended::Batch(items) => self.out(items),
            Ended::Reserved(permit) => self.permits.extend(permit),
        }
    }

    fn note(&mut self, sent: Sent<u64>) {
        let lost = sent.lost.into_iter().map(|(item, _)| item);
        self.out(lost);
    }

    fn out(&mut self, items: impl IntoIterator<Item = u64>) {
        for item in items {
            assert!(self.out.insert(item), "{item} came out twice");
        }
    }

    /// Polls woken tasks until none is.
    fn settle(&mut self) {
        let woken = |world: &Self| {
            let mut tasks = world.tasks.iter();
            tasks.position(|(task, answered, _)| task.woken() > *answered)
        };
        let mut polls = 0;
        while let Some(index) = woken(self) {
            self.poll(index);
            polls += 1;
            assert!(polls < 10_000, "tasks wake each other without end");
        }
    }

    /// After all woken tasks ran, nothing waits for what is there.
    fn check(&self, capacity: usize) {
        let used = self.queue.len() + self.permits.len();
        assert!(used <= capacity);
        let waits = |sends| self.tasks.iter().any(|(.., of)| *of == sends);
        assert!(
            !waits(true) || used == capacity,
            "a sender waits for room that is there"
        );
        assert!(
            !waits(false) || self.queue.is_empty(),
            "a receiver waits for an item that is there"
        );
        if self.queue.is_closed() {
            assert!(!waits(true), "a sender waits for a closed queue");
            assert!(
                !waits(false) || !self.permits.is_empty(),
                "a receiver waits after the end"
            );
        }
        let counters = self.queue.counters();
        let gone = counters.received() + counters.dropped();
        assert_eq!(counters.sent(), gone + self.queue.len() as u64);
        assert_eq!(
            gone,
            self.out.len() as u64,
            "what has left the queue came out of it"
        );
    }
}

fn run(capacity: usize, steps: Vec<Step>) {
    let queue = queue(capacity, QueuePolicy::BLOCK);
    let mut world = World {
        queue: &queue,
        tasks: Vec::new(),
        permits: Vec::new(),
        out: BTreeSet::new(),
        next: 0,
    };
    let queue = &queue;
    for step in steps {
        match step {
            Step::Send => {
                let item = world.item();
                world.start(true, async move { Ended::Sent(queue.send(item).await) });
            }
            Step::Recv => world.start(false, async { Ended::Received(queue.recv().await) }),
            Step::RecvMany => world.start(false, async {
                let mut batch = Vec::new();
                queue.recv_many(&mut batch, 2).await;
                Ended::Batch(batch)
            }),
            Step::Reserve => world.start(true, async { Ended::Reserved(queue.reserve().await) }),
            Step::Poll(which) if !world.tasks.is_empty() => {
                world.poll(which.index(world.tasks.len()));
            }
            Step::Drop(which) if !world.tasks.is_empty() => {
                world.tasks.swap_remove(which.index(world.tasks.len()));
            }
            Step::EndPermit(which, send) if !world.permits.is_empty() => {
                let permit = world.permits.swap_remove(which.index(world.permits.len()));
                if send {
                    let item = world.item();
                    let sent = permit.send(item).unwrap();
                    world.note(sent);
                }
            }
            Step::Poll(_) | Step::Drop(_) | Step::EndPermit(..) => {}
            Step::SetPolicy(policy) => queue.set_policy(policy).unwrap(),
            Step::Close => _ = queue.close(),
        }
    }
    world.settle();
    world.check(capacity);
    world.tasks.clear();
    world.permits.clear();
    let rest = queue.drain();
    world.out(rest);
    assert_eq!(queue.counters().sent(), world.out.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_polls_and_cancellations_loses_an_item_or_a_wake(
        capacity in 1_usize..4,
        steps in prop::collection::vec(step(), 0..80),
    ) {
        run(capacity, steps);
    }
}
