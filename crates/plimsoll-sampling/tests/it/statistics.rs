//! Volumes and estimates, with bounds of four standard errors (exceeded once in 16,000 runs; the
//! seeds are fixed).

use http::Request;
use plimsoll_core::{Policy, policy::Verdict};
use plimsoll_sampling::{Rates, Sampled, Sampling};
use tokio::time::Instant;

use crate::Load;

const OFFERED: u32 = 200_000;
const RATES: Rates = Rates {
    base: 1.0,
    min: 0.01,
    threshold: 0.7,
};

fn mark<P: Policy<Request<u32>>>(policy: &P, id: u32) -> Sampled {
    let mut req = Request::new(id);
    assert!(matches!(
        policy.admit(&mut req, Instant::now()),
        Verdict::Admit(_)
    ));
    Sampled::of(&req)
}

/// Offers requests at a load, and checks how many are kept and the estimate of how many were
/// offered.
fn check<P: Policy<Request<u32>>>(policy: &P, load: f64) {
    let (offered, rate) = (f64::from(OFFERED), RATES.rate(load));
    let (mut kept, mut estimate) = (0.0, 0.0);
    for id in 0..OFFERED {
        let sampled = mark(policy, id);
        assert!((sampled.rate - rate).abs() < 1e-12);
        kept += f64::from(u8::from(sampled.keep));
        estimate += sampled.weight();
    }
    let sigma = (offered * rate * (1.0 - rate)).sqrt();
    let off = (kept - offered * rate).abs();
    assert!(
        off <= 4.0 * sigma,
        "load {load}: kept {kept}, {} sigma off",
        off / sigma
    );
    let off = (estimate - offered).abs();
    assert!(
        off <= 4.0 * sigma / rate,
        "load {load}: estimated {estimate}"
    );
}

const LOADS: [f64; 6] = [0.5, 0.7, 0.75, 0.85, 0.99, 4.0];

#[test]
fn random_draws_are_unbiased() {
    fastrand::seed(0x0711_2507);
    for load in LOADS {
        check(&Sampling::new(Load::new(load), RATES).expect("valid"), load);
    }
}

#[test]
fn draws_by_key_are_unbiased() {
    for load in LOADS {
        let key = |req: &Request<u32>| Some(*req.body());
        check(
            &Sampling::new(Load::new(load), RATES)
                .expect("valid")
                .by_key(key),
            load,
        );
    }
}

#[test]
fn an_estimate_across_changing_load_is_unbiased() {
    fastrand::seed(0x0510_1789);
    let load = Load::new(0.0);
    let sampling = Sampling::new(load.clone(), RATES).expect("valid");
    let (mut estimate, mut variance) = (0.0, 0.0);
    for id in 0..OFFERED {
        load.set(f64::from(id % 1000) / 800.0);
        let sampled = mark(&sampling, id);
        estimate += sampled.weight();
        variance += (1.0 - sampled.rate) / sampled.rate;
    }
    let off = (estimate - f64::from(OFFERED)).abs();
    assert!(off <= 4.0 * variance.sqrt(), "estimated {estimate}");
    let handle = sampling.handle();
    assert_eq!(handle.kept() + handle.skipped(), u64::from(OFFERED));
}
