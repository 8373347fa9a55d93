//! The board of a fleet. Peers are routers in this process; the clock is paused.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::Router;
use bytes::Bytes;
use plimsoll_core::{
    Class, Kind,
    figures::{Figure, LIMIT},
};
use plimsoll_dashboard::{Dashboard, dashboard};
use plimsoll_metrics::Metrics;
use serde_json::{Value, json};

use crate::support::{Policy, call, get, reject, seconds};

static STATE: Figure = Figure::state("state", &["closed", "open"], "State of the circuit");

/// What a peer answers.
#[derive(Clone)]
enum Peer {
    Board(Router),
    Bytes(Vec<u8>),
    Hangs,
    Panics,
    Fails,
}

type Peers = Arc<Mutex<HashMap<String, Peer>>>;

async fn fetch(peers: Peers, name: String) -> Result<Bytes, String> {
    let peer = peers.lock().unwrap()[&name].clone();
    match peer {
        Peer::Board(router) => Ok(get(&router, "/peer.json").await.body),
        Peer::Bytes(bytes) => Ok(bytes.into()),
        Peer::Hangs => std::future::pending().await,
        Peer::Panics => panic!("on purpose"),
        Peer::Fails => Err("connection refused".to_owned()),
    }
}

fn fleet(metrics: &Metrics, of: &[(&str, Peer)]) -> (Router, Peers) {
    let peers: HashMap<_, _> = of
        .iter()
        .map(|(name, peer)| ((*name).to_owned(), peer.clone()))
        .collect();
    let peers = Arc::new(Mutex::new(peers));
    let asked = Arc::clone(&peers);
    let names: Vec<_> = of.iter().map(|(name, _)| *name).collect();
    let board = Dashboard::new(metrics).peers(names, move |name| fetch(Arc::clone(&asked), name));
    (board.router().unwrap(), peers)
}

async fn snapshot(router: &Router) -> Value {
    get(router, "/fleet/snapshot.json").await.json()
}

fn states(update: &Value) -> Vec<(String, String)> {
    let text = |of: &Value| of.as_str().unwrap().to_owned();
    let peers = update["peers"].as_array().unwrap().iter();
    peers
        .map(|peer| (text(&peer["name"]), text(&peer["state"])))
        .collect()
}

fn gate<'a>(update: &'a Value, name: &str) -> &'a Value {
    let gates = update["gates"].as_array().unwrap();
    gates.iter().find(|gate| gate["name"] == name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn counts_are_summed_and_histograms_are_merged() {
    let (own, other) = (Metrics::new(), Metrics::new());
    let (here, there) = (own.gate("edge"), other.gate("edge"));
    let breaker = Policy::new("breaker", &[(&STATE, 0.0), (&LIMIT, 10.0)]);
    own.watch(
        "edge",
        Policy::new("breaker", &[(&STATE, 0.0), (&LIMIT, 20.0)]),
    )
    .unwrap();
    other.watch("edge", breaker.clone()).unwrap();
    other.gate("there alone");
    let peer = dashboard(&other);
    let (router, _) = fleet(&own, &[("b", Peer::Board(peer))]);
    seconds(6).await;
    // 990 fast calls here, 10 slow ones there: an average of percentiles would be near 500 ms.
    (0..990).for_each(|_| call(&here, Class::Success, 1));
    (0..10).for_each(|_| call(&there, Class::Success, 1000));
    (0..5).for_each(|_| reject(&there, "shed", Kind::Full));
    breaker.set(&STATE, 1.0, "failure rate");
    seconds(5).await;
    let update = snapshot(&router).await;
    assert_eq!(
        states(&update),
        [
            ("this process".into(), "ok".into()),
            ("b".into(), "ok".into())
        ]
    );
    let edge = gate(&update, "edge");
    assert_eq!(
        (&edge["total"]["admitted"], &edge["total"]["rejections"]),
        (&json!(1000), &json!(5))
    );
    let at = |name: &str| {
        update["fields"]
            .as_array()
            .unwrap()
            .iter()
            .position(|field| field == name)
            .unwrap()
    };
    let point = &edge["recent"]["point"];
    assert!(point[at("p50")].as_f64().unwrap() < 0.002, "{edge}");
    let (p99, p999) = (
        point[at("p99")].as_f64().unwrap(),
        point[at("p999")].as_f64().unwrap(),
    );
    assert!(p99 < 0.002 && (1.0..1.01).contains(&p999), "{p99} {p999}");
    assert_eq!(point[at("limit")], 30);
    assert_eq!(
        (&edge["level"], &edge["words"]),
        (&json!("bad"), &json!(["breaker open"]))
    );
    gate(&update, "there alone");
    let event = &update["events"][0];
    assert_eq!(
        (&event["peer"], &event["to"]),
        (&json!("b"), &json!("open"))
    );
    // The board of this process shows this process alone.
    let own = get(&router, "/snapshot.json").await.json();
    assert_eq!(gate(&own, "edge")["total"]["admitted"], 990);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_fails_is_stale_and_then_failing_and_keeps_its_totals() {
    let (own, other) = (Metrics::new(), Metrics::new());
    let there = other.gate("edge");
    (0..7).for_each(|_| call(&there, Class::Success, 1));
    other.load("queue", || 0.5).unwrap();
    let peer = dashboard(&other);
    let (router, peers) = fleet(&own, &[("b", Peer::Board(peer.clone()))]);
    seconds(5).await;
    let update = snapshot(&router).await;
    assert_eq!(states(&update)[1].1, "ok");
    assert_eq!(update["loads"], json!([["queue (b)", 0.5]]));
    peers.lock().unwrap().insert("b".to_owned(), Peer::Fails);
    seconds(10).await;
    let update = snapshot(&router).await;
    assert_eq!(states(&update)[1].1, "stale");
    assert_eq!(update["peers"][1]["error"], "connection refused");
    // A load that was read earlier is not the load now.
    assert_eq!(update["loads"], json!([]));
    assert_eq!(gate(&update, "edge")["total"]["admitted"], 7);
    seconds(60).await;
    assert_eq!(states(&snapshot(&router).await)[1].1, "failing");
    // What happened in the meantime is in the totals, and no spike.
    (0..1000).for_each(|_| call(&there, Class::Success, 1));
    peers
        .lock()
        .unwrap()
        .insert("b".to_owned(), Peer::Board(peer));
    seconds(5).await;
    let update = snapshot(&router).await;
    assert_eq!(
        (
            &states(&update)[1].1,
            &gate(&update, "edge")["total"]["admitted"]
        ),
        (&"ok".to_owned(), &json!(1007))
    );
    assert_eq!(gate(&update, "edge")["recent"]["point"][0], 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_was_restarted_counts_from_zero() {
    let (own, old, new) = (Metrics::new(), Metrics::new(), Metrics::new());
    let there = old.gate("edge");
    (0..100).for_each(|_| call(&there, Class::Success, 1));
    let (router, peers) = fleet(&own, &[("b", Peer::Board(dashboard(&old)))]);
    seconds(5).await;
    let started = new.gate("edge");
    let board = dashboard(&new);
    seconds(2).await;
    (0..20).for_each(|_| call(&started, Class::Success, 1));
    peers
        .lock()
        .unwrap()
        .insert("b".to_owned(), Peer::Board(board));
    seconds(5).await;
    let update = snapshot(&router).await;
    let edge = gate(&update, "edge");
    assert_eq!(edge["total"]["admitted"], 20);
    let rate = edge["points"][1][0].as_f64().unwrap();
    assert!((3.5..4.5).contains(&rate), "{edge}");
}

#[tokio::test(start_paused = true)]
async fn law_10_a_peer_that_hangs_panics_or_sends_nonsense_is_shown_as_failing() {
    let metrics = Metrics::new();
    call(&metrics.gate("edge"), Class::Success, 1);
    let long = vec![b' '; (4 << 20) + 1];
    let (router, _) = fleet(&metrics, &[
        ("hangs", Peer::Hangs),
        ("panics", Peer::Panics),
        ("nonsense", Peer::Bytes(b"<html>".to_vec())),
        ("long", Peer::Bytes(long)),
        ("other version", Peer::Bytes(br#"{"version":9,"gates":[],"loads":[],"overloaded_at":1,"failed_readings":0,"alarms":[],"is_ready":true,"events":[]}"#.to_vec())),
    ]);
    seconds(15).await;
    let update = snapshot(&router).await;
    let states = states(&update);
    assert_eq!(states[0].1, "ok");
    assert!(
        states[1..].iter().all(|(_, state)| state == "failing"),
        "{states:?}"
    );
    assert_eq!(gate(&update, "edge")["total"]["admitted"], 1);
    assert!(
        update["peers"][5]["error"]
            .as_str()
            .unwrap()
            .contains("version must be 1"),
        "{update}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_query_selects_no_peer() {
    let metrics = Metrics::new();
    let (router, peers) = fleet(&metrics, &[("b", Peer::Fails)]);
    seconds(0).await;
    let update = get(&router, "/fleet/snapshot.json?peers=evil&peer=http://evil/")
        .await
        .json();
    assert_eq!(states(&update).len(), 2);
    assert_eq!(peers.lock().unwrap().len(), 1);
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn gates_of_peers_are_bounded() {
    let metrics = Metrics::new();
    let gates = |prefix: &str| {
        let gate = |name: String| {
            let empty = json!({ "nanos": 0, "buckets": [] });
            let counts = json!({ "admitted": 1, "abandoned": 0, "body_dropped": 0, "missing_keys": 0, "finished": [], "rejected": [] });
            json!({ "name": name, "counts": counts, "latency": empty, "waits": empty, "permits": empty, "policies": [] })
        };
        let gates: Vec<_> = (0..120).map(|at| gate(format!("{prefix}{at}"))).collect();
        let reading = json!({ "version": 1, "gates": gates, "loads": [], "overloaded_at": 1, "failed_readings": 0, "alarms": [], "is_ready": true, "events": [] });
        Peer::Bytes(reading.to_string().into_bytes())
    };
    let (router, _) = fleet(&metrics, &[("a", gates("a")), ("b", gates("b"))]);
    seconds(6).await;
    let update = snapshot(&router).await;
    assert_eq!(update["gates"].as_array().unwrap().len(), 131);
    assert_eq!(gate(&update, "other")["total"]["admitted"], 110);
}
