//! The latency of each route at rest.

use std::time::Duration;

use plimsoll_concurrency::Baselines;
use tokio::time::Instant;

const MS: Duration = Duration::from_millis(1);

fn fill(baselines: &Baselines, key: &str, latency: Duration, now: Instant) -> f64 {
    let route = baselines.route(key);
    (0..32)
        .map(|call| baselines.record(route, latency, now + call * 4 * MS))
        .fold(0.0, f64::max)
}

#[test]
fn routes_have_baselines_of_their_own_whatever_their_mix() {
    let (baselines, now) = (Baselines::new(16).unwrap(), Instant::now());
    let (fast, slow) = (baselines.route("/fast"), baselines.route("/slow"));
    assert_eq!((baselines.baseline(fast), fast == slow), (None, false));
    assert_eq!(
        fill(&baselines, "/fast", 2 * MS, now),
        1.0,
        "nothing is known yet"
    );
    fill(&baselines, "/slow", 200 * MS, now);
    assert_eq!(baselines.baseline(fast), Some(2 * MS));
    assert_eq!(baselines.baseline(slow), Some(200 * MS));
    for (route, latency) in [(fast, 3 * MS), (slow, 300 * MS)] {
        assert_eq!(baselines.record(route, latency, now), 1.5);
    }
}

#[test]
fn a_route_that_became_slow_is_normal_after_ten_to_twenty_seconds() {
    let (baselines, start) = (Baselines::new(1).unwrap(), Instant::now());
    let route = baselines.route("/");
    for second in 0..60 {
        let latency = if second < 30 { 10 * MS } else { 30 * MS };
        fill(
            &baselines,
            "/",
            latency,
            start + Duration::from_secs(second),
        );
        let known = baselines.baseline(route).unwrap();
        match second {
            0..40 => assert_eq!(known, 10 * MS),
            50.. => assert_eq!(known, 30 * MS),
            _ => {}
        }
    }
    fill(&baselines, "/", 5 * MS, start + Duration::from_secs(60));
    assert_eq!(
        baselines.baseline(route),
        Some(5 * MS),
        "what is faster counts at once"
    );
}

#[test]
fn heavy_tails_do_not_make_the_baseline_too_low() {
    let (baselines, start) = (Baselines::new(1).unwrap(), Instant::now());
    let route = baselines.route("/");
    let mut draw = fastrand::Rng::with_seed(5);
    // Log-normal with sigma 1: the median is 10 ms, the mean 16.5 ms.
    let mut latency = || {
        let (one, two) = (1.0 - draw.f64(), draw.f64());
        let normal = (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * two).cos();
        Duration::from_secs_f64(0.010 * normal.exp())
    };
    let mut lows = Vec::new();
    for call in 0..100_000_u32 {
        baselines.record(route, latency(), start + call * MS);
        if call % 1000 == 999 {
            lows.push(baselines.baseline(route).unwrap().as_secs_f64());
        }
    }
    let mean = lows.iter().sum::<f64>() / lows.len() as f64;
    assert!((0.0135..0.0165).contains(&mean), "{mean}");
}

#[test]
fn a_rare_route_has_a_baseline_of_few_calls() {
    let (baselines, start) = (Baselines::new(1).unwrap(), Instant::now());
    let route = baselines.route("/");
    for call in 0..4 {
        baselines.record(route, 10 * MS, start + Duration::from_secs(5 * call));
    }
    assert_eq!(baselines.baseline(route), Some(10 * MS));
}

#[test]
fn the_table_is_bounded_and_those_without_a_place_share_one() {
    let (baselines, now) = (Baselines::new(8).unwrap(), Instant::now());
    let routes: Vec<_> = (0..1000).map(|key| baselines.route(key)).collect();
    assert_eq!(baselines.sharing(), 992);
    let again: Vec<_> = (0..1000).map(|key| baselines.route(key)).collect();
    assert_eq!(routes, again);
    let shared = routes[999];
    assert_eq!(routes.iter().filter(|&&route| route == shared).count(), 992);
    for call in 0..32 {
        baselines.record(shared, 7 * MS, now + call * 4 * MS);
    }
    assert_eq!(baselines.baseline(shared), Some(7 * MS));
}

#[test]
fn law_09_a_bad_number_of_routes_fails_at_construction() {
    assert_eq!(
        Baselines::new(0).unwrap_err().to_string(),
        "routes are 0, but must be 1 to 4096"
    );
    assert!(Baselines::new(4096).is_ok() && Baselines::new(4097).is_err());
}
