//! One breaker per host.

use std::time::Duration;

use http::Request;
use plimsoll_circuit_breaker::CircuitBreaker;
use plimsoll_core::{
    Authority, Class, Missing, Outcome, Policy,
    policy::{Evictable as _, Verdict},
};
use tokio::time::Instant;

use super::{Bench, secs};

/// Sends a client's request, with the callee in the URI.
fn ask_and_end<P: Policy<Request<()>>>(policy: &P, uri: &str, class: Class) -> bool {
    let now = Instant::now();
    let mut req = Request::get(uri).body(()).unwrap();
    match policy.admit(&mut req, now) {
        Verdict::Admit(permit) => {
            policy.finish(permit, &Outcome::new(class, Duration::ZERO, now));
            true
        }
        _ => false,
    }
}

#[test]
fn one_host_opens_and_the_other_stays_closed() {
    let first = CircuitBreaker::builder().window(2).build().unwrap();
    let handle = first.handle();
    let keyed = first.per_key(Authority, Missing::Admit, 100).unwrap();
    let (bad, good) = ("https://bad.example/", "https://good.example/");
    for _ in 0..2 {
        assert!(ask_and_end(&keyed, bad, Class::Failure));
        assert!(ask_and_end(&keyed, good, Class::Success));
    }
    assert!(!ask_and_end(&keyed, bad, Class::Success));
    assert!(ask_and_end(&keyed, good, Class::Success));
    assert_eq!((handle.opened(), handle.rejected()), (1, 1));

    // One handle changes the settings of all.
    handle.set_threshold(1.0).unwrap();
    assert!(ask_and_end(&keyed, good, Class::Failure));
    assert!(ask_and_end(&keyed, good, Class::Success));
}

/// Requests whose callee is unknown share no state: one that fails must not stop the others.
#[test]
fn requests_without_an_authority_have_no_breaker() {
    let first = CircuitBreaker::builder().window(2).build().unwrap();
    let handle = first.handle();
    let keyed = first.per_key(Authority, Missing::Admit, 100).unwrap();
    for _ in 0..10 {
        assert!(ask_and_end(&keyed, "/relative", Class::Failure));
    }
    assert_eq!((handle.opened(), keyed.handle().missing()), (0, 10));
}

#[test]
fn a_cell_settles_when_its_state_no_longer_matters() {
    let mut bench = Bench::small();
    let settles_in = |bench: &Bench| bench.breaker.settles_in(bench.now);
    assert_eq!(settles_in(&bench), Duration::ZERO);
    for class in [
        Class::Success,
        Class::Success,
        Class::Failure,
        Class::Success,
    ] {
        bench.call(class);
    }
    bench.pass(secs(60));
    assert_eq!(settles_in(&bench), Duration::ZERO, "after `open_for`");
    for _ in 0..3 {
        bench.call(Class::Success);
    }
    assert_eq!(
        settles_in(&bench),
        Duration::ZERO,
        "no failure is left in the window"
    );
    bench.call(Class::Failure);
    assert_eq!(
        settles_in(&bench),
        secs(1),
        "a failure is kept for `open_for`"
    );
    bench.pass(secs(1));
    assert_eq!(settles_in(&bench), Duration::ZERO);
    bench.call(Class::Failure);
    assert_eq!(bench.state(), "open");
    assert_eq!(settles_in(&bench), secs(2));
    bench.pass(secs(2));
    assert_eq!(settles_in(&bench), Duration::ZERO);
    bench.breaker.handle().force_open();
    assert_eq!(settles_in(&bench), Duration::MAX);
}

#[test]
fn a_reset_cell_equals_a_new_one() {
    let bench = Bench::open();
    bench.breaker.reset();
    assert_eq!(bench.state(), "closed");
    bench.call(Class::Failure);
    assert_eq!(bench.state(), "closed");
}

/// A table of 512 keys: one fails, and ten thousand others follow. The open breaker stays, and the
/// list of open keys has it and no other.
#[test]
fn an_open_breaker_is_not_evicted_for_closed_ones() {
    let first = CircuitBreaker::builder().window(2).build().unwrap();
    let handle = first.handle();
    let keyed = first.per_key(Authority, Missing::Admit, 512).unwrap();
    let bad = "https://bad.example/";
    for _ in 0..2 {
        ask_and_end(&keyed, bad, Class::Failure);
    }
    for n in 0..10_000 {
        let uri = format!("https://host-{n}.example/");
        assert!(ask_and_end(&keyed, &uri, Class::Success));
    }
    assert!(keyed.handle().evicted() > 5_000);
    assert!(!ask_and_end(&keyed, bad, Class::Success), "still open");
    let open = handle.open_keys(10, Instant::now());
    let keys: Vec<_> = open.iter().map(|open| open.key.as_deref()).collect();
    assert_eq!(keys, [Some("bad.example:443")]);
}

#[test]
fn the_list_of_open_keys_is_bounded() {
    let first = CircuitBreaker::builder().window(1).build().unwrap();
    let handle = first.handle();
    let keyed = first.per_key(Authority, Missing::Admit, 4_096).unwrap();
    for n in 0..100 {
        let uri = format!("https://host-{n}.example/");
        ask_and_end(&keyed, &uri, Class::Failure);
    }
    assert_eq!(handle.open_keys(30, Instant::now()).len(), 30);
    let all = handle.open_keys(1_000, Instant::now());
    assert_eq!(all.len(), 100);
    assert!(all.iter().all(|open| open.retry_after > Some(secs(4))));
}
