//! Which requests are shed at which load.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use plimsoll_core::{
    ByHeader, Criticality, GateLayer, Kind, Policy, Priority, Same, When,
    policy::{Condition as _, Verdict},
};
use plimsoll_load_shed::{LoadShed, LoadShedLayer};
use proptest::prelude::*;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};

use crate::{Dial, admits, shed_by, with_cohorts};

type Body = Empty<bytes::Bytes>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_level_is_shed_only_if_all_lower_levels_are(load in 0.0..1.2_f64) {
        let shed = shed_by(&Dial::at(load));
        let admitted: Vec<_> = with_cohorts().into_iter().map(|priority| admits(&shed, priority)).collect();
        prop_assert!(admitted.is_sorted(), "an admitted level below a shed one");
    }

    #[test]
    fn a_shed_level_stays_shed_when_the_load_rises(one in 0.0..1.2_f64, other in 0.0..1.2_f64) {
        let dial = Dial::at(one.min(other));
        let shed = shed_by(&dial);
        let before: Vec<_> = with_cohorts().into_iter().map(|priority| admits(&shed, priority)).collect();
        dial.set(one.max(other));
        for (priority, before) in with_cohorts().into_iter().zip(before) {
            prop_assert!(before || !admits(&shed, priority), "{priority:?} was shed at a lower load");
        }
    }

    #[test]
    fn the_shed_share_of_even_cohorts_is_the_position_in_the_ramp(
        millionths in 0_u32..1_200_000,
    ) {
        let shed = shed_by(&Dial::at(f64::from(millionths) / 1e6));
        let threshold = shed.handle().threshold();
        prop_assert_eq!(u32::from(threshold), (millionths * 512 / 1_000_000).min(511));
        let kept = with_cohorts().into_iter().filter(|priority| admits(&shed, *priority)).count();
        let levels = with_cohorts().into_iter().filter(|priority| priority.level() >= threshold).count();
        prop_assert_eq!(kept, levels);
    }
}

#[test]
fn requests_without_a_cohort_are_shed_in_proportion() {
    fastrand::seed(7);
    let dial = Dial::default();
    let shed = shed_by(&dial);
    for (load, criticality, share) in [
        (0.125, Criticality::Sheddable, 0.5),
        (0.3125, Criticality::SheddablePlus, 0.25),
        (0.6875, Criticality::Critical, 0.75),
        (0.875, Criticality::CriticalPlus, 0.5),
    ] {
        dial.set(load);
        let asked = 20_000;
        let refused = (0..asked)
            .filter(|_| !admits(&shed, criticality.into()))
            .count();
        let got = refused as f64 / f64::from(asked);
        // Five standard deviations of a fair draw.
        assert!(
            (got - share).abs() < 0.018,
            "{criticality}: {got} shed instead of {share}"
        );
        for other in Criticality::ALL {
            if other < criticality {
                assert!(
                    (0..100).all(|_| !admits(&shed, other.into())),
                    "{other} before {criticality}"
                );
            }
            if other > criticality {
                assert!(
                    (0..100).all(|_| admits(&shed, other.into())),
                    "{other} after {criticality}"
                );
            }
        }
    }
}

#[test]
fn the_draw_for_a_request_without_a_cohort_is_exact_at_the_edges_of_a_criticality() {
    fastrand::seed(13);
    let dial = Dial::default();
    let shed = shed_by(&dial);
    let asked = 128 * 1000;
    for criticality in Criticality::ALL {
        let lowest = f64::from(Priority::new(criticality).level());
        for (cohorts, tolerance) in [(0.0, 0), (1.5, 200), (127.5, 200)] {
            dial.set((lowest + cohorts) / 512.0);
            let refused = (0..asked)
                .filter(|_| !admits(&shed, criticality.into()))
                .count();
            // A tolerance of 200 is more than six standard deviations, and a fifth of one cohort.
            // Half a cohort is added against rounding: loads are in millionths.
            let expected = cohorts as usize * 1000;
            assert!(
                refused.abs_diff(expected) <= tolerance,
                "{criticality}, {cohorts} cohorts: {refused} shed instead of {expected}"
            );
        }
    }
}

#[test]
fn requests_of_one_cohort_get_the_same_decision() {
    let shed = shed_by(&Dial::at(0.6));
    for user in 0..200_u32 {
        let priority = Priority::default().cohort_of(user.to_le_bytes(), 0);
        let first = admits(&shed, priority);
        assert!(
            (0..20).all(|_| admits(&shed, priority) == first),
            "user {user}"
        );
    }
}

#[test]
fn at_full_load_only_the_top_level_is_admitted() {
    let shed = shed_by(&Dial::at(5.0));
    let kept: Vec<_> = with_cohorts()
        .into_iter()
        .filter(|priority| admits(&shed, *priority))
        .collect();
    assert_eq!(
        kept.iter()
            .map(|priority| priority.level())
            .collect::<Vec<_>>(),
        [511]
    );
}

#[test]
fn below_the_start_all_are_admitted_and_a_broken_signal_is_no_load() {
    for load in [0.0, 0.8, f64::NAN, -3.0, f64::NEG_INFINITY] {
        let shed = LoadShed::new(move || load).priorities(Same(Criticality::Sheddable.into()));
        assert!(
            matches!(shed.admit(&mut (), Instant::now()), Verdict::Admit(_)),
            "at {load}"
        );
    }
    let shed = LoadShed::new(|| f64::INFINITY).priorities(Same(Criticality::Critical.into()));
    assert!(matches!(
        shed.admit(&mut (), Instant::now()),
        Verdict::Reject(_)
    ));
}

#[test]
fn a_rejection_has_kind_full_and_a_retry_hint() {
    let shed = LoadShed::new(|| 2.0).priorities(Same(Priority::default()));
    let Verdict::Reject(rejection) = shed.admit(&mut (), Instant::now()) else {
        panic!("admitted")
    };
    assert_eq!(
        (rejection.policy(), rejection.kind()),
        ("load-shed", Kind::Full)
    );
    assert_eq!(rejection.retry_after(), Some(Duration::from_secs(1)));
}

#[tokio::test]
async fn the_header_names_the_priority_and_health_checks_are_exempt() {
    let by_header =
        ByHeader::trusted().criticality_header(http::HeaderName::from_static("x-criticality"));
    let shed = LoadShed::new(|| 0.93).priorities(by_header);
    let handle = shed.handle();
    let layer = GateLayer::new(When::new(
        |req: &Request<Body>| req.uri().path() != "/health",
        shed,
    ));
    let service = layer.layer(service_fn(|_: Request<Body>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Body::new()))
    }));
    let call = async |path: &str, criticality: &str| {
        let req = Request::get(path)
            .header("x-criticality", criticality)
            .body(Body::new())
            .unwrap();
        service.clone().oneshot(req).await.unwrap().status()
    };
    assert_eq!(
        call("/", "SHEDDABLE").await,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(call("/", "CRITICAL_PLUS").await, StatusCode::OK);
    assert_eq!(call("/health", "SHEDDABLE").await, StatusCode::OK);
    assert_eq!(handle.shed(Criticality::Sheddable), 1);
    assert_eq!(handle.admitted(Criticality::CriticalPlus), 1);
    assert_eq!(
        handle.admitted(Criticality::Sheddable),
        0,
        "exempt requests are not counted"
    );
}

#[tokio::test]
async fn law_01_all_services_of_a_layer_count_together() {
    let shed = LoadShed::new(|| 0.0);
    let handle = shed.handle();
    let layer: LoadShedLayer<_> = shed.into_layer();
    for _ in 0..3 {
        let service = layer.layer(service_fn(|_: Request<Body>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Body::new()))
        }));
        service.oneshot(Request::new(Body::new())).await.unwrap();
    }
    assert_eq!(handle.admitted(Criticality::Critical), 3);
}

#[test]
fn excepted_paths_are_exempt() {
    let asked = plimsoll_load_shed::except_paths(["/healthz", "/grpc.health.v1.Health/*"]);
    for (path, expected) in [
        ("/healthz", false),
        ("/healthz?verbose", false),
        ("/grpc.health.v1.Health/Check", false),
        ("/healthz/", true),
        ("/healthzz", true),
        ("/", true),
    ] {
        let req = Request::get(path).body(()).unwrap();
        assert_eq!(asked.holds(&req), expected, "{path}");
    }
    let shed = LoadShed::new(|| 9.0);
    let handle = shed.handle();
    let when = When::new(asked, shed);
    let admits = |path| {
        let mut req = Request::get(path).body(()).unwrap();
        matches!(when.admit(&mut req, Instant::now()), Verdict::Admit(_))
    };
    assert!(admits("/healthz"));
    assert!(!admits("/orders"));
    assert_eq!(handle.admitted(Criticality::Critical), 0);
}
