//! Requests without a key: counted for each gate, logged once per policy, and rejected if so
//! chosen.

use std::{
    fmt::{self, Write as _},
    net::SocketAddr,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use http::Request;
use plimsoll_core::{
    ByHeader, ClientIp, GateLayer, HeaderKey, Key, Keyed, Missing, Observe, Route,
    key::{MissingKeys, PeerAddr},
    test_kit::{KitRequest, Script, request},
};
use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::DefaultGuard,
};

use crate::sample::{Slots, send_request};

/// Records events as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Sends the events of this thread to a log.
///
/// While only one subscriber exists, `tracing` caches its decision about a new call site for all
/// threads, and the first thread may belong to another test. A second subscriber, kept alive,
/// prevents that.
fn logged() -> (Log, DefaultGuard) {
    static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Log::default()));
    LazyLock::force(&SECOND);
    let log = Log::default();
    let guard = tracing::subscriber::set_default(log.clone());
    (log, guard)
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "plimsoll"
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        assert_eq!(*event.metadata().level(), Level::WARN);
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Panics on every event.
struct Broken;

impl Subscriber for Broken {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &Event<'_>) {
        panic!("a broken subscriber");
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Counts what a gate reports about keys.
#[derive(Clone, Default)]
struct Watch(Arc<AtomicU64>);

impl Watch {
    fn missing(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Observe for Watch {
    fn missing_key(&self, gate: &str) {
        assert_eq!(gate, "edge");
        self.0.fetch_add(1, Relaxed);
    }
}

fn one_each<K: Key<KitRequest>>(key: K, missing: Missing) -> Keyed<K, Slots> {
    Keyed::new(key, missing, 512, || Slots::new(1)).unwrap()
}

fn from_peer() -> KitRequest {
    let mut req = request(Script::Body);
    req.extensions_mut()
        .insert(PeerAddr(SocketAddr::from(([192, 0, 2, 1], 1))));
    req
}

/// Sends requests without a key one after another, and returns their statuses.
async fn keyless<K: Key<KitRequest> + 'static>(
    layer: &GateLayer<Keyed<K, Slots>>,
    count: usize,
) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        let answer = send_request(layer, request(Script::Body)).await.unwrap();
        statuses.push(answer.status().as_u16());
    }
    statuses
}

#[tokio::test(start_paused = true)]
async fn the_first_request_without_a_key_logs_a_warning_that_names_the_cure() {
    let (log, _guard) = logged();
    let layer = GateLayer::new(one_each(ClientIp::peer(), Missing::Share));
    send_request(&layer, from_peer()).await.unwrap();
    assert_eq!(log.lines(), [""; 0], "the request has a key");
    keyless(&layer, 3).await;
    let lines = log.lines();
    let [line] = lines.as_slice() else {
        panic!("more or less than one warning for the policy: {lines:?}");
    };
    for part in [
        "limited together, as one caller",
        "ClientIp",
        "into_make_service_with_connect_info::<SocketAddr>()",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert_eq!(layer.policy().handle().missing(), 3);

    // Another policy logs its own warning.
    let other = GateLayer::new(one_each(Route::matched(), Missing::Admit));
    keyless(&other, 2).await;
    let lines = log.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].contains("admitted, unlimited"), "{}", lines[1]);
    assert!(lines[1].contains("route_layer"), "{}", lines[1]);
}

#[tokio::test(start_paused = true)]
async fn the_cure_depends_on_what_is_missing() {
    let header = http::HeaderName::from_static("cf-connecting-ip");
    let private = plimsoll_core::IpRange::PRIVATE;
    let (peer, empty) = (from_peer(), request(Script::Body));
    let named = ClientIp::trusted_header(header);
    for (key, req, cure) in [
        (ClientIp::peer(), &empty, "connect_info"),
        (ClientIp::behind(1), &peer, "docs/keys.md"),
        (ClientIp::behind(1), &empty, "docs/keys.md"),
        (
            ClientIp::behind(1).trusting_peers(private),
            &empty,
            "connect_info",
        ),
        (
            ClientIp::behind(1).trusting_peers([]),
            &peer,
            "docs/keys.md",
        ),
        (named, &peer, "docs/keys.md"),
    ] {
        assert!(key.cure(req).contains(cure), "{key:?}: {}", key.cure(req));
    }
}

#[test]
fn a_key_without_a_cure_of_its_own_names_the_general_ones() {
    let key = |_: &KitRequest| None::<u32>;
    let cure = key.cure(&request(Script::Body));
    assert!(cure.contains("`Missing`"), "{cure}");
}

#[tokio::test(start_paused = true)]
async fn each_gate_reports_its_requests_without_a_key() {
    for (missing, statuses) in [
        (Missing::Admit, [200, 200]),
        (Missing::Share, [200, 200]),
        (Missing::REJECT, [429, 429]),
    ] {
        let (watch, quiet) = (Watch::default(), one_each(ClientIp::peer(), missing));
        let layer = GateLayer::builder(one_each(ClientIp::peer(), missing))
            .name("edge")
            .observe(watch.clone())
            .build();
        // Requests that another gate notes on this thread do not count here.
        keyless(&GateLayer::new(quiet), 5).await;
        assert_eq!(watch.missing(), 0);
        assert_eq!(keyless(&layer, 2).await, statuses, "{missing:?}");
        assert_eq!(watch.missing(), 2, "{missing:?}");
        send_request(&layer, from_peer()).await.unwrap();
        assert_eq!(watch.missing(), 2, "{missing:?}: the request has a key");
    }
}

#[tokio::test(start_paused = true)]
async fn every_observer_gets_one_event_per_request_without_a_key() {
    let (first, second) = (Watch::default(), Watch::default());
    let pair = (
        one_each(ClientIp::peer(), Missing::Share),
        plimsoll_core::Shadow::new(one_each(HeaderKey::from_static("x-key"), Missing::Admit)),
    );
    let layer = GateLayer::builder(pair)
        .name("edge")
        .observe(first.clone())
        .observe(Arc::new(second.clone()))
        .build();
    send_request(&layer, request(Script::Body)).await.unwrap();
    assert_eq!((first.missing(), second.missing()), (1, 1));
    let (by_ip, shadow) = layer.policy();
    let missing = [
        by_ip.handle().missing(),
        shadow.get_ref().handle().missing(),
    ];
    assert_eq!(missing, [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_key_of_an_untrusted_priority_is_reported() {
    let (log, _guard) = logged();
    let watch = Watch::default();
    let layer = GateLayer::builder(ByHeader::untrusted(ClientIp::peer()))
        .name("edge")
        .observe(watch.clone())
        .build();
    send_request(&layer, request(Script::Body)).await.unwrap();
    assert_eq!((watch.missing(), layer.policy().missing()), (1, 1));
    assert_eq!(log.lines().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn requests_without_a_key_can_be_rejected() {
    let layer = GateLayer::new(one_each(ClientIp::peer(), Missing::REJECT));
    let answer = send_request(&layer, request(Script::Body)).await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["plimsoll-rejected-by"], "missing-key");
    assert_eq!(
        Missing::REJECT,
        Missing::Reject(plimsoll_core::Kind::OverQuota)
    );
}

#[test]
fn law_10_a_subscriber_that_panics_loses_only_the_warning() {
    let missing = MissingKeys::new();
    tracing::subscriber::with_default(Broken, || {
        missing.note(&ClientIp::peer(), &Request::new(()), Missing::Share);
    });
    assert_eq!(missing.get(), 1);
}
