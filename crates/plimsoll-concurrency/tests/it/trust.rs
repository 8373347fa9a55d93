//! What a caller gains in the queue with a forged priority.

use std::time::Duration;

use http::Request;
use plimsoll_concurrency::{ConcurrencyLimit, ConcurrencyLimitWait};
use plimsoll_core::{
    ByHeader, ClientIp, Policy as _,
    key::PeerAddr,
    policy::{Prioritize, Verdict},
    wire,
};
use tokio::time::Instant;

/// The length of the queue.
const PLACES: usize = 20;

fn request(peer: u8, forged: bool) -> Request<()> {
    let mut req = Request::new(());
    req.extensions_mut()
        .insert(PeerAddr(([192, 0, 2, peer], 1).into()));
    if forged {
        let headers = req.headers_mut();
        headers.insert(wire::CRITICALITY, "CRITICAL_PLUS".parse().unwrap());
        headers.insert(wire::COHORT, "127".parse().unwrap());
    }
    req
}

/// Ordinary callers fill the queue; then as many callers with forged headers come from the same
/// addresses. Returns how many of these are queued in place of an ordinary caller.
fn queued_by_forging<R: Prioritize<Request<()>>>(priorities: R) -> usize {
    let limit = ConcurrencyLimit::new(1)
        .unwrap()
        .priorities(priorities)
        .queue(PLACES, Duration::from_secs(1))
        .unwrap();
    let now = Instant::now();
    let Verdict::Admit(running) = limit.admit(&mut request(0, false), now) else {
        panic!("the slot is free");
    };
    let mut waits: Vec<ConcurrencyLimitWait> = Vec::new();
    let mut queued = |peer, forged| match limit.admit(&mut request(peer, forged), now) {
        Verdict::Wait(wait) => {
            waits.push(wait);
            true
        }
        Verdict::Reject(_) => false,
        Verdict::Admit(_) => panic!("the slot is taken"),
    };
    // One address, so that all ordinary callers are equal, whatever the address hashes to.
    assert_eq!((0..PLACES).filter(|_| queued(7, false)).count(), PLACES);
    let forgers = (0..PLACES).filter(|_| queued(7, true)).count();
    for wait in waits {
        let mut wait = std::pin::pin!(wait);
        plimsoll_core::Policy::<Request<()>>::abandon(&limit, wait.as_mut(), now);
    }
    plimsoll_core::Policy::<Request<()>>::revoke(&limit, running, now, now);
    forgers
}

#[tokio::test(start_paused = true)]
async fn a_forged_priority_of_an_untrusted_caller_evicts_no_waiter() {
    assert_eq!(queued_by_forging(ByHeader::untrusted(ClientIp::peer())), 0);
    // As a control: what the same headers gain where they are trusted.
    assert_eq!(queued_by_forging(ByHeader::trusted()), PLACES);
}
