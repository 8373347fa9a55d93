//! A trace is kept or left out as a whole, in every service on its path.

use http::Request;
use plimsoll_core::{Policy, policy::Verdict};
use plimsoll_sampling::{ByKey, Rates, Sampled, Sampling, TraceId};
use tokio::time::Instant;

use crate::Load;

/// A hop of a trace: each service is its own process.
type Hop = Sampling<Load, ByKey<TraceId>>;

fn hop(rate: f64) -> Hop {
    let rates = Rates {
        min: rate,
        ..Rates::DEFAULT
    };
    Sampling::new(Load::new(1.0), rates)
        .expect("valid")
        .by_key(TraceId)
}

/// The request of one hop. Each hop has its own parent id and flags.
fn request(trace: u128, parent: u64, flags: u8) -> Request<()> {
    let header = format!("00-{trace:032x}-{parent:016x}-{flags:02x}");
    Request::builder()
        .header("traceparent", header)
        .body(())
        .expect("valid")
}

/// Sends a trace through the hops, and returns which of them kept it.
fn travel(trace: u128, hops: &[Hop], dice: &mut fastrand::Rng) -> Vec<bool> {
    let at = |hop: &Hop| {
        let mut req = request(trace, dice.u64(1..), dice.u8(0..2));
        let verdict = hop.admit(&mut req, Instant::now());
        assert!(matches!(verdict, Verdict::Admit(_)));
        Sampled::of(&req).keep
    };
    hops.iter().map(at).collect()
}

#[test]
fn a_trace_is_kept_or_left_out_as_a_whole_and_the_share_kept_is_the_rate() {
    const TRACES: u32 = 4_000;
    for rate in [0.01, 0.25, 0.5, 0.9] {
        let hops = [hop(rate), hop(rate), hop(rate), hop(rate), hop(rate)];
        let mut dice = fastrand::Rng::with_seed(0x0074_7261_6365);
        let mut kept = 0.0;
        for n in 0..TRACES {
            // Random ids, and consecutive ids as of some tracers.
            let trace = if n % 2 == 0 { dice.u128(1..) } else { n.into() };
            let decisions = travel(trace, &hops, &mut dice);
            assert!(
                decisions.iter().all(|keep| *keep == decisions[0]),
                "{trace:x}: {decisions:?}"
            );
            kept += f64::from(u8::from(decisions[0]));
        }
        let traces = f64::from(TRACES);
        let sigma = (traces * rate * (1.0 - rate)).sqrt();
        let off = (kept - traces * rate).abs() / sigma;
        assert!(off < 4.0, "rate {rate}: kept {kept}, {off} sigma off");
        assert!(hops.iter().all(|hop| hop.get_draw().keyless() == 0));
    }
}

/// Services have different loads: a trace that one keeps is kept by every service with a higher
/// rate.
#[test]
fn a_service_keeps_the_traces_that_a_busier_service_keeps() {
    let hops = [hop(0.9), hop(0.5), hop(0.1)];
    let mut dice = fastrand::Rng::with_seed(3);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..2_000 {
        let trace = dice.u128(1..);
        seen.insert(travel(trace, &hops, &mut dice));
    }
    let all = [
        vec![false, false, false],
        vec![true, false, false],
        vec![true, true, false],
        vec![true, true, true],
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all);
}
