//! What is read once a second, and its history. The clock is paused.

use std::{borrow::Cow, sync::Arc, time::Duration};

use axum::Router;
use plimsoll_core::{
    Class, Kind, Observe as _, Rejected, Rejection, RequestHead,
    figures::{Change, Figure, IN_USE, LIMIT, PROBE_IN},
};
use plimsoll_dashboard::{Dashboard, dashboard};
use plimsoll_metrics::{GateMetrics, Metrics};
use serde_json::{Value, json};
use tokio::time::{advance, sleep};

use crate::support::{Policy, call, frame, get, reject, seconds, update_of, updates};

static STATE: Figure = Figure::state("state", &["closed", "open"], "State of the circuit");
static LATER: Figure = Figure::gauge(
    "of_a_later_version",
    "A figure that the page has no place for",
);

/// A field of a point, by its name.
fn field(update: &Value, point: &Value, name: &str) -> Value {
    let fields = update["fields"].as_array().unwrap();
    let at = fields.iter().position(|field| field == name).unwrap();
    point[at].clone()
}

async fn snapshot(router: &Router) -> Value {
    get(router, "/snapshot.json").await.json()
}

#[tokio::test(start_paused = true)]
async fn an_idle_gate_is_shown_from_the_start() {
    let metrics = Metrics::new();
    metrics.gate("edge");
    let router = dashboard(&metrics);
    seconds(0).await;
    let update = snapshot(&router).await;
    assert_eq!(update["gates"][0]["name"], "edge");
    assert_eq!(update["gates"][0]["level"], "idle");
    assert_eq!(update["gates"][0]["words"], json!(["idle"]));
}

#[tokio::test(start_paused = true)]
async fn an_update_has_the_rates_of_its_second_and_totals_to_the_unit() {
    let metrics = Metrics::new();
    let gate = metrics.gate("edge");
    call(&gate, Class::Success, 1); // before the board: in the totals alone
    let router = dashboard(&metrics);
    seconds(1).await;
    for millis in 1..=100 {
        call(&gate, Class::Success, millis);
    }
    call(&gate, Class::Failure, 5);
    (0..50).for_each(|_| reject(&gate, "concurrency", Kind::Full));
    reject(&gate, "rate-limit", Kind::OverQuota);
    seconds(1).await;
    let update = snapshot(&router).await;
    let gate = &update["gates"][0];
    let point = |name| field(&update, &gate["points"][0], name);
    assert!(
        (100.0..102.0).contains(&point("admitted").as_f64().unwrap()),
        "{gate}"
    );
    assert!(
        (49.0..51.0).contains(&point("full").as_f64().unwrap()),
        "{gate}"
    );
    assert_eq!(point("limit"), Value::Null);
    let p99 = point("p99").as_f64().unwrap();
    assert!((0.099..0.101).contains(&p99), "{p99}");
    assert_eq!(gate["total"]["admitted"], 102);
    assert_eq!(gate["total"]["rejections"], 51);
    assert_eq!(gate["total"]["in_flight"], 0);
    assert_eq!(
        gate["total"]["rejected"],
        json!([["concurrency", "full", 50], ["rate-limit", "over-quota", 1]])
    );
    assert_eq!(gate["words"], json!(["rejects 34 %: full"]));
    let calls: u64 = gate["histogram"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bar| bar[1].as_u64().unwrap())
        .sum();
    assert_eq!(calls, 101);
}

#[tokio::test(start_paused = true)]
async fn figures_of_policies_are_shown_by_name_and_states_in_words() {
    let metrics = Metrics::new();
    let policy = Policy::new(
        "breaker",
        &[
            (&STATE, 0.0),
            (&LIMIT, 10.0),
            (&IN_USE, 4.0),
            (&LATER, f64::NAN),
        ],
    );
    metrics.watch("bids", policy.clone()).unwrap();
    let router = dashboard(&metrics);
    seconds(1).await;
    policy.set(&STATE, 1.0, "failure rate");
    policy.set(&LIMIT, 20.0, "growth");
    seconds(1).await;
    let update = snapshot(&router).await;
    let gate = &update["gates"][0];
    assert_eq!(gate["level"], "bad");
    assert_eq!(gate["words"], json!(["breaker open"]));
    let figures = gate["policies"][0]["figures"].as_array().unwrap();
    assert_eq!(figures[0]["state"], "open");
    assert_eq!(figures[1]["value"], 20);
    assert_eq!(
        (&figures[3]["name"], &figures[3]["value"]),
        (&json!("of_a_later_version"), &Value::Null)
    );
    assert_eq!(
        gate["policies"][0]["settings"],
        json!([["queue", "30, 300ms"]])
    );
    assert_eq!(gate["limit_change"]["reason"], "growth");
    assert_eq!(
        (
            field(&update, &gate["points"][0], "limit"),
            field(&update, &gate["points"][0], "in_use")
        ),
        (json!(20), json!(4))
    );
    let events = update["events"].as_array().unwrap();
    assert_eq!(
        (&events[0]["from"], &events[0]["to"]),
        (&json!("closed"), &json!("open"))
    );
    assert_eq!(
        (&events[1]["from"], &events[1]["to"]),
        (&json!("10"), &json!("20"))
    );
    let key = events[0]["key"].as_str().unwrap();
    assert!(key.starts_with('#') && !key.contains("the key"), "{key}");
}

#[tokio::test(start_paused = true)]
async fn keys_are_shown_as_they_are_on_demand() {
    let metrics = Metrics::new();
    let policy = Policy::new("breaker", &[(&STATE, 0.0)]);
    metrics.watch("bids", policy.clone()).unwrap();
    let router = Dashboard::new(&metrics).show_keys().router().unwrap();
    seconds(1).await;
    policy.set(&STATE, 1.0, "failure rate");
    let gate = metrics.gate("bids").offenders(user_agent);
    reject_agent(&gate, "a client");
    seconds(1).await;
    let update = snapshot(&router).await;
    assert_eq!(update["events"][0]["key"], "the key");
    assert_eq!(update["gates"][0]["offenders"], json!([["a client", 1]]));
}

fn user_agent<'a>(request: &RequestHead<'a>) -> Option<Cow<'a, str>> {
    Some(request.headers.get("user-agent")?.to_str().ok()?.into())
}

fn reject_agent(gate: &GateMetrics, agent: &str) {
    let request = http::Request::get("/").header("user-agent", agent);
    let request = request.body(()).unwrap();
    let rejection = Rejection::new("rate-limit", Kind::OverQuota);
    gate.rejected("bids", &Rejected::new(&rejection, Some((&request).into())));
}

#[tokio::test(start_paused = true)]
async fn the_keys_with_the_most_rejections_are_shown_as_hashes() {
    let metrics = Metrics::new();
    let gate = metrics.gate("bids").offenders(user_agent);
    let router = dashboard(&metrics);
    seconds(1).await;
    (0..3).for_each(|_| reject_agent(&gate, "one"));
    (0..5).for_each(|_| reject_agent(&gate, "two"));
    seconds(1).await;
    let update = snapshot(&router).await;
    let offenders = update["gates"][0]["offenders"].as_array().unwrap();
    let counts: Vec<_> = offenders.iter().map(|of| of[1].as_u64()).collect();
    assert_eq!(counts, [Some(5), Some(3)]);
    for offender in offenders {
        let key = offender[0].as_str().unwrap();
        assert!(key.starts_with('#') && key.len() == 9, "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn views_have_their_resolutions_and_a_bound() {
    let metrics = Metrics::new();
    let gate = metrics.gate("edge");
    let router = dashboard(&metrics);
    seconds(0).await;
    for _ in 0..3700 {
        (0..10).for_each(|_| call(&gate, Class::Success, 1));
        sleep(Duration::from_secs(1)).await;
    }
    for (view, width, count) in [(0, 1, 60), (1, 5, 120), (2, 30, 120)] {
        let history = get(&router, &format!("/history/{view}.json")).await.json();
        assert_eq!(history["seconds"], width);
        let points = history["gates"][0][1].as_array().unwrap();
        assert_eq!(points.len(), count);
        for point in points {
            let rate = field(&history, point, "admitted").as_f64().unwrap();
            assert!((9.9..10.1).contains(&rate), "view {view}: {rate}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_the_process_is_a_gap() {
    let metrics = Metrics::new();
    let gate = metrics.gate("edge");
    let router = dashboard(&metrics);
    seconds(5).await;
    call(&gate, Class::Success, 1);
    advance(Duration::from_secs(20)).await;
    seconds(3).await;
    let history = get(&router, "/history/0.json").await.json();
    let points = history["gates"][0][1].as_array().unwrap();
    let gaps = points.iter().filter(|point| point.is_null()).count();
    assert!((18..=20).contains(&gaps), "{gaps} gaps in {points:?}");
    assert!(!points.last().unwrap().is_null());
    // The call is in the totals, and its rate is that of the whole gap.
    let rates = points.iter().filter(|point| !point.is_null());
    let highest = rates
        .map(|point| field(&history, point, "admitted").as_f64().unwrap())
        .fold(0.0, f64::max);
    assert!((0.01..0.1).contains(&highest), "{highest}");
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_changes_often_evicts_no_state_transition() {
    let metrics = Metrics::new();
    let policy = Policy::new("breaker", &[(&STATE, 0.0), (&LIMIT, 0.0)]);
    metrics.watch("bids", policy.clone()).unwrap();
    let router = dashboard(&metrics);
    seconds(1).await;
    policy.set(&STATE, 1.0, "failure rate");
    for second in 0..250 {
        for change in 0..2 {
            policy.set(&LIMIT, f64::from(second * 2 + change), "growth");
        }
        seconds(1).await;
    }
    let events = get(&router, "/history/0.json").await.json()["events"].clone();
    let events = events.as_array().unwrap();
    assert_eq!(events.len(), 200);
    assert_eq!(events[0]["to"], "open");
    let numbers: Vec<_> = events
        .iter()
        .map(|event| event["number"].as_u64().unwrap())
        .collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
}

#[tokio::test(start_paused = true)]
async fn events_that_the_registry_dropped_are_counted() {
    let metrics = Metrics::new();
    let router = dashboard(&metrics);
    seconds(1).await;
    for to in 0..1500 {
        let change = Change::new(&LIMIT, 0.0, f64::from(to), "growth");
        metrics.record_event("edge", "limit", &change);
    }
    seconds(1).await;
    assert_eq!(snapshot(&router).await["cost"]["lost_events"], 1500 - 1024);
}

#[tokio::test(start_paused = true)]
async fn a_figure_that_panics_hides_no_other() {
    struct Broken;
    impl plimsoll_core::figures::Figures for Broken {
        fn policy(&self) -> &'static str {
            "broken"
        }
        fn read(&self, _: &mut dyn FnMut(&'static Figure, f64)) {
            panic!("on purpose");
        }
    }
    let metrics = Metrics::new();
    metrics.watch("edge", Broken).unwrap();
    metrics
        .watch("edge", Policy::new("limit", &[(&LIMIT, 7.0)]))
        .unwrap();
    let router = dashboard(&metrics);
    seconds(2).await;
    let update = snapshot(&router).await;
    assert_eq!(update["gates"][0]["policies"][0]["policy"], "limit");
    assert_eq!(update["number"], 3);
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_last_clone_of_the_router() {
    let metrics = Metrics::new();
    let policy = Policy::new("limit", &[(&LIMIT, 7.0)]);
    metrics.watch("edge", policy.clone()).unwrap();
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let router = dashboard(&metrics);
    seconds(2).await;
    let clone = router.clone();
    drop((router, metrics));
    seconds(2).await;
    assert_eq!(tasks(), before + 1);
    drop(clone);
    seconds(2).await;
    assert_eq!(tasks(), before);
    assert_eq!(Arc::strong_count(&policy.figures), 1);
}

#[test]
fn a_router_made_outside_of_a_runtime_starts_with_its_first_request() {
    let metrics = Metrics::new();
    metrics.gate("edge");
    let router = dashboard(&metrics);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        get(&router, "/snapshot.json").await;
        seconds(1).await;
        assert_eq!(snapshot(&router).await["gates"][0]["name"], "edge");
    });
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_streams_and_the_task() {
    let metrics = Metrics::new();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let router = Dashboard::new(&metrics)
        .until(async { _ = ended.await })
        .router()
        .unwrap();
    seconds(1).await;
    let mut body = updates(&router).await;
    assert_eq!(frame(&mut body).await, "retry: 2000\n\n");
    update_of(&frame(&mut body).await);
    drop(end);
    seconds(0).await;
    assert!(frame(&mut body).await.starts_with("event: closed\n"));
    assert_eq!(frame(&mut body).await, "");
    seconds(2).await;
    assert_eq!(tasks(), before);
}

#[tokio::test(start_paused = true)]
async fn parts_labels_and_alarms_are_shown_and_the_board_evaluates_the_alarms() {
    static HIGH: Figure = Figure::counter("shed", "Requests").with_label("criticality", "critical");
    static LOW: Figure = Figure::counter("shed", "Requests").with_label("criticality", "sheddable");
    let metrics = Metrics::new();
    let queue = Policy::new("queue", &[(&HIGH, 1.0), (&LOW, 2.0)]);
    metrics.watch_part("uploads", queue).unwrap();
    let breaker = Policy::new("circuit-breaker", &[(&STATE, 1.0), (&PROBE_IN, 5.0)]);
    metrics.watch("bids", breaker).unwrap();
    metrics
        .alarm(plimsoll_metrics::Alarm::breaker_open())
        .unwrap();
    let router = dashboard(&metrics);
    seconds(60).await;
    let update = snapshot(&router).await;
    let part = &update["gates"][1];
    assert_eq!(
        (&part["name"], &part["level"]),
        (&json!("uploads"), &json!("idle"))
    );
    let figures = part["policies"][0]["figures"].as_array().unwrap();
    let names: Vec<_> = figures.iter().map(|figure| &figure["name"]).collect();
    assert_eq!(names, ["shed critical", "shed sheddable"]);
    assert_eq!(update["alarms"][0]["gate"], "bids", "{update}");
    assert_eq!(update["is_ready"], true);
    metrics.set_ready(false);
    seconds(1).await;
    assert_eq!(snapshot(&router).await["is_ready"], false);
}
