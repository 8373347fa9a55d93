//! Changes from the page: authorized, with a token, recorded.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use plimsoll_dashboard::{Control, Dashboard, Input, InvalidDashboard};
use plimsoll_metrics::Metrics;
use serde_json::{Value, json};

use crate::support::{Answer, get, seconds, send};

/// A board with a limit that an operator with the right header can set.
fn writable(metrics: &Metrics) -> (Router, Arc<AtomicU64>) {
    let limit = Arc::new(AtomicU64::new(10));
    let set = Arc::clone(&limit);
    let board = Dashboard::new(metrics)
        .writable(|request| {
            assert!(!request.headers.contains_key("x-panic"), "on purpose");
            request
                .headers
                .get("x-operator")
                .is_some_and(|who| who == "me")
        })
        .action(
            "edge",
            "limit",
            Control::Number(1.0..=100.0),
            move |input| match input {
                Input::Number(13.0) => Err("13 is not possible now".to_owned()),
                Input::Number(14.0) => panic!("on purpose"),
                Input::Number(to) => {
                    set.store(to as u64, SeqCst);
                    Ok(())
                }
                _ => unreachable!(),
            },
        )
        .action(
            "edge",
            "shadow",
            Control::Choice(&["on", "off"]),
            |_| Ok(()),
        )
        .action("edge", "reset", Control::Button, |_| Ok(()));
    (board.router().unwrap(), limit)
}

/// The token and the cookie of a page.
async fn session(router: &Router) -> (String, String) {
    let request = Request::get("/control").header("x-operator", "me");
    let answer = send(router, request.body(Body::empty()).unwrap()).await;
    let cookie = answer
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    (answer.json()["token"].as_str().unwrap().to_owned(), cookie)
}

async fn post(router: &Router, headers: &[(&str, &str)], command: &Value) -> Answer {
    let mut request = Request::post("/control");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(
        router,
        request.body(Body::from(command.to_string())).unwrap(),
    )
    .await
}

#[tokio::test(start_paused = true)]
async fn an_authorized_change_is_made_and_recorded_as_an_event() {
    let metrics = Metrics::new();
    metrics.gate("edge");
    let (router, limit) = writable(&metrics);
    let (token, cookie) = session(&router).await;
    let headers = [
        ("x-operator", "me"),
        ("cookie", &*cookie),
        ("x-plimsoll-token", &*token),
    ];
    let command =
        |name: &str, value: Value| json!({ "gate": "edge", "name": name, "value": value });
    let answer = post(&router, &headers, &command("limit", json!(40))).await;
    assert_eq!(
        (answer.status, limit.load(SeqCst)),
        (StatusCode::NO_CONTENT, 40)
    );
    for (name, value) in [("shadow", json!("on")), ("reset", Value::Null)] {
        assert_eq!(
            post(&router, &headers, &command(name, value)).await.status,
            StatusCode::NO_CONTENT
        );
    }
    seconds(1).await;
    let events = get(&router, "/history/0.json").await.json()["events"].clone();
    let events = events.as_array().unwrap();
    let reasons: Vec<_> = events
        .iter()
        .map(|event| event["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        reasons,
        [
            "limit: 40, by hand on the board",
            "shadow: on, by hand on the board",
            "reset: pressed, by hand on the board",
        ]
    );
    assert_eq!(
        (&events[0]["gate"], &events[0]["policy"], &events[0]["to"]),
        (&json!("edge"), &json!("board"), &json!("40"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_without_authorization_token_or_cookie_changes_nothing() {
    let metrics = Metrics::new();
    let (router, limit) = writable(&metrics);
    let ((token, cookie), (_, other)) = (session(&router).await, session(&router).await);
    let command = json!({ "gate": "edge", "name": "limit", "value": 40 });
    let (me, cookie, token) = (
        ("x-operator", "me"),
        ("cookie", &*cookie),
        ("x-plimsoll-token", &*token),
    );
    for headers in [
        &[][..],
        &[me],
        &[cookie, token],
        &[("x-operator", "you"), cookie, token],
        &[me, cookie],
        &[me, token],
        &[me, cookie, ("x-plimsoll-token", "00")],
        &[me, ("cookie", &*other), token],
        &[me, cookie, token, ("sec-fetch-site", "cross-site")],
        &[
            me,
            cookie,
            token,
            ("host", "ops"),
            ("origin", "http://elsewhere"),
        ],
        &[me, cookie, token, ("x-panic", "1")],
    ] {
        let status = post(&router, headers, &command).await.status;
        assert_eq!(
            (status, limit.load(SeqCst)),
            (StatusCode::FORBIDDEN, 10),
            "{headers:?}"
        );
    }
    assert!(metrics.events(0).is_empty());
    // A page without authorization sees that there is nothing to change.
    let listing = get(&router, "/control").await;
    assert_eq!(listing.json(), json!({ "token": null, "actions": [] }));
    assert_eq!(listing.header("set-cookie"), "");
}

#[tokio::test(start_paused = true)]
async fn inputs_that_do_not_fit_and_actions_that_fail_change_nothing() {
    let metrics = Metrics::new();
    let (router, limit) = writable(&metrics);
    let (token, cookie) = session(&router).await;
    let headers = [
        ("x-operator", "me"),
        ("cookie", &*cookie),
        ("x-plimsoll-token", &*token),
    ];
    for (gate, name, value, status) in [
        ("edge", "limit", json!(101), 422),
        ("edge", "limit", json!("7"), 422),
        ("edge", "limit", Value::Null, 422),
        ("edge", "limit", json!(13), 422),
        ("edge", "limit", json!(14), 422),
        ("edge", "shadow", json!("maybe"), 422),
        ("edge", "reset", json!(1), 422),
        ("edge", "other", json!(1), 404),
        ("other", "limit", json!(7), 404),
    ] {
        let command = json!({ "gate": gate, "name": name, "value": value });
        let answer = post(&router, &headers, &command).await;
        assert_eq!(
            (answer.status.as_u16(), limit.load(SeqCst)),
            (status, 10),
            "{command}"
        );
    }
    let request = Request::post("/control");
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    let long = Body::from("[".repeat(100 << 10));
    assert_eq!(
        send(&router, request.body(long).unwrap()).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert!(metrics.events(0).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_board_is_read_only_by_default() {
    let metrics = Metrics::new();
    let router = Dashboard::new(&metrics).router().unwrap();
    let command = json!({ "gate": "edge", "name": "limit", "value": 40 });
    assert_eq!(
        post(&router, &[], &command).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        get(&router, "/snapshot.json").await.json()["writable"],
        false
    );
}

#[test]
fn law_09_settings_are_checked() {
    let metrics = Metrics::new();
    let board = || Dashboard::new(&metrics);
    let fetch = |_| async { Err::<bytes::Bytes, _>("no") };
    let fault = |board: Dashboard| board.router().unwrap_err();
    assert_eq!(fault(board().viewers(0)), InvalidDashboard::Viewers(0));
    assert_eq!(
        fault(board().viewers(1001)),
        InvalidDashboard::Viewers(1001)
    );
    let many = (0..33).map(|peer| peer.to_string());
    assert_eq!(
        fault(board().peers(many, fetch)),
        InvalidDashboard::Peers(33)
    );
    let long = "a".repeat(201);
    assert_eq!(
        fault(board().peers([&*long], fetch)),
        InvalidDashboard::PeerName(long.clone())
    );
    assert_eq!(
        fault(board().peers(["a", "a"], fetch)),
        InvalidDashboard::PeerName("a".to_owned())
    );
    let button = |board: Dashboard| board.action("g", "n", Control::Button, |_| Ok(()));
    assert_eq!(fault(button(board())), InvalidDashboard::NotWritable);
    let writable = || board().writable(|_| true);
    let twice = fault(button(button(writable())));
    assert!(twice.to_string().contains("\"n\" of gate \"g\""), "{twice}");
    let empty = writable().action("g", "n", Control::Choice(&[]), |_| Ok(()));
    assert!(matches!(fault(empty), InvalidDashboard::Action { .. }));
    let many = (0..257).fold(writable(), |board, n| {
        board.action("g", n.to_string(), Control::Button, |_| Ok(()))
    });
    assert_eq!(fault(many), InvalidDashboard::Actions(257));
}
