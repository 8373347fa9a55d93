//! What a dashboard reads of a breaker.
#![allow(
    clippy::float_cmp,
    reason = "counts, and times that are exact in binary"
)]

use std::sync::{Arc, Mutex};

use plimsoll_circuit_breaker::{CircuitBreaker, CircuitBreakerHandle};
use plimsoll_core::{
    Authority, Class, Missing, Outcome, Policy,
    figures::{self, Change, Figure, Figures},
    policy::Verdict,
};
use tokio::time::{Instant, advance};

use super::{millis, secs, small};

/// The state in words, and the other figures by name.
fn read(of: &impl Figures, name: &str) -> f64 {
    let mut value = None;
    of.read(&mut |figure, read| value = value.or((figure.name == name).then_some(read)));
    value.unwrap()
}

fn state(of: &impl Figures) -> &'static str {
    let mut state = None;
    of.read(&mut |figure, value| {
        state = state.or_else(|| figure.state_name(value));
    });
    state.unwrap()
}

fn end(policy: &impl Policy<http::Request<()>>, uri: &str, class: Class) {
    let now = Instant::now();
    let mut req = http::Request::get(uri).body(()).unwrap();
    if let Verdict::Admit(permit) = policy.admit(&mut req, now) {
        policy.finish(permit, &Outcome::new(class, secs(0), now));
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_to_a_probe_counts_down_while_the_breaker_is_open() {
    let breaker = small().build().unwrap();
    let handle = breaker.handle();
    assert_eq!(state(&handle), "closed");
    assert!(read(&handle, "probe_in").is_nan());
    for _ in 0..2 {
        end(&breaker, "/", Class::Failure);
    }
    assert_eq!((state(&handle), read(&handle, "probe_in")), ("open", 1.0));
    assert_eq!(
        (read(&handle, "open_keys"), read(&handle, "transitions")),
        (1.0, 1.0)
    );
    advance(millis(750)).await;
    assert_eq!(read(&handle, "probe_in"), 0.25);
    handle.force_open();
    assert_eq!(state(&handle), "forced-open");
    assert!(read(&handle, "probe_in").is_nan());
}

#[tokio::test(start_paused = true)]
async fn the_figures_of_a_breaker_per_key_are_those_of_its_worst_key() {
    let first = small().build().unwrap();
    let handle = first.handle();
    let keyed = first.per_key(Authority, Missing::Admit, 100).unwrap();
    let open = |uri| {
        for _ in 0..2 {
            end(&keyed, uri, Class::Failure);
        }
    };
    open("https://a.example/");
    advance(millis(600)).await;
    open("https://b.example/");
    end(&keyed, "https://c.example/", Class::Success);
    assert_eq!((state(&handle), read(&handle, "open_keys")), ("open", 2.0));
    assert_eq!(read(&handle, "probe_in"), 0.4, "that of the first key");

    // The first key is half-open, the second still open.
    advance(millis(400)).await;
    let mut req = http::Request::get("https://a.example/").body(()).unwrap();
    let Verdict::Admit(permit) = keyed.admit(&mut req, Instant::now()) else {
        panic!("a probe");
    };
    assert_eq!((state(&handle), read(&handle, "open_keys")), ("open", 2.0));
    let outcome = Outcome::new(Class::Success, secs(0), Instant::now());
    Policy::<http::Request<()>>::finish(&keyed, permit, &outcome);
    end(&keyed, "https://a.example/", Class::Success);
    assert_eq!((state(&handle), read(&handle, "open_keys")), ("open", 1.0));

    // The table has the same figures, and its own.
    let table = keyed.handle();
    assert_eq!((table.policy(), state(&table)), ("circuit-breaker", "open"));
    assert_eq!(
        (read(&table, "keys"), read(&table, "key_capacity")),
        (3.0, 512.0)
    );
}

#[test]
fn changes_have_the_key_the_reason_and_whether_they_were_made_by_hand() {
    let first = small().build().unwrap();
    let handle: CircuitBreakerHandle = first.handle();
    let keyed = first.per_key(Authority, Missing::Admit, 100).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    handle.on_change(Arc::new(move |change: &Change| {
        log.lock().unwrap().push(change.clone());
    }));
    for _ in 0..2 {
        end(&keyed, "https://a.example/", Class::Failure);
    }
    let alone = CircuitBreaker::new();
    let log = Arc::clone(&seen);
    alone.handle().on_change(Arc::new(move |change: &Change| {
        log.lock().unwrap().push(change.clone());
    }));
    alone.handle().trip(secs(1));
    let seen = seen.lock().unwrap();
    let words: Vec<_> = seen
        .iter()
        .map(|change| {
            let name = |value| change.figure.state_name(value).unwrap();
            let key = change.key.as_deref();
            (
                name(change.from),
                name(change.to),
                change.reason.as_str(),
                key,
                change.by_hand,
            )
        })
        .collect();
    let expected = [
        (
            "closed",
            "open",
            "failure-rate",
            Some("a.example:443"),
            false,
        ),
        ("closed", "open", "tripped", None, true),
    ];
    assert_eq!(words, expected);
}

#[test]
fn an_unknown_rate_is_nan() {
    let handle = small().build().unwrap().handle();
    assert!(read(&handle, figures::FAILURE_RATE.name).is_nan());
    let mut names: Vec<&'static Figure> = Vec::new();
    handle.read(&mut |figure, _| names.push(figure));
    assert!(names.iter().any(|figure| figure.is(&figures::REJECTED)));
}
