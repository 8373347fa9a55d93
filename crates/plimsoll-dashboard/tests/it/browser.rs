//! The page in a real browser, over a board with load.

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use plimsoll_core::{
    Class, Kind,
    figures::{Figure, IN_USE, LIMIT, QUEUE_CAPACITY, QUEUED},
};
use plimsoll_dashboard::{Control, Dashboard, Input};
use plimsoll_metrics::Metrics;
use proofs::chromium::Page;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::sleep,
};

use crate::support::{Policy, call, reject};

static STATE: Figure = Figure::state("state", &["closed", "open"], "State of the circuit");
static LATER: Figure = Figure::gauge("of_a_later_version", "A figure without a place of its own");

pub(crate) async fn serve(board: Dashboard) -> SocketAddr {
    let app = Router::new().nest("/plimsoll", board.router().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    addr
}

/// Text of the element that a selector finds.
fn text(selector: &str) -> String {
    format!("document.querySelector({selector:?})?.textContent")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_rejections_an_open_circuit_and_a_changed_limit() {
    let metrics = Metrics::new();
    let (edge, bids) = (metrics.gate("edge"), metrics.gate("bids"));
    metrics.gate("idle one");
    let limit = Policy::new(
        "concurrency",
        &[
            (&LIMIT, 10.0),
            (&IN_USE, 9.0),
            (&QUEUED, 3.0),
            (&QUEUE_CAPACITY, 30.0),
        ],
    );
    let breaker = Policy::new("circuit-breaker", &[(&STATE, 0.0), (&LATER, 0.25)]);
    metrics.watch("edge", limit.clone()).unwrap();
    metrics.watch("bids", breaker.clone()).unwrap();
    let addr = serve(Dashboard::new(&metrics)).await;
    let mut page = Page::open(&format!("http://{addr}/plimsoll")).await;
    page.until("document.querySelectorAll('.card').length === 3")
        .await;
    assert_eq!(page.eval(&text(".status")).await, "live");
    (0..1234).for_each(|_| call(&edge, Class::Success, 20));
    (0..321).for_each(|_| reject(&edge, "concurrency", Kind::Full));
    (0..9).for_each(|_| reject(&bids, "circuit-breaker", Kind::CircuitOpen));
    limit.set(&LIMIT, 12.0, "throughput grew");
    breaker.set(&STATE, 1.0, "failure rate");

    page.until(&format!(
        "{} === '330'",
        text("[data-total=rejected] .value")
    ))
    .await;
    assert_eq!(
        page.eval(&text("[data-total=admitted] .value")).await,
        "1,234"
    );
    assert_eq!(
        page.eval(&text("[data-total=offered] .value")).await,
        "1,564"
    );
    // Worst first, and an idle gate is there.
    let order = "[...document.querySelectorAll('.card')].map(card => [card.querySelector('.open').textContent, card.dataset.level])";
    assert_eq!(
        page.eval(order).await,
        json!([["bids", "bad"], ["edge", "bad"], ["idle one", "idle"]])
    );
    assert_eq!(page.eval(&text("[data-state=open] b")).await, "open");
    let states = page
        .eval("[...document.querySelectorAll('.card .states li')].map(item => item.textContent)")
        .await;
    assert_eq!(
        states,
        json!(["circuit-breaker open", "of a later version 0.25"])
    );
    let edge_card =
        "[...document.querySelectorAll('.card')].find(card => card.textContent.startsWith('edge'))";
    let meters = page
        .eval(&format!(
            "[...{edge_card}.querySelectorAll('.meter')].map(meter => meter.textContent)"
        ))
        .await;
    assert_eq!(meters, json!(["in use 9 of 12", "queue 3 of 30"]));
    let because = page
        .eval(&format!(
            "{edge_card}.querySelector('.because').textContent"
        ))
        .await;
    assert_eq!(because, "Limit changed 10 → 12 because: throughput grew");
    // Area is traffic: the disc of the busiest gate is the largest.
    let radius = page.eval("[...document.querySelectorAll('.disc circle')].map(disc => Number(disc.getAttribute('r')))").await;
    let radius: Vec<f64> = serde_json::from_value(radius).unwrap();
    assert!(
        radius[1] > 18.0 && radius[0] < radius[1] && radius[2] < radius[1],
        "{radius:?}"
    );
    let events = page.eval("[...document.querySelectorAll('#events li')].map(event => event.lastChild.textContent)").await;
    let events: Vec<String> = serde_json::from_value(events).unwrap();
    assert!(
        events[0].starts_with("circuit-breaker · state of #")
            && events[0].ends_with("closed → open: failure rate"),
        "{events:?}"
    );
    assert!(events[1].contains("10 → 12: throughput grew"), "{events:?}");
    assert!(
        page.eval(&text("#cost"))
            .await
            .as_str()
            .unwrap()
            .contains("1 of 20 viewers")
    );
    assert_eq!(page.complaints, <[String; 0]>::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_with_markup_are_text_and_run_nothing() {
    let metrics = Metrics::new();
    let names = [
        "<img src=x onerror=\"window.hacked=1\">".to_owned(),
        "</script><script>window.hacked=1</script>".to_owned(),
        "a\"b'c\nd\te\u{202e}f".to_owned(),
        "x".repeat(10_000),
        "__proto__".to_owned(),
    ];
    for name in &names {
        reject(&metrics.gate(name.clone()), "shed", Kind::Full);
        let policy = Policy::new("<b>policy</b>", &[(&STATE, 0.0)]);
        metrics.watch(name.clone(), policy.clone()).unwrap();
        policy.set(&STATE, 1.0, "<img src=x onerror=\"window.hacked=1\">");
    }
    let addr = serve(Dashboard::new(&metrics).show_keys()).await;
    let mut page = Page::open(&format!("http://{addr}/plimsoll")).await;
    page.until("document.querySelectorAll('.card').length === 5 && document.querySelectorAll('#events li').length === 5").await;
    for at in 0..names.len() {
        page.eval(&format!("document.querySelectorAll('.open')[{at}].click()"))
            .await;
        page.until("document.querySelector('dialog').open").await;
        page.eval("document.querySelector('dialog').close()").await;
    }
    let shown = page
        .eval("[...document.querySelectorAll('.open')].map(name => name.textContent)")
        .await;
    let shown: Vec<String> = serde_json::from_value(shown).unwrap();
    assert_eq!(
        (&shown[0], &shown[1], &shown[4]),
        (&names[0], &names[1], &names[4])
    );
    assert_eq!(shown[2], "a\"b'c\u{fffd}d\u{fffd}e\u{202e}f");
    assert!(shown[3].chars().count() < 300, "{}", shown[3].len());
    assert_eq!(
        page.eval("document.querySelectorAll('img, script').length")
            .await,
        2
    );
    assert_eq!(page.eval("window.hacked ?? null").await, json!(null));
    page.shape(390, "light").await;
    page.until("document.documentElement.scrollWidth <= innerWidth")
        .await;
    assert_eq!(page.complaints, <[String; 0]>::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keyboard_opens_and_closes_details_and_the_focus_returns() {
    let metrics = Metrics::new();
    reject(&metrics.gate("edge"), "shed", Kind::Full);
    metrics.gate("idle");
    let addr = serve(Dashboard::new(&metrics)).await;
    let mut page = Page::open(&format!("http://{addr}/plimsoll")).await;
    page.until("document.querySelectorAll('.card').length === 2")
        .await;
    // The link to the gates, four views, then the cards in their order.
    let mut order = Vec::new();
    for _ in 0..7 {
        page.press("Tab", 9).await;
        order.push(page.eval("document.activeElement.textContent").await);
    }
    assert_eq!(
        order,
        [
            "Skip to the gates",
            "10 s",
            "1 min",
            "10 min",
            "1 h",
            "edge",
            "idle"
        ]
    );
    page.eval("document.querySelector('.open').focus()").await;
    page.press("Enter", 13).await;
    page.until("document.querySelector('dialog').open").await;
    assert_eq!(page.eval(&text("#detail-name")).await, "edge");
    page.until("document.querySelector('dialog').textContent.includes('shed: full1')")
        .await;
    page.press("Escape", 27).await;
    page.until("!document.querySelector('dialog').open").await;
    assert_eq!(
        page.eval("document.activeElement.textContent").await,
        "edge"
    );
    assert_eq!(page.complaints, <[String; 0]>::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hidden_page_pauses_and_comes_back_with_its_history() {
    let metrics = Metrics::new();
    let gate = metrics.gate("edge");
    let addr = serve(Dashboard::new(&metrics)).await;
    let mut page = Page::open(&format!("http://{addr}/plimsoll")).await;
    page.until(&format!("{} === 'live'", text(".status"))).await;
    let hide = |hidden: bool| {
        format!(
            "Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }}), \
             document.dispatchEvent(new Event('visibilitychange'))"
        )
    };
    page.eval(&hide(true)).await;
    page.until(&format!("{} === 'paused while hidden'", text(".status")))
        .await;
    let viewers = "fetch('plimsoll/snapshot.json').then(answer => answer.json()).then(update => update.cost.viewers === 0)";
    page.until(viewers).await;
    (0..77).for_each(|_| call(&gate, Class::Success, 1));
    sleep(Duration::from_secs(3)).await;
    page.eval(&hide(false)).await;
    page.until(&format!(
        "{} === '77'",
        text("[data-total=admitted] .value")
    ))
    .await;
    // The calls of the hidden time are drawn.
    page.until("document.querySelector('.card .c-admitted.area').getAttribute('d').length > 10")
        .await;
    assert_eq!(page.complaints, <[String; 0]>::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_was_let_go_stops_and_can_watch_again() {
    let metrics = Metrics::new();
    let addr = serve(Dashboard::new(&metrics).viewers(1)).await;
    let mut page = Page::open(&format!("http://{addr}/plimsoll")).await;
    page.until(&format!("{} === 'live'", text(".status"))).await;
    // A newer viewer.
    let newer = "window.other = new EventSource('plimsoll/updates'), true";
    page.eval(newer).await;
    page.until(&format!("{} === 'stopped'", text(".status")))
        .await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(page.eval(&text(".status")).await, "stopped");
    page.eval("window.other.close(), document.querySelector('#notice button').click()")
        .await;
    page.until(&format!(
        "{} === 'live' && document.querySelector('#notice').hidden",
        text(".status")
    ))
    .await;
    assert_eq!(page.complaints, <[String; 0]>::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sets_a_limit_from_the_page() {
    let metrics = Metrics::new();
    let limit = Policy::new("concurrency", &[(&LIMIT, 10.0), (&IN_USE, 1.0)]);
    metrics.watch("edge", limit.clone()).unwrap();
    let board = Dashboard::new(&metrics).writable(|_| true).action(
        "edge",
        "pin the limit",
        Control::Number(1.0..=100.0),
        move |input| match input {
            Input::Number(to) if to < 50.0 => {
                limit.set(&LIMIT, to, "pinned");
                Ok(())
            }
            _ => Err("above the hard limit of 50".to_owned()),
        },
    );
    let addr = serve(board).await;
    let mut page = Page::open(&format!("http://{addr}/plimsoll")).await;
    page.until("document.body?.dataset.writable === 'true'")
        .await;
    page.eval("document.querySelector('.open').click()").await;
    page.until("document.querySelector('.control input') !== null")
        .await;
    let set = |to: u32| {
        format!(
            "document.querySelector('.control input').value = {to}, document.querySelector('.control button').click()"
        )
    };
    page.eval(&set(42)).await;
    page.until(&format!("{} === 'done'", text(".result"))).await;
    page.until(&format!("{} === 'in use 1 of 42'", text(".meter")))
        .await;
    page.until("document.querySelector('#events').textContent.includes('pin the limit: 42, by hand on the board')").await;
    assert_eq!(page.complaints, <[String; 0]>::default());
    page.eval(&set(60)).await;
    page.until(&format!(
        "{} === 'above the hard limit of 50'",
        text(".result")
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_has_a_view_of_its_own_and_shows_a_peer_that_fails() {
    let (own, other) = (Metrics::new(), Metrics::new());
    let (here, there) = (own.gate("edge"), other.gate("edge"));
    let peer = serve(Dashboard::new(&other)).await;
    let fetch = move |name: String| async move {
        if name != "replica-b" {
            return Err("connection refused".to_owned());
        }
        let mut socket = tokio::net::TcpStream::connect(peer).await.unwrap();
        let request = "GET /plimsoll/peer.json HTTP/1.1\r\nhost: b\r\nconnection: close\r\n\r\n";
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        let body = String::from_utf8(answer).unwrap();
        Ok(bytes::Bytes::from(
            body.split_once("\r\n\r\n").unwrap().1.to_owned(),
        ))
    };
    let addr = serve(Dashboard::new(&own).peers(["replica-b", "replica-c"], fetch)).await;
    (0..10).for_each(|_| call(&here, Class::Success, 1));
    (0..32).for_each(|_| call(&there, Class::Success, 1));
    let mut page = Page::open(&format!("http://{addr}/plimsoll")).await;
    page.until(&format!(
        "{} === '10'",
        text("[data-total=admitted] .value")
    ))
    .await;
    page.eval("[...document.querySelectorAll('#scopes button')][1].click()")
        .await;
    page.until(&format!(
        "{} === '42'",
        text("[data-total=admitted] .value")
    ))
    .await;
    let peers = page.eval("[...document.querySelectorAll('#peers li')].map(peer => [peer.children[0].textContent, peer.children[1].textContent])").await;
    assert_eq!(
        peers,
        json!([
            ["this process", "ok"],
            ["replica-b", "ok"],
            ["replica-c", "failing"]
        ])
    );
    page.eval("[...document.querySelectorAll('#scopes button')][0].click()")
        .await;
    page.until(&format!(
        "{} === '10'",
        text("[data-total=admitted] .value")
    ))
    .await;
    assert_eq!(page.complaints, <[String; 0]>::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn charts_draw_gaps_as_gaps_and_views_have_their_history() {
    let metrics = Metrics::new();
    call(&metrics.gate("edge"), Class::Success, 1);
    let addr = serve(Dashboard::new(&metrics)).await;
    let mut page = Page::open(&format!("http://{addr}/plimsoll")).await;
    page.until("document.querySelectorAll('.card').length === 1")
        .await;
    let chart = async |page: &mut Page, of: &str| {
        page.eval(&format!(
            "import('./plimsoll/chart.js').then(chart => chart.{of})"
        ))
        .await
    };
    let points = "[{ a: 1 }, { a: 2 }, null, { a: 4 }, { a: null }]";
    assert_eq!(
        chart(&mut page, &format!("band({points})")).await,
        "M0 0H2V100H0zM3 0H5V100H3z"
    );
    assert_eq!(
        chart(&mut page, &format!("line({points}, 'a', 4)")).await,
        "M0.5 75.0L1.5 50.0M3 0.0h1"
    );
    assert_eq!(
        chart(&mut page, &format!("steps({points}, 'a', 4)")).await,
        "M0 75.0V75.0H1V50.0H2M3 0.0V0.0H4"
    );
    let stacked = format!("stack({points}, ['a', 'a'], 8)");
    assert_eq!(
        chart(&mut page, &stacked).await[0],
        "M0 100.0V87.5H1V100.0zM1 100.0V75.0H2V100.0zM3 100.0V50.0H4V100.0z"
    );
    // Numbers of points: 10 s and 1 min by second, 10 min by 5 s, 1 h by 30 s.
    for (view, points) in [(0, 10), (2, 120), (3, 120), (1, 60)] {
        page.eval(&format!(
            "document.querySelectorAll('#views button')[{view}].click()"
        ))
        .await;
        let wide = format!(
            "document.querySelector('.card .plot svg').getAttribute('viewBox') === '0 0 {points} 100'"
        );
        page.until(&wide).await;
        let pressed = "[...document.querySelectorAll('#views button')].findIndex(view => view.getAttribute('aria-pressed') === 'true')";
        assert_eq!(page.eval(pressed).await, view);
    }
    // The cursor of a chart follows the arrow keys.
    page.eval("document.querySelector('.open').click()").await;
    page.until("document.querySelector('dialog').open").await;
    page.eval("document.querySelector('dialog figure svg').focus()")
        .await;
    page.press("ArrowLeft", 37).await;
    page.press("ArrowLeft", 37).await;
    page.until("document.querySelector('dialog figcaption').textContent.endsWith('1 s ago')")
        .await;
    assert_eq!(page.complaints, <[String; 0]>::default());
}
