//! Every interleaving of a few requests that depart, are queued, leave the queue and are revoked.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    task::Wake,
    time::Duration,
};

use loom::{sync::Arc, thread};

use super::*;

/// One departure every ten nanoseconds.
fn ten() -> Arc<State> {
    let settings = Settings::new(100, Duration::from_nanos(1000)).unwrap();
    Arc::new(State::new(std::sync::Arc::new(settings)))
}

const ROOM: Bounds = Bounds {
    max_waiting: 8,
    max_wait: 1000,
    deadline: None,
};

/// Runs in a separate thread: loom tries fewer orders with the thread that spawned the others.
fn at_once<T: 'static>(
    state: &Arc<State>,
    act: impl FnOnce(&State) -> T + 'static,
) -> thread::JoinHandle<T> {
    let state = Arc::clone(state);
    thread::spawn(move || act(&state))
}

/// A request arrives, as in the policy: returns its departure, or its ticket and departure time.
fn arrive(state: &State, now: u64) -> Result<Departure, (Ticket, u64)> {
    if let Some(departure) = state.enter(1, now) {
        return Ok(departure);
    }
    assert_eq!(
        state.wait_for_room(ROOM, now),
        None,
        "rejected although there is room"
    );
    match state.join(1, ROOM, now) {
        Joined::Departed(departure) => Ok(departure),
        Joined::Waiting { ticket, turn } => Err((ticket, turn)),
        other => panic!("{other:?}"),
    }
}

fn leaves_at(state: &State, ticket: Ticket, now: u64) -> u64 {
    state.advance(now);
    match state.ask(ticket, Waker::noop()) {
        Turn::Now(departure) => departure.slot,
        other => panic!("{other:?} at {now}"),
    }
}

fn is_idle_from(state: &State, time: u64) {
    assert_eq!((state.waiting(), state.backlog()), (0, 0));
    assert_eq!(state.word().marked(false).time(), time);
    assert!(!state.word().has_waiters());
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn of_simultaneous_arrivals_one_departs_and_the_others_are_queued() {
    loom::model(|| {
        let state = ten();
        let two = [(); 2].map(|()| at_once(&state, |state| arrive(state, 0)));
        let [one, two] = two.map(|other| other.join().unwrap());
        let all = [one, two, arrive(&state, 0)];
        let mut turns: Vec<_> = all.into_iter().filter_map(Result::err).collect();
        turns.sort_by_key(|(_, turn)| *turn);
        assert_eq!(turns.len(), 2, "one has departed");
        for ((ticket, turn), at) in turns.into_iter().zip([10, 20]) {
            assert_eq!((turn, leaves_at(&state, ticket, at)), (at, at));
        }
        is_idle_from(&state, 30);
    });
}

#[test]
fn readers_without_the_lock_count_a_departure_once() {
    loom::model(|| {
        let state = ten();
        assert!(arrive(&state, 0).is_ok());
        let (first, _) = arrive(&state, 0).unwrap_err();
        let (second, _) = arrive(&state, 0).unwrap_err();
        let advancing = Arc::clone(&state);
        let other = thread::spawn(move || advancing.advance(10));
        let looking = Arc::clone(&state);
        let looker = thread::spawn(move || {
            // An arrival at 9 would depart at 30, whether or not the first waiter has departed.
            let exactly = Bounds {
                max_wait: 21,
                ..ROOM
            };
            assert_eq!(looking.wait_for_room(exactly, 9), None, "counted twice");
        });
        looker.join().unwrap();
        other.join().unwrap();
        assert_eq!(leaves_at(&state, first, 10), 10);
        assert_eq!(leaves_at(&state, second, 20), 20);
        is_idle_from(&state, 30);
    });
}

#[test]
fn a_waiter_that_becomes_the_first_sees_it_or_is_woken() {
    loom::model(|| {
        let state = ten();
        assert!(arrive(&state, 0).is_ok());
        let (first, _) = arrive(&state, 0).unwrap_err();
        let (second, _) = arrive(&state, 0).unwrap_err();
        let leaving = Arc::clone(&state);
        let gone = thread::spawn(move || assert_eq!(leaving.withdraw(first), None));
        let woken = std::sync::Arc::new(Woken::default());
        let waker = Waker::from(std::sync::Arc::clone(&woken));
        let asked = at_once(&state, move |state| state.ask(second, &waker))
            .join()
            .unwrap();
        gone.join().unwrap();
        let knows = asked == Turn::Next(10);
        assert_eq!(woken.0.load(SeqCst), usize::from(!knows));
        assert_eq!(leaves_at(&state, second, 10), 10);
        is_idle_from(&state, 20);
    });
}

#[test]
fn a_waiter_that_leaves_as_it_is_admitted_passes_its_departure_on() {
    loom::model(|| {
        let state = ten();
        assert!(arrive(&state, 0).is_ok());
        let (first, _) = arrive(&state, 0).unwrap_err();
        let (second, _) = arrive(&state, 0).unwrap_err();
        let (leaving, advancing) = (Arc::clone(&state), Arc::clone(&state));
        let advancer = thread::spawn(move || advancing.advance(10));
        let gone = thread::spawn(move || {
            if let Some(departure) = leaving.withdraw(first) {
                leaving.revoke(departure, 10);
            }
        });
        advancer.join().unwrap();
        gone.join().unwrap();
        assert_eq!(leaves_at(&state, second, 10), 10);
        is_idle_from(&state, 20);
    });
}

#[test]
fn an_arrival_takes_the_time_of_a_revoked_departure() {
    loom::model(|| {
        let state = ten();
        let departure = arrive(&state, 0).unwrap();
        let revoking = Arc::clone(&state);
        let other = thread::spawn(move || revoking.revoke(departure, 4));
        let mine = at_once(&state, |state| arrive(state, 4)).join().unwrap();
        other.join().unwrap();
        if let Err((ticket, _)) = mine {
            assert_eq!(leaves_at(&state, ticket, 4), 4, "it is the first");
        }
        is_idle_from(&state, 14);
    });
}

#[test]
fn a_new_waiter_is_seen_when_the_last_one_leaves() {
    loom::model(|| {
        let state = ten();
        assert!(arrive(&state, 0).is_ok());
        let (first, _) = arrive(&state, 0).unwrap_err();
        let leaving = Arc::clone(&state);
        let gone = thread::spawn(move || {
            if let Some(departure) = leaving.withdraw(first) {
                leaving.revoke(departure, 10);
            }
        });
        let mine = at_once(&state, |state| arrive(state, 10)).join().unwrap();
        gone.join().unwrap();
        state.advance(10);
        match mine {
            Ok(departure) => assert_eq!(departure.slot, 10),
            Err((ticket, _)) => assert_eq!(leaves_at(&state, ticket, 10), 10),
        }
        is_idle_from(&state, 20);
    });
}

#[test]
fn a_changed_rate_is_applied_once() {
    loom::model(|| {
        let state = ten();
        assert!(arrive(&state, 0).is_ok());
        let (first, _) = arrive(&state, 0).unwrap_err();
        state
            .settings
            .set_rate(50, Duration::from_nanos(1000))
            .unwrap();
        let advancing = Arc::clone(&state);
        let other = thread::spawn(move || advancing.advance(0));
        let second = at_once(&state, |state| arrive(state, 0)).join().unwrap();
        let second = second.unwrap_err();
        other.join().unwrap();
        assert_eq!(second.1, 40);
        assert_eq!(leaves_at(&state, first, 20), 20);
        assert_eq!(leaves_at(&state, second.0, 40), 40);
        is_idle_from(&state, 60);
    });
}
