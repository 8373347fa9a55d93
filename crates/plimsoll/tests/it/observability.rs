//! The tables of `docs/observability.md` are those of the code.
//!
//! With `PLIMSOLL_WRITE=1` the test writes them; without, it compares.

use std::{
    collections::BTreeMap, fmt::Write, future::ready, io, path::Path, sync::Arc, time::Duration,
};

use tokio::net::TcpListener;

use plimsoll::{
    HeaderKey, Missing, Shadow,
    circuit_breaker::CircuitBreaker,
    client::{AdaptiveThrottle, Downstream, HedgeLayer, RetryLayer},
    concurrency::{ConcurrencyLimit, FairShare},
    fallback::Fallback,
    figures::{Figure, FigureKind, Figures},
    load_shed::{AdaptiveShed, LoadShed},
    metrics::families::{BuiltIn, FAMILIES, FamilyKind},
    rate_limit::{LeakyBucket, Quota, RateLimit, SlidingLog},
    sampling::{Rates, Sampling},
    stream::{
        BoundedQueue, Hub, Pipeline, QueuePolicy, Throttle, grpc::StreamServer,
        listener::BackpressureListener, sse::Topic, websocket::WebSocketLimits, work::WorkQueue,
    },
};

/// One handle of each policy of the feature `full`.
fn handles() -> Vec<Arc<dyn Figures>> {
    let second = Duration::from_secs(1);
    let limit = || RateLimit::new(Quota::per_second(10)).unwrap();
    let slots = || ConcurrencyLimit::adaptive();
    let key = HeaderKey(http::HeaderName::from_static("x-api-key"));
    let rates = Rates {
        base: 1.0,
        min: 0.1,
        threshold: 0.7,
    };
    vec![
        Arc::new(limit().handle()),
        Arc::new(limit().per_key(key, Missing::Share, 100).unwrap().handle()),
        Arc::new(SlidingLog::new(10, second).unwrap().handle()),
        Arc::new(LeakyBucket::new(10, second).unwrap().handle()),
        Arc::new(slots().handle()),
        Arc::new(FairShare::new(slots().handle()).handle()),
        Arc::new(LoadShed::new(|| 0.5).handle()),
        Arc::new(AdaptiveShed::new(|| 0.5).handle()),
        Arc::new(CircuitBreaker::new().handle()),
        Arc::new(Sampling::new(|| 0.5, rates).unwrap().handle()),
        Arc::new(Fallback::answer(http::Response::new("")).handle()),
        Arc::new(RetryLayer::new().handle()),
        Arc::new(HedgeLayer::builder().build().unwrap().handle()),
        Arc::new(AdaptiveThrottle::new().handle()),
        Arc::new(Downstream::new().handle()),
        Arc::new(Shadow::new(slots()).handle()),
    ]
}

/// One of each part of a stream.
async fn parts() -> Vec<Arc<dyn Figures>> {
    let queue = BoundedQueue::<u8>::new(1, QueuePolicy::DropOldest).unwrap();
    let quota = Quota::per_second(10);
    let throttle = Throttle::builder().events(quota).bytes(quota);
    let pipeline = Pipeline::from(queue.items()).for_each(|_| ready(Ok::<_, io::Error>(())));
    let pipeline = pipeline.unwrap().handle();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listener = BackpressureListener::builder(listener).build().unwrap();
    let sockets = WebSocketLimits::new(8, QueuePolicy::DropOldest);
    vec![
        Arc::new(pipeline.stage_figures("sink").unwrap()),
        Arc::new(pipeline),
        Arc::new(queue),
        Arc::new(Hub::<u8>::new(2).unwrap().figures()),
        Arc::new(throttle.build().unwrap()),
        Arc::new(Topic::builder().build().unwrap().figures()),
        Arc::new(sockets.build().unwrap()),
        Arc::new(WorkQueue::builder(8).workers(1).build().unwrap().figures()),
        Arc::new(listener.handle()),
        Arc::new(StreamServer::default().handle()),
    ]
}

fn kind(kind: FigureKind) -> &'static str {
    match kind {
        FigureKind::Counter => "counter",
        FigureKind::State(_) => "state",
        _ => "gauge",
    }
}

fn families() -> String {
    let mut table = "| metric | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    let row = |of: &BuiltIn| {
        let suffix = match of.kind {
            FamilyKind::Counter => "_total",
            _ => "",
        };
        let own = match of.kind {
            FamilyKind::Summary => Some("quantile"),
            _ => None,
        };
        let labels: Vec<_> = of.labels.iter().copied().chain(own).collect();
        let (name, kind, help) = (of.name, of.kind.as_str(), of.help);
        format!(
            "| `{name}{suffix}` | {kind} | {} | {help} |\n",
            labels.join(", ")
        )
    };
    table.extend(FAMILIES.iter().map(row));
    table
}

fn figures(handles: &[Arc<dyn Figures>]) -> String {
    // By name, with the policies that have it.
    let mut names: BTreeMap<&str, (Figure, Vec<String>)> = BTreeMap::new();
    for handle in handles {
        handle.read(&mut |figure, _| {
            let (_, policies) = names.entry(figure.name).or_insert((*figure, Vec::new()));
            let policy = format!("`{}`", handle.policy());
            if !policies.contains(&policy) {
                policies.push(policy);
            }
        });
    }
    let mut table = "| figure | type | policies | meaning |\n|---|---|---|---|\n".to_owned();
    for (name, (figure, policies)) in names {
        let unit = figure
            .unit
            .map(|unit| format!("_{unit}"))
            .unwrap_or_default();
        let label = figure.label.map(|(label, _)| format!(", by {label}"));
        // Some texts state the label already.
        let label = label.filter(|label| !figure.help.ends_with(label.as_str()));
        _ = writeln!(
            table,
            "| `{name}{unit}` | {} | {} | {}{} |",
            kind(figure.kind),
            policies.join(", "),
            figure.help,
            label.unwrap_or_default(),
        );
    }
    table
}

/// Replaces what is between the marks of `part`, and returns whether it was the same.
fn replace(text: &mut String, part: &str, table: &str) -> bool {
    let start = text
        .find(&format!("<!-- {part}:"))
        .expect("the part begins");
    let start = start + text[start..].find("-->\n").expect("the mark ends") + 4;
    let end = text
        .find(&format!("<!-- end of {part} -->"))
        .expect("the part ends");
    let is_same = text[start..end] == *table;
    text.replace_range(start..end, table);
    is_same
}

#[tokio::test]
async fn the_tables_of_the_guide_are_generated() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/observability.md");
    let mut text = std::fs::read_to_string(&file).unwrap();
    let same = [
        replace(&mut text, "families", &families()),
        replace(&mut text, "figures", &figures(&handles())),
        replace(&mut text, "figures of streams", &figures(&parts().await)),
    ];
    if std::env::var_os("PLIMSOLL_WRITE").is_some() {
        std::fs::write(&file, text).unwrap();
    } else {
        assert_eq!(same, [true; 3], "run this test with PLIMSOLL_WRITE=1");
    }
}
