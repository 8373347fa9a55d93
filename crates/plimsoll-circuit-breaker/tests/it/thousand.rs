//! A thousand callers at once.

use std::sync::{Arc, Barrier};

use plimsoll_circuit_breaker::CircuitBreakerPermit;
use plimsoll_core::Class;

use super::{Bench, secs, small};

/// Each round a thousand callers, on eight threads, meet a breaker whose first probe is due.
#[test]
fn law_11_of_a_thousand_callers_at_once_exactly_the_probes_are_admitted() {
    for probes in [1, 3, 64] {
        for _ in 0..20 {
            let bench = Bench::due_with(small().probes(probes).successes(probes));
            let start = Barrier::new(8);
            let admitted: Vec<_> = std::thread::scope(|scope| {
                let callers: Vec<_> = (0..8)
                    .map(|_| {
                        scope.spawn(|| {
                            start.wait();
                            (0..125)
                                .filter_map(|_| bench.ask().ok())
                                .collect::<Vec<_>>()
                        })
                    })
                    .collect();
                callers
                    .into_iter()
                    .flat_map(|caller| caller.join().unwrap())
                    .collect()
            });
            let handle = bench.breaker.handle();
            assert_eq!(admitted.len(), probes as usize);
            assert!(admitted.iter().all(CircuitBreakerPermit::is_probe));
            assert_eq!(u64::from(probes), handle.probes());
            assert_eq!(handle.rejected(), 1_000 - u64::from(probes));
            for probe in admitted {
                bench.end(probe, Class::Success);
            }
            assert_eq!(bench.state(), "closed");
        }
    }
}

/// As tasks on a runtime with several threads, while the probes run.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_wait_for_nothing_and_get_the_probes_only() {
    let mut bench = Bench::due_with(small().probes(5));
    bench.pass(secs(1));
    let bench = Arc::new(bench);
    let tasks: Vec<_> = (0..1_000)
        .map(|_| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { bench.ask().is_ok() })
        })
        .collect();
    let mut admitted = 0;
    for task in tasks {
        admitted += u32::from(task.await.unwrap());
    }
    assert_eq!(admitted, 5);
}
