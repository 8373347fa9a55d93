//! Threads that count calls and close windows at the same time.

use std::time::Duration;

use loom::{sync::Arc, thread};

use super::*;
use crate::{Change, Window, WindowSize};

/// Sums the calls of all windows.
#[derive(Debug)]
struct Sum(std::sync::Arc<std::sync::Mutex<(u64, u64)>>);

impl Algorithm for Sum {
    fn initial(&self) -> u32 {
        1
    }

    fn window(&self) -> WindowSize {
        WindowSize {
            time: Duration::ZERO,
            samples: 1,
        }
    }

    fn update(&mut self, window: &Window) -> Change {
        let mut sum = self.0.lock().unwrap();
        sum.0 += window.answered;
        sum.1 += window.cancelled;
        Change {
            at_no_load: false,
            no_load_latency: None,
            limit: 1,
            reason: LimitReason::Steady,
            queue: None,
        }
    }
}

fn ended(sampler: &Sampler, class: Class, at: Instant) {
    let outcome = Outcome::new(class, Duration::ZERO, at);
    if let Some(now) = sampler.count(&outcome, || 1, None) {
        _ = sampler.close(now, 1, || 0);
    }
}

#[test]
fn each_call_is_in_one_window_whichever_thread_closes_it() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let sum = std::sync::Arc::default();
        let sampler = Arc::new(Sampler::new(
            Box::new(Sum(std::sync::Arc::clone(&sum))),
            &Tuning::DEFAULT,
        ));
        let start = Instant::now();
        let after = move |millis| start + Duration::from_millis(millis);
        ended(&sampler, Class::Success, start);
        let other = {
            let sampler = Arc::clone(&sampler);
            thread::spawn(move || {
                ended(&sampler, Class::Cancelled, after(1));
                ended(&sampler, Class::Success, after(2));
            })
        };
        ended(&sampler, Class::Success, after(1));
        other.join().unwrap();
        ended(&sampler, Class::Success, after(3));
        assert_eq!(*sum.lock().unwrap(), (3, 1));
    });
}
