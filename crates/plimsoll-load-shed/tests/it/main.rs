//! Behaviour of load shedding through its public API.
#![allow(clippy::float_cmp)] // these loads are exact in a float

mod adaptive;
mod builder;
#[path = "../../examples/shedding/contenders.rs"]
#[allow(dead_code, unreachable_pub)] // tests use a part of it
mod contenders;
mod contract;
mod depth;
mod fused;
#[path = "../../examples/shedding/lab.rs"]
#[allow(dead_code, unreachable_pub)]
mod lab;
mod leavers;
mod panics;
mod recipes;
mod settings;
mod shedding;
mod signals;
mod trust;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use plimsoll_core::{LoadSignal, Policy, Priority, policy::Verdict};
use plimsoll_load_shed::LoadShed;
use tokio::time::Instant;

/// Awaits `work`, and fails after a minute when a lost wake-up makes it hang.
async fn within_a_minute<F: Future>(work: F) -> F::Output {
    let ends = tokio::time::timeout(Duration::from_secs(60), work).await;
    ends.expect("timed out: a wake-up was lost")
}

/// A load that tests set.
#[derive(Debug, Clone, Default)]
struct Dial(Arc<AtomicU64>);

impl Dial {
    fn at(load: f64) -> Self {
        let dial = Self::default();
        dial.set(load);
        dial
    }

    fn set(&self, load: f64) {
        self.0.store(load.to_bits(), Relaxed);
    }
}

impl LoadSignal for Dial {
    fn load(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

/// Sheds requests that are their own priority, between the loads 0 and 1.
fn shed_by(dial: &Dial) -> LoadShed<Dial, fn(&Priority) -> Priority> {
    LoadShed::new(dial.clone())
        .between(0.0, 1.0)
        .unwrap()
        .priorities(|priority| *priority)
}

/// Whether a request of this priority is admitted.
fn admits(shed: &LoadShed<Dial, fn(&Priority) -> Priority>, mut priority: Priority) -> bool {
    match shed.admit(&mut priority, Instant::now()) {
        Verdict::Admit(_) => true,
        Verdict::Reject(_) => false,
        Verdict::Wait(never) => match never {},
    }
}

/// One priority of every level, least important first.
fn with_cohorts() -> Vec<Priority> {
    let levels = plimsoll_core::Criticality::ALL.into_iter();
    levels
        .flat_map(|criticality| (0..128).map(move |n| Priority::new(criticality).in_cohort(n)))
        .collect()
}
