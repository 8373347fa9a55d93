//! The window holds results in the order in which calls end.

use plimsoll_circuit_breaker::{CircuitBreaker, CircuitBreakerBuilder};
use plimsoll_core::Class;

use super::Bench;

/// The state after 1,000 calls that start at once, of which 60 fail before the first success.
fn burst(builder: CircuitBreakerBuilder) -> &'static str {
    let bench = Bench::new(builder.build().unwrap());
    let calls: Vec<_> = (0..1_000).map(|_| bench.ask().unwrap()).collect();
    let (fail_early, answered) = calls.split_at(60);
    for call in fail_early {
        bench.end(*call, Class::Failure);
    }
    for call in answered {
        bench.end(*call, Class::Success);
    }
    bench.state()
}

#[test]
fn min_calls_above_the_calls_in_flight_keep_a_burst_with_few_failures_closed() {
    let wide = CircuitBreaker::builder().window(2_000);
    assert_eq!(burst(wide), "open", "6 % failed, and they ended first");
    assert_eq!(burst(wide.min_calls(1_000)), "closed");
}
