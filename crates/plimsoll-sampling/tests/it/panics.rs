//! User code that panics leaves no counts behind.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

use plimsoll_core::{Policy, policy::Verdict};
use plimsoll_sampling::{Draw, Mode, Rates, Sampled, Sampling};
use tokio::time::Instant;

use crate::Load;

/// A draw and a mode that panic when it is set.
#[derive(Default)]
struct Broken(AtomicBool);

impl Broken {
    fn check(&self) {
        assert!(!self.0.load(SeqCst), "set to panic");
    }
}

impl Draw<()> for &'static Broken {
    fn draw(&self, (): &()) -> f64 {
        self.check();
        0.0
    }
}

impl Mode<()> for &'static Broken {
    fn apply(&self, (): &mut (), sampled: Sampled) -> bool {
        self.check();
        sampled.keep
    }
}

#[test]
fn a_draw_or_a_mode_that_panics_counts_nothing() {
    static DRAW: Broken = Broken(AtomicBool::new(false));
    static MODE: Broken = Broken(AtomicBool::new(false));
    let sampling = Sampling::new(Load::new(1.0), Rates::DEFAULT)
        .expect("valid")
        .draw(&DRAW)
        .mode(&MODE);
    let admit = || sampling.admit(&mut (), Instant::now());
    for broken in [&DRAW, &MODE] {
        broken.0.store(true, SeqCst);
        assert!(catch_unwind(AssertUnwindSafe(admit)).is_err());
        broken.0.store(false, SeqCst);
        let handle = sampling.handle();
        assert_eq!((handle.kept(), handle.skipped()), (0, 0));
    }
    assert!(matches!(admit(), Verdict::Admit(_)));
    assert_eq!(sampling.handle().kept(), 1);
}
