//! Random jobs on a queue, of which none is lost.

use std::sync::Arc;

use plimsoll_core::{Criticality, Priority};
use plimsoll_stream::{
    QueuePolicy,
    work::{Job, WorkQueue},
};
use proptest::prelude::*;
use tokio::task::JoinHandle;

use super::{settle, started};

#[derive(Debug, Clone, Copy)]
enum Op {
    Run { weight: usize, level: usize },
    Submit { weight: usize, level: usize },
    HangUp(usize),
    Release,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0_usize..6, 0_usize..4).prop_map(|(weight, level)| Op::Run { weight, level }),
        1 => (0_usize..6, 0_usize..4).prop_map(|(weight, level)| Op::Submit { weight, level }),
        2 => (0_usize..8).prop_map(Op::HangUp),
        1 => Just(Op::Release),
    ]
}

proptest! {
    /// Each accepted job is completed, evicted or removed, and no place is lost.
    #[test]
    fn accepted_jobs_are_conserved(
        ops in prop::collection::vec(op(), 0..60),
        policy in prop_oneof![
            Just(QueuePolicy::BLOCK), Just(QueuePolicy::DropOldest), Just(QueuePolicy::DropNewest),
            Just(QueuePolicy::DropLowestPriority), Just(QueuePolicy::DropRandom { seed: 7 }),
        ],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let work = WorkQueue::builder(4).workers(1).max_bytes(10).policy(policy).build().unwrap();
            let release = Arc::new(tokio::sync::Semaphore::new(0));
            let mut handlers: Vec<JoinHandle<_>> = Vec::new();
            let job = |weight, level: usize| {
                let release = Arc::clone(&release);
                let wait = async move { release.acquire().await.map(tokio::sync::SemaphorePermit::forget) };
                let priority = Priority::new(Criticality::ALL[level]);
                Job::future(async move { _ = wait.await }).weight(weight).priority(priority)
            };
            for op in ops {
                match op {
                    Op::Run { weight, level } => {
                        handlers.push(started(&work, job(weight, level)).await);
                    }
                    Op::Submit { weight, level } => _ = work.submit(job(weight, level)),
                    Op::HangUp(index) if index < handlers.len() => {
                        handlers.swap_remove(index).abort();
                    }
                    Op::HangUp(_) => {}
                    Op::Release => release.add_permits(1),
                }
                settle().await;
                prop_assert!(work.waiting() <= 4 && work.waiting_bytes() <= 10);
            }
            release.close();
            work.shutdown().await;
            prop_assert_eq!((work.waiting(), work.waiting_bytes()), (0, 0));
            let ended = work.completed() + work.evicted() + work.hung_up();
            prop_assert_eq!(work.accepted(), ended);
            Ok(())
        })?;
    }
}
