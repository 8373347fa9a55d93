//! Law 12 for the whole stack: a feature or a setting changes no other decision.

use std::time::Duration;

use futures_util::poll;
use http::{Response, StatusCode};
use plimsoll::{
    Class, GateLayer, Kind, Policy, Shadow, When,
    concurrency::ConcurrencyLimit,
    metrics::Metrics,
    policy::Verdict,
    rate_limit::{Quota, RateLimit},
};
use plimsoll_core::test_kit::{Script, Scripted, ScriptedError, request};
use tokio::time::{Instant, advance};
use tower::{Layer, Service, ServiceExt as _};

/// Runs one request to the end of its body.
async fn send<L, S, B>(layer: &L, script: Script) -> StatusCode
where
    L: Layer<Scripted, Service = S>,
    S: Service<plimsoll_core::test_kit::KitRequest, Response = Response<B>, Error = ScriptedError>,
    B: http_body::Body,
{
    let response = layer
        .layer(Scripted::default())
        .oneshot(request(script))
        .await
        .unwrap();
    let status = response.status();
    _ = http_body_util::BodyExt::collect(response.into_body()).await;
    status
}

/// The fused gate and the nested gates, with the counters of calls that ended behind them.
macro_rules! both {
    ($metrics:ident, $rate:expr, $concurrency:expr) => {{
        let fused = GateLayer::builder(($rate, $concurrency))
            .observe($metrics.gate("fused"))
            .build();
        let inner = GateLayer::builder($concurrency)
            .observe($metrics.gate("nested"))
            .build();
        (fused, (GateLayer::new($rate), inner))
    }};
}

#[tokio::test(start_paused = true)]
async fn law_12_fused_and_nested_layers_make_the_same_decisions() {
    let scripts = [
        (Script::Body, 200, Class::Success),
        (Script::Status(StatusCode::NOT_FOUND), 404, Class::Ignored),
        (Script::Trailers("13"), 200, Class::Failure),
    ];
    let metrics = Metrics::new();
    let rate = || RateLimit::new(Quota::per_second(2).burst(20)).unwrap();
    let concurrency = || ConcurrencyLimit::new(5).unwrap();
    let (fused, (outer, inner)) = both!(metrics, rate(), concurrency());
    let nested = tower::ServiceBuilder::new()
        .layer(&outer)
        .layer(&inner)
        .into_inner();

    // The token bucket in tenths of a token: 2 are added per 100 ms, a request takes 10.
    let (mut tenths, mut rejected, mut ended) = (200, 0, [0; Class::ALL.len()]);
    for n in 0..60 {
        let (script, status, class) = &scripts[n % scripts.len()];
        let expected = if tenths >= 10 {
            tenths -= 10;
            ended[class.index()] += 1;
            *status
        } else {
            rejected += 1;
            429
        };
        assert_eq!(
            send(&fused, script.clone()).await,
            expected,
            "fused, request {n}"
        );
        assert_eq!(
            send(&nested, script.clone()).await,
            expected,
            "nested, request {n}"
        );
        advance(Duration::from_millis(100)).await;
        tenths = (tenths + 2).min(200);
    }
    assert_eq!((rejected, ended.iter().sum::<u64>()), (29, 31));
    for gate in ["fused", "nested"] {
        let counts = metrics.gate(gate).counts();
        let seen = Class::ALL.map(|class| counts.finished(class));
        assert_eq!(seen, ended, "{gate}");
    }
}

#[tokio::test(start_paused = true)]
async fn law_12_fused_and_nested_layers_make_the_same_rejections_when_full() {
    let metrics = Metrics::new();
    let rate = || RateLimit::new(Quota::per_second(1_000).burst(1_000)).unwrap();
    let concurrency = || ConcurrencyLimit::new(5).unwrap();
    let (fused, (outer, inner)) = both!(metrics, rate(), concurrency());
    let nested = tower::ServiceBuilder::new()
        .layer(&outer)
        .layer(&inner)
        .into_inner();
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut calls = (
            Box::pin(send(&fused, Script::Hang)),
            Box::pin(send(&nested, Script::Hang)),
        );
        assert!(poll!(&mut calls.0).is_pending() && poll!(&mut calls.1).is_pending());
        held.push(calls);
    }
    assert_eq!(send(&fused, Script::Body).await, 503);
    assert_eq!(send(&nested, Script::Body).await, 503);
    held.pop();
    assert_eq!(send(&fused, Script::Body).await, 200);
    assert_eq!(send(&nested, Script::Body).await, 200);
}

/// The results of five requests at one instant: `None` when admitted, or the kind of rejection and
/// the time to wait.
fn five(policy: &impl Policy<()>) -> [Option<(Kind, Option<Duration>)>; 5] {
    let now = Instant::now();
    [(); 5].map(|()| match policy.admit(&mut (), now) {
        Verdict::Admit(_) => None,
        Verdict::Reject(rejection) => Some((rejection.kind(), rejection.retry_after())),
        Verdict::Wait(_) => panic!("no policy of this test queues"),
    })
}

#[test]
fn law_12_a_policy_that_is_disabled_changes_no_decision() {
    let quota = || Quota::per_second(1).burst(2);
    let limit = || RateLimit::new(quota()).unwrap();
    let over = Some((Kind::OverQuota, Some(Duration::from_secs(1))));
    let rejects_three = [None, None, over, over, over];
    assert_eq!(five(&limit()), rejects_three);

    // A name announces the quota and changes no decision.
    assert_eq!(
        five(&RateLimit::new(quota().named("n")).unwrap()),
        rejects_three
    );

    // A shadowed limit admits all requests, and a limit beside it decides as if it were alone.
    let shadow = Shadow::new(limit());
    assert_eq!(five(&shadow), [None; 5]);
    assert_eq!(
        (
            shadow.handle().would_admit(),
            shadow.handle().would_reject()
        ),
        (2, 3)
    );
    assert_eq!(five(&(Shadow::new(limit()), limit())), rejects_three);

    // A limit whose condition is false is not consulted and keeps its tokens.
    let others = When::new(|(): &()| false, limit());
    assert_eq!(five(&others), [None; 5]);
    assert_eq!(others.get_ref().available(Instant::now()), 2);
    assert_eq!(five(&(others, limit())), rejects_three);
}

#[test]
fn law_12_features_are_off_by_default_and_no_published_crate_has_unsafe_code() {
    let crates = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut published = 0;
    for folder in std::fs::read_dir(crates).unwrap() {
        let folder = folder.unwrap().path();
        let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
        let manifest = read("Cargo.toml");
        if manifest.lines().any(|line| line == "publish = false") {
            continue;
        }
        assert!(
            read("src/lib.rs").contains("#![forbid(unsafe_code)]"),
            "{folder:?}"
        );
        let default = manifest.lines().find(|line| line.starts_with("default ="));
        assert!(
            default.is_none_or(|line| line == "default = []"),
            "{folder:?}: {default:?}"
        );
        published += 1;
    }
    assert_eq!(published, 13);
}
