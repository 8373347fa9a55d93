//! Forged priorities gain nothing.

use http::{HeaderValue, Request};
use plimsoll_core::{
    ByHeader, ClientIp, Criticality, Policy,
    key::PeerAddr,
    policy::{Prioritize, Verdict},
    wire,
};
use plimsoll_load_shed::LoadShed;
use tokio::time::Instant;

/// Loads at which the default ramp sheds a part or all of `CRITICAL`.
const OVERLOADS: [f64; 4] = [0.91, 0.93, 0.95, 1.0];
/// Loads at which it sheds a part of `CRITICAL`.
const PARTIAL: [f64; 2] = [0.91, 0.93];

/// A request of one of 2^16 peers, as gRPC metadata where `grpc`.
fn request(peer: u16, forged: bool, grpc: bool) -> Request<()> {
    let [high, low] = peer.to_be_bytes();
    let mut req = Request::post("/").body(()).unwrap();
    req.extensions_mut()
        .insert(PeerAddr(([10, 0, high, low], 1).into()));
    let headers = req.headers_mut();
    if grpc {
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    }
    if forged {
        headers.insert(wire::CRITICALITY, HeaderValue::from_static("CRITICAL_PLUS"));
        headers.insert(wire::COHORT, HeaderValue::from_static("127"));
    }
    req
}

/// How many requests of 1,000 peers are admitted at this load.
fn admitted(
    priorities: impl Prioritize<Request<()>> + 'static,
    load: f64,
    forged: bool,
    grpc: bool,
) -> usize {
    let shed = LoadShed::new(move || load).priorities(priorities);
    let admits = |peer: &u16| {
        let mut req = request(*peer, forged, grpc);
        matches!(shed.admit(&mut req, Instant::now()), Verdict::Admit(_))
    };
    (0..1_000).filter(admits).count()
}

#[test]
fn a_forged_priority_of_an_untrusted_caller_is_shed_like_an_ordinary_one() {
    let untrusted = || ByHeader::untrusted(ClientIp::peer()).salt(5);
    for load in OVERLOADS {
        let ordinary = admitted(untrusted(), load, false, false);
        for grpc in [false, true] {
            let forgers = admitted(untrusted(), load, true, grpc);
            assert_eq!(forgers, ordinary, "at {load}, gRPC: {grpc}");
        }
    }
    // Some callers are admitted and some are shed, so the figures above can differ.
    for load in PARTIAL {
        let ordinary = admitted(untrusted(), load, false, false);
        assert!((1..1_000).contains(&ordinary), "{ordinary} at {load}");
    }
    // Control: with trusted headers the same requests are all admitted.
    let trusted = admitted(ByHeader::trusted(), 0.93, true, false);
    assert_eq!(trusted, 1_000);
}

#[test]
fn an_untrusted_caller_gains_nothing_by_repeating_requests() {
    let priorities = ByHeader::untrusted(ClientIp::peer()).salt(5);
    let shed = LoadShed::new(|| 0.93).priorities(priorities);
    for peer in 0..200 {
        let admits = |forged| {
            let mut req = request(peer, forged, false);
            matches!(shed.admit(&mut req, Instant::now()), Verdict::Admit(_))
        };
        let first = admits(false);
        assert!((0..50).all(|n| admits(n % 2 == 0) == first), "peer {peer}");
    }
}

#[test]
fn an_untrusted_caller_can_lower_its_own_requests() {
    let priorities = ByHeader::untrusted(ClientIp::peer());
    let mut req = request(1, false, false);
    req.headers_mut()
        .insert(wire::CRITICALITY, HeaderValue::from_static("SHEDDABLE"));
    assert_eq!(
        priorities.priority(&req).criticality(),
        Criticality::Sheddable
    );
}
