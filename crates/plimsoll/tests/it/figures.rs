//! The figures and changes of real policies, as the registry has them.

use std::{collections::BTreeSet, time::Duration};

use http::Request;
use plimsoll::{
    ClientIp, Criticality, Missing, Outcome, Policy, Shadow,
    circuit_breaker::{CircuitBreaker, State},
    client::{AdaptiveThrottle, Downstream, HedgeLayer, RetryBudget, RetryLayer},
    concurrency::{ConcurrencyLimit, FairShare, Partitions},
    fallback::Fallback,
    load_shed::{AdaptiveShed, LoadShed},
    metrics::{Alarm, Metrics},
    policy::Verdict,
    rate_limit::{LeakyBucket, Quota, RateLimit, SlidingLog},
    sampling::{Rates, Sampling},
    stream::{BoundedQueue, Hub, QueuePolicy},
};
use plimsoll_core::figures::{self, FigureKind, Figures};
use tokio::time::Instant;

/// A name, and the handle of a policy.
type Handle = (&'static str, Box<dyn Figures>);

/// A handle of each policy, with the name that it states.
fn all() -> Result<Vec<Handle>, Box<dyn std::error::Error>> {
    let limit = ConcurrencyLimit::new(8)?.queue(4, Duration::from_millis(50))?;
    let per_key = ConcurrencyLimit::new(2)?.per_key(ClientIp::peer(), Missing::Share, 100)?;
    let fair = FairShare::new(limit.handle());
    let partitions = Partitions::new(limit.handle(), [("a", 0.5)], |_: &Request<()>| Some("a"))?;
    let rate = || RateLimit::new(Quota::per_second(10));
    let load = || 0.5;
    let budget = RetryBudget::successes(0.1, 10)?;
    let quotas = RateLimit::all([Quota::per_second(10), Quota::per_minute(60)])?;
    Ok(vec![
        ("concurrency", Box::new(limit.handle())),
        ("concurrency", Box::new(per_key.handle())),
        ("fair-share", Box::new(fair.handle())),
        (
            "fair-share",
            Box::new(
                fair.per_key(ClientIp::peer(), Missing::Share, 100)?
                    .handle(),
            ),
        ),
        ("partition", Box::new(partitions.handle())),
        ("rate-limit", Box::new(rate()?.handle())),
        ("rate-limit", Box::new(quotas.handle())),
        (
            "rate-limit",
            Box::new(
                rate()?
                    .per_key(ClientIp::peer(), Missing::Share, 100)?
                    .handle(),
            ),
        ),
        (
            "leaky-bucket",
            Box::new(LeakyBucket::new(10, Duration::from_secs(1))?.handle()),
        ),
        (
            "sliding-log",
            Box::new(SlidingLog::new(10, Duration::from_secs(1))?.handle()),
        ),
        ("load-shed", Box::new(LoadShed::new(load).handle())),
        ("adaptive-shed", Box::new(AdaptiveShed::new(load).handle())),
        ("circuit-breaker", Box::new(CircuitBreaker::new().handle())),
        (
            "sampling",
            Box::new(Sampling::new(load, Rates::DEFAULT)?.handle()),
        ),
        (
            "fallback",
            Box::new(Fallback::answer(http::Response::new("")).handle()),
        ),
        (
            "retry",
            Box::new(
                RetryLayer::builder()
                    .budget(budget.clone())
                    .build()?
                    .handle(),
            ),
        ),
        (
            "hedge",
            Box::new(HedgeLayer::builder().budget(budget).build()?.handle()),
        ),
        (
            "adaptive-throttle",
            Box::new(AdaptiveThrottle::new().handle()),
        ),
        ("downstream", Box::new(Downstream::new().handle())),
        ("shadow", Box::new(Shadow::new(limit).handle())),
        (
            "queue",
            Box::new(BoundedQueue::<u8>::new(4, QueuePolicy::DropOldest)?),
        ),
        ("hub", Box::new(Hub::<u8>::new(4)?.figures())),
    ])
}

#[tokio::test]
async fn each_handle_shows_the_same_valid_figures_every_time() {
    let mut shown = 0;
    for (name, handle) in all().unwrap() {
        assert_eq!(handle.policy(), name);
        let read = || {
            let mut all = Vec::new();
            handle.read(&mut |figure, value| all.push((figure, value)));
            all
        };
        let (first, second) = (read(), read());
        assert!(first.iter().zip(&second).all(|(a, b)| a.0 == b.0) && first.len() == second.len());
        let mut names = BTreeSet::new();
        for (figure, value) in first {
            assert!(
                names.insert((figure.name, figure.label)),
                "{name}: {figure:?} twice"
            );
            let is_name = |name: &str| name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
            assert!(
                is_name(figure.name) && !figure.name.ends_with("_total"),
                "{figure:?}"
            );
            assert!(
                !figure.help.is_empty() && !figure.help.ends_with('.'),
                "{figure:?}"
            );
            match figure.kind {
                FigureKind::State(_) => assert!(figure.state_name(value).is_some(), "{figure:?}"),
                FigureKind::Counter => assert!(value >= 0.0, "{figure:?}: {value}"),
                _ => assert!(value.is_nan() || value >= 0.0, "{figure:?}: {value}"),
            }
            shown += 1;
        }
        handle.settings(&mut |name, text| {
            assert!(!name.is_empty() && !text.to_string().is_empty(), "{name}");
        });
    }
    assert!(shown > 100, "{shown}");
}

/// Figures of one name have one type, unit and help text, or an exporter would need two families.
#[tokio::test]
async fn figures_of_one_name_are_of_one_type() {
    let mut known = std::collections::BTreeMap::new();
    for (policy, handle) in all().unwrap() {
        handle.read(&mut |figure, _| {
            // States are those of the policy.
            let kind = match figure.kind {
                FigureKind::State(_) => "state".to_owned(),
                kind => format!("{kind:?} {}", figure.help),
            };
            let of = (kind, figure.unit, figure.label.map(|(label, _)| label));
            let before = known.entry(figure.name).or_insert_with(|| of.clone());
            assert_eq!(*before, of, "{policy}: {}", figure.name);
        });
    }
}

#[tokio::test]
async fn transitions_of_a_breaker_are_events_also_forced_ones() {
    let metrics = Metrics::new();
    let breaker = CircuitBreaker::builder().window(2).build().unwrap();
    let handle = breaker.handle();
    metrics.watch("edge", handle.clone()).unwrap();
    metrics.alarm(Alarm::breaker_open()).unwrap();
    for _ in 0..2 {
        end(&breaker, plimsoll::Class::Failure);
    }
    metrics.watcher().step(Instant::now());
    handle.force_closed();
    metrics.watcher().step(Instant::now());
    let events = metrics.events(0);
    let events: Vec<_> = events
        .iter()
        .map(|event| {
            let change = &event.change;
            let name = |value| change.figure.state_name(value).unwrap();
            (
                event.policy.as_str(),
                name(change.from),
                name(change.to),
                change.by_hand,
            )
        })
        .collect();
    let expected = [
        ("circuit-breaker", "closed", "open", false),
        ("breaker_open", "cleared", "raised", false),
        ("circuit-breaker", "open", "forced-closed", true),
        ("breaker_open", "raised", "cleared", false),
    ];
    assert_eq!(events, expected);
}

fn end<P: Policy<Request<()>>>(policy: &P, class: plimsoll::Class) {
    let now = Instant::now();
    let mut req = Request::get("https://bad.example/").body(()).unwrap();
    if let Verdict::Admit(permit) = policy.admit(&mut req, now) {
        policy.finish(permit, &Outcome::new(class, Duration::ZERO, now));
    }
}

#[tokio::test]
async fn a_breaker_per_key_is_watched_by_its_table_or_its_handle() {
    let metrics = Metrics::new();
    let first = CircuitBreaker::builder().window(2).build().unwrap();
    let handle = first.handle();
    let keyed = first
        .per_key(plimsoll::Authority, Missing::Admit, 100)
        .unwrap();
    metrics.watch("edge", keyed.handle()).unwrap();
    for _ in 0..2 {
        end(&keyed, plimsoll::Class::Failure);
    }
    assert_eq!(handle.state(), State::Closed, "this one is of no key");
    let event = metrics.events(0).pop().unwrap();
    assert_eq!(event.change.key.as_deref(), Some("bad.example:443"));
    let snapshot = metrics.snapshot();
    let policy = &snapshot.gates[0].policies[0];
    let value = |figure| {
        policy
            .figures
            .iter()
            .find(|(known, _)| known.is(figure))
            .unwrap()
            .1
    };
    assert_eq!(
        (value(&figures::OPEN_KEYS), value(&figures::KEYS)),
        (1.0, 1.0)
    );
    assert!(value(&figures::PROBE_IN) > 0.0);
}

#[tokio::test]
async fn changes_by_hand_of_limits_and_settings_are_events() {
    let metrics = Metrics::new();
    let limit = ConcurrencyLimit::new(8).unwrap().handle();
    let rate = RateLimit::new(Quota::per_second(10)).unwrap().handle();
    metrics.watch("edge", limit.clone()).unwrap();
    metrics.watch("edge", rate.clone()).unwrap();
    let start = Instant::now();
    metrics.watcher().step(start);
    limit.set_limit(9).unwrap();
    rate.set_quota(Quota::per_second(20)).unwrap();
    metrics.watcher().step(start + Duration::from_secs(1));
    let events = metrics.events(0);
    let found: Vec<_> = events
        .iter()
        .map(|event| {
            (
                event.policy.as_str(),
                event.change.figure.name,
                event.change.reason.as_str(),
            )
        })
        .collect();
    let expected = [
        ("concurrency", "limit", "set"),
        ("rate-limit", "setting_changes", "quota: 10/s -> 20/s"),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_threshold_that_crosses_a_criticality_is_an_event() {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    };
    let load = Arc::new(AtomicU64::new(0));
    let signal = load.clone();
    let shed = LoadShed::new(move || f64::from_bits(signal.load(Relaxed)));
    let metrics = Metrics::new();
    metrics.watch("edge", shed.handle()).unwrap();
    let start = Instant::now();
    for (second, value) in [(0, 0.1), (1, 0.81), (2, 0.9), (3, 0.95), (4, 2.0)] {
        load.store(f64::to_bits(value), Relaxed);
        metrics.watcher().step(start + Duration::from_secs(second));
    }
    let reasons: Vec<_> = metrics
        .events(0)
        .into_iter()
        .map(|event| event.change.reason)
        .collect();
    let names = [0, 1, 2, 3].map(|of| format!("sheds up to {}", Criticality::ALL[of].as_str()));
    assert_eq!(reasons, names);
}

#[tokio::test]
async fn figures_of_a_hub_do_not_keep_it_open() {
    let metrics = Metrics::new();
    let hub = Hub::<u8>::new(4).unwrap();
    metrics.watch_part("prices", hub.figures()).unwrap();
    let mut subscriber = hub.subscribe().unwrap();
    drop(hub);
    assert!(subscriber.recv().await.is_err());
}
