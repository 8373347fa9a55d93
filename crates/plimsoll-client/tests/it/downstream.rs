//! Two services in a row, over real sockets.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{Router, body::Body, extract::Request, response::Response, routing::get};
use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use plimsoll_client::{
    CallContext, CallScopeLayer, Downstream, DownstreamHandle, DownstreamPermit, InvalidDownstream,
};
use plimsoll_core::{
    ByHeader, Criticality, Deadline, Deadlines, Gate, GateLayer, Http, Kind, Policy, Priority,
    Rejection, policy::Verdict, wire,
};
use plimsoll_load_shed::{LoadShed, LoadShedHandle};
use tokio::time::Instant;
use tower::{Layer as _, Service as _, ServiceExt as _};

use crate::{Dial, within_a_minute};

type HttpClient = Gate<Client<HttpConnector, Body>, Downstream, Http>;

/// A client of another service, with a `Downstream` layer.
fn client(downstream: Downstream) -> HttpClient {
    let client = Client::builder(TokioExecutor::new()).build_http();
    GateLayer::new(downstream).layer(client)
}

async fn serve(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// The inner service: sheds by the dial, announces its threshold, and answers with the context of
/// the request.
async fn inner(dial: &Dial) -> (SocketAddr, LoadShedHandle<Dial>) {
    let shed = LoadShed::new(dial.clone()).between(0.0, 1.0).unwrap();
    let shed = shed.announce_threshold();
    let handle = shed.handle();
    let echo = |req: Request| async move {
        let priority = Priority::of(&req);
        let left =
            Deadline::of(&req).map(|deadline| deadline.remaining(Instant::now()).as_millis());
        format!(
            "{} {:?} {:?}",
            priority.criticality(),
            priority.cohort(),
            left
        )
    };
    let gate = GateLayer::new((Deadlines::propagated(), ByHeader::trusted(), shed));
    (
        serve(Router::new().route("/", get(echo)).layer(gate)).await,
        handle,
    )
}

/// The outer service: calls the inner one, and forwards its answer.
async fn outer(inner: SocketAddr, downstream: Downstream) -> SocketAddr {
    let client = client(downstream);
    let relay = move || {
        let client = client.clone();
        async move {
            // The request has no priority and no deadline: both come from the scope.
            let req = http::Request::get(format!("http://{inner}/"));
            let answer = client
                .oneshot(req.body(Body::empty()).unwrap())
                .await
                .unwrap();
            let leaked = answer.headers().contains_key(wire::THRESHOLD);
            let (head, body) = answer.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let local = head
                .extensions
                .get::<Rejection>()
                .map_or("", Rejection::policy);
            let text = format!("{local}{} {leaked}", String::from_utf8_lossy(&body));
            Response::builder()
                .status(head.status)
                .body(Body::from(text))
                .unwrap()
        }
    };
    let app = Router::new()
        .route("/", get(relay))
        .layer(CallScopeLayer::new());
    let gate = GateLayer::new((Deadlines::propagated(), ByHeader::trusted()));
    serve(app.layer(gate)).await
}

/// Calls the outer service as a client without a layer.
async fn ask(outer: SocketAddr, criticality: &str, timeout_ms: u64) -> (StatusCode, String) {
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let req = http::Request::get(format!("http://{outer}/"))
        .header(wire::CRITICALITY, criticality)
        .header(wire::COHORT, "5")
        .header(wire::TIMEOUT, timeout_ms)
        .body(Body::empty())
        .unwrap();
    within_a_minute(async {
        let (head, body) = client.request(req).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, String::from_utf8_lossy(&body).into_owned())
    })
    .await
}

async fn two_services(dial: &Dial) -> (SocketAddr, LoadShedHandle<Dial>, DownstreamHandle) {
    let (inner, shed) = inner(dial).await;
    let downstream = Downstream::new()
        .probe_every(Duration::from_secs(3600))
        .unwrap();
    let handle = downstream.handle();
    (outer(inner, downstream).await, shed, handle)
}

#[tokio::test]
async fn priority_and_deadline_arrive_through_two_hops() {
    let (outer, ..) = two_services(&Dial::at(0.0)).await;
    let (status, answer) = ask(outer, "SHEDDABLE_PLUS", 60_000).await;
    assert_eq!(status, StatusCode::OK);
    let left = answer
        .strip_prefix("SHEDDABLE_PLUS Some(5) Some(")
        .expect(&answer);
    let left: u64 = left.split(')').next().unwrap().parse().unwrap();
    assert!(
        (30_000..60_000).contains(&left),
        "the time spent is subtracted: {left}"
    );
}

#[tokio::test]
async fn a_client_sheds_by_the_threshold_that_the_callee_announces() {
    let dial = Dial::at(0.0);
    let (outer, shed, downstream) = two_services(&dial).await;
    let (status, _) = ask(outer, "SHEDDABLE", 60_000).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(downstream.threshold(Instant::now()), 0);

    dial.set(0.5); // 256: batch work is shed
    // Four answers within one window are needed, and the clock is real.
    while downstream.threshold(Instant::now()) == 0 {
        let (status, answer) = ask(outer, "SHEDDABLE", 60_000).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(
            !answer.starts_with("downstream"),
            "rejected by the inner service: {answer}"
        );
        assert!(answer.ends_with("false"), "the header is removed: {answer}");
    }
    assert_eq!(downstream.threshold(Instant::now()), 256);
    let sent = shed.shed(Criticality::Sheddable);
    assert!(sent >= 4, "{sent} answers are too few");

    let (status, answer) = ask(outer, "SHEDDABLE", 60_000).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.starts_with("downstream"), "{answer}");
    assert_eq!(shed.shed(Criticality::Sheddable), sent, "it was not sent");
    assert_eq!(downstream.shed(Criticality::Sheddable), 1);

    dial.set(0.0);
    while downstream.threshold(Instant::now()) > 0 {
        let (status, _) = ask(outer, "CRITICAL", 60_000).await;
        assert_eq!(
            status,
            StatusCode::OK,
            "requests above the threshold are sent"
        );
    }
    let (status, _) = ask(outer, "SHEDDABLE", 60_000).await;
    assert_eq!(status, StatusCode::OK, "and its answer ends the shedding");
}

/// Asks the policy for a decision.
fn admit(
    downstream: &Downstream,
    req: &mut http::Request<()>,
    now: Instant,
) -> Result<DownstreamPermit, Rejection> {
    match downstream.admit(req, now) {
        Verdict::Admit(permit) => Ok(permit),
        Verdict::Reject(rejection) => Err(rejection),
        Verdict::Wait(never) => match never {},
    }
}

/// Answers four calls with this threshold, the fewest that put it in force.
fn answers(downstream: &Downstream, threshold: &str, asked: Instant) {
    for _ in 0..4 {
        let permit = admit(downstream, &mut of(Criticality::CriticalPlus), asked).unwrap();
        let mut headers = http::HeaderMap::new();
        headers.insert(wire::THRESHOLD, threshold.parse().unwrap());
        let mut out = plimsoll_core::policy::Announcement::to(&mut headers);
        Policy::<http::Request<()>>::announce(downstream, &permit, asked, &mut out);
    }
}

fn of(criticality: Criticality) -> http::Request<()> {
    let mut req = http::Request::new(());
    req.extensions_mut().insert(Priority::new(criticality));
    req
}

#[tokio::test(start_paused = true)]
async fn probes_are_sent_and_the_threshold_expires() {
    let (downstream, start) = (Downstream::new(), Instant::now());
    answers(&downstream, "384", start);
    let batch = |millis: u64| {
        let now = start + Duration::from_millis(millis);
        admit(&downstream, &mut of(Criticality::Sheddable), now)
    };
    let rejection = batch(0).unwrap_err();
    assert_eq!(
        (rejection.policy(), rejection.kind()),
        ("downstream", Kind::Full)
    );
    assert!(batch(999).is_err());
    assert!(batch(1000).is_ok(), "one probe per second");
    assert!(batch(1001).is_err());
    assert!(batch(2000).is_ok());
    let top = admit(&downstream, &mut of(Criticality::CriticalPlus), start);
    assert!(top.is_ok());
    assert!(batch(2500).is_err());
    assert!(batch(5001).is_ok(), "expired");
    assert!(batch(5002).is_ok());
    answers(&downstream, "nonsense", start + Duration::from_secs(6));
    assert!(batch(6001).is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_earliest_deadline_is_written_in_the_format_of_the_protocol() {
    let (downstream, now) = (Downstream::new(), Instant::now());
    let deadline = |millis| Deadline(now + Duration::from_millis(millis));
    let mut req = of(Criticality::Critical);
    req.extensions_mut().insert(deadline(1500));
    req.headers_mut()
        .insert(wire::TIMEOUT, "9000".parse().unwrap());
    admit(&downstream, &mut req, now).unwrap();
    assert_eq!(req.headers()[wire::TIMEOUT], "1500");
    assert_eq!(req.headers()[wire::CRITICALITY], "CRITICAL");
    let cohort = req.headers()[wire::COHORT].to_str().unwrap();
    assert!(
        cohort.len() == 3 && cohort.parse::<u8>().unwrap() < 128,
        "{cohort}"
    );

    let mut grpc = http::Request::new(());
    *grpc.method_mut() = http::Method::POST;
    grpc.headers_mut()
        .insert("content-type", "application/grpc".parse().unwrap());
    grpc.headers_mut()
        .insert("grpc-timeout", "90m".parse().unwrap());
    let context = CallContext {
        priority: None,
        deadline: Some(deadline(200)),
    };
    let admitted = context
        .scope(async { admit(&downstream, &mut grpc, now) })
        .await;
    admitted.unwrap();
    assert_eq!(grpc.headers()["grpc-timeout"], "90000000n");
    assert!(!grpc.headers().contains_key(wire::TIMEOUT));

    let mut late = http::Request::new(());
    context.propagate(&mut late);
    let rejection = admit(&downstream, &mut late, now + Duration::from_millis(200)).unwrap_err();
    assert_eq!(rejection.kind(), Kind::Deadline);

    let mut endless = http::Request::new(());
    admit(&downstream, &mut endless, now).unwrap();
    assert!(!endless.headers().contains_key(wire::TIMEOUT));
}

#[tokio::test]
async fn a_scope_covers_the_calls_of_a_task_and_not_the_tasks_it_spawns() {
    let batch = CallContext {
        priority: Some(Priority::new(Criticality::Sheddable).in_cohort(9)),
        deadline: None,
    };
    assert_eq!(CallContext::current(), CallContext::default());
    let (inside, spawned) = batch
        .scope(async {
            let spawned = tokio::spawn(async { CallContext::current() });
            (CallContext::current(), spawned.await.unwrap())
        })
        .await;
    assert_eq!((inside, spawned), (batch, CallContext::default()));

    // `call` runs in the scope, too.
    let mut service = CallScopeLayer::new().layer(tower::service_fn(|_: http::Request<()>| {
        std::future::ready(Ok::<_, Infallible>(CallContext::current()))
    }));
    let mut req = http::Request::new(());
    batch.propagate(&mut req);
    assert_eq!(service.ready().await.unwrap().call(req).await, Ok(batch));
}

#[test]
fn a_context_set_on_a_request_is_kept() {
    let now = Instant::now();
    let context = CallContext {
        priority: Some(Criticality::Critical.into()),
        deadline: Some(Deadline(now + Duration::from_secs(1))),
    };
    let mut req = of(Criticality::Sheddable);
    req.extensions_mut()
        .insert(Deadline(now + Duration::from_secs(9)));
    context.propagate(&mut req);
    let both = CallContext::of(&req);
    assert_eq!(both.priority, Some(Criticality::Sheddable.into()));
    assert_eq!(both.deadline, context.deadline, "the earlier deadline");
}

#[test]
fn periods_out_of_bounds_are_errors() {
    for bad in [Duration::ZERO, Duration::from_secs(3601)] {
        let error = Downstream::new().expires(bad).unwrap_err();
        assert_eq!(error, InvalidDownstream::Expires(bad));
        let error = Downstream::new().probe_every(bad).unwrap_err();
        assert_eq!(error, InvalidDownstream::ProbeEvery(bad));
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(2000))]

    #[test]
    fn the_callee_reads_the_stated_context_with_any_headers(
        lines in proptest::collection::vec(
            (0_u8..6, proptest::collection::vec(proptest::sample::select(&WIRE_WORDS[..]), 1..4)),
            0..6,
        )
    ) {
        let line = |(name, words): (u8, Vec<&str>)| [&[name], words.concat().as_bytes()].concat();
        let lines: Vec<_> = lines.into_iter().map(line).collect();
        crate::fuzz_downstream::downstream(&lines.join(&b'\n'));
    }
}

/// Words of the headers for the callee, and of the threshold in its answer.
const WIRE_WORDS: [&str; 16] = [
    "CRITICAL_PLUS",
    "SHEDDABLE",
    "critical",
    "_PLUS",
    "0",
    "7",
    "127",
    "511",
    "512",
    "999999999999",
    "S",
    "m",
    "H",
    "application/grpc",
    " ",
    "+",
];
