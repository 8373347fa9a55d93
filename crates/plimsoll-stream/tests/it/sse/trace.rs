//! What `tracing` sees of events.

use std::{
    fmt::{Debug, Write as _},
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use plimsoll_stream::{
    Cursor,
    sse::{SseEvent, Topic},
};
use tokio::time::sleep;
use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::{DefaultGuard, Interest, set_default},
};

use super::client::{Parser, get, read_ready};

/// Writes down what this crate emits, up to a level.
#[derive(Clone)]
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    /// What is opened, recorded and closed. The id of a span is the number of its line.
    spans: Arc<Mutex<Vec<String>>>,
    max: Level,
    panics: Panics,
}

#[derive(Clone, Copy, PartialEq)]
enum Panics {
    Never,
    WhenAsked,
    AtEvents,
    AtSpans,
}

impl Log {
    fn new(max: Level, panics: Panics) -> Self {
        Self {
            lines: Arc::default(),
            spans: Arc::default(),
            max,
            panics,
        }
    }

    /// Receives the events of this thread.
    ///
    /// While only one subscriber exists, `tracing` caches its decision about a new call site for
    /// all threads, and the first thread may belong to another test. A second one prevents that.
    fn install(max: Level, panics: Panics) -> (Self, DefaultGuard) {
        static SECOND: LazyLock<Dispatch> =
            LazyLock::new(|| Dispatch::new(Log::new(Level::ERROR, Panics::Never)));
        LazyLock::force(&SECOND);
        let log = Self::new(max, panics);
        let guard = set_default(log.clone());
        (log, guard)
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }

    fn spans(&self) -> Vec<String> {
        self.spans.lock().unwrap().clone()
    }
}

fn is_own(metadata: &Metadata<'_>) -> bool {
    metadata.target() == "plimsoll_stream::sse"
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Log {
    /// Asks each time. A panic while call sites are registered would poison a lock of `tracing`, and
    /// fail the other tests of this process.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_asked = is_own(metadata) && self.panics == Panics::WhenAsked;
        assert!(!is_asked, "a broken subscriber");
        is_own(metadata) && *metadata.level() <= self.max
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        assert!(self.panics != Panics::AtSpans, "a broken subscriber");
        let mut fields = Fields(format!("open {}", span.metadata().name()));
        span.record(&mut fields);
        let mut spans = self.spans.lock().unwrap();
        spans.push(fields.0);
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut fields = Fields(format!("record {}", span.into_u64()));
        values.record(&mut fields);
        self.spans.lock().unwrap().push(fields.0);
    }

    fn try_close(&self, span: Id) -> bool {
        let line = format!("close {}", span.into_u64());
        self.spans.lock().unwrap().push(line);
        true
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        assert!(self.panics != Panics::AtEvents, "a broken subscriber");
        let mut fields = Fields(event.metadata().level().to_string());
        event.record(&mut fields);
        self.lines.lock().unwrap().push(fields.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn publish(topic: &Topic, events: std::ops::RangeInclusive<u64>) {
    for n in events {
        topic.publish(SseEvent::new(&n.to_string())).unwrap();
    }
}

fn at(topic: &Topic, seq: u64) -> Cursor {
    Cursor {
        seq,
        ..topic.cursor()
    }
}

/// The id of the connection.
fn connection(parser: &Parser) -> String {
    let open = parser.named("open");
    open[0].split('"').nth(3).unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_is_one_event_with_the_age_of_the_oldest() {
    let (log, _guard) = Log::install(Level::DEBUG, Panics::Never);
    let topic = Topic::builder().name("ticks").acknowledge(3);
    let (topic, mut parser) = (topic.build().unwrap(), Parser::default());
    let mut response = get(&topic.router(), "/", "").await;
    publish(&topic, 1..=1);
    sleep(Duration::from_secs(2)).await;
    publish(&topic, 2..=5);
    read_ready(&mut response, &mut parser).await;
    assert_eq!(
        log.take(),
        Vec::<String>::new(),
        "nothing for what is written"
    );
    sleep(Duration::from_secs(1)).await;
    let connection = connection(&parser);
    topic.acknowledge(&connection, at(&topic, 2)).unwrap();
    assert_eq!(
        log.take(),
        ["DEBUG message=acknowledged topic=\"ticks\" from=1 to=2 age_seconds=3.0"]
    );
    // The same again is no batch.
    topic.acknowledge(&connection, at(&topic, 2)).unwrap();
    read_ready(&mut response, &mut parser).await;
    topic.acknowledge(&connection, at(&topic, 5)).unwrap();
    assert_eq!(
        log.take(),
        ["DEBUG message=acknowledged topic=\"ticks\" from=3 to=5 age_seconds=1.0"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_a_span_from_the_write_to_the_acknowledgement() {
    let (log, _guard) = Log::install(Level::DEBUG, Panics::Never);
    let topic = Topic::builder().name("ticks").acknowledge(3);
    let (topic, mut parser) = (topic.build().unwrap(), Parser::default());
    let mut response = get(&topic.router(), "/", "").await;
    publish(&topic, 1..=1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(log.spans(), [""; 0], "nothing was written yet");
    publish(&topic, 2..=2);
    read_ready(&mut response, &mut parser).await;
    let opened = [
        "open delivery topic=\"ticks\" seq=1 age_seconds=2.0",
        "open delivery topic=\"ticks\" seq=2 age_seconds=0.0",
    ];
    assert_eq!(log.spans(), opened);
    let connection = connection(&parser);
    topic.acknowledge(&connection, at(&topic, 1)).unwrap();
    assert_eq!(log.spans()[2..], ["record 1 acknowledged=true", "close 1"]);
    drop(response);
    assert_eq!(log.spans()[4..], ["close 2"], "not acknowledged");
}

#[tokio::test(start_paused = true)]
async fn without_acknowledgements_each_frame_is_one_event() {
    let (log, _guard) = Log::install(Level::TRACE, Panics::Never);
    let (topic, mut parser) = (Topic::builder().build().unwrap(), Parser::default());
    let app = topic.router();
    let mut response = get(&app, "/", "").await;
    read_ready(&mut response, &mut parser).await;
    assert_eq!(log.take(), Vec::<String>::new());
    publish(&topic, 1..=4);
    sleep(Duration::from_millis(250)).await;
    read_ready(&mut response, &mut parser).await;
    let written = "TRACE message=written topic=\"topic\" from=1 to=4 age_seconds=0.25";
    assert_eq!(log.take(), [written]);
    let after = at(&topic, 0);
    get(&app, &format!("/poll?after={after}"), "").await;
    assert_eq!(log.take(), [written]);
}

#[tokio::test(start_paused = true)]
async fn a_level_that_is_off_emits_nothing() {
    let (log, _guard) = Log::install(Level::DEBUG, Panics::Never);
    let (topic, mut parser) = (Topic::builder().build().unwrap(), Parser::default());
    let mut response = get(&topic.router(), "/", "").await;
    publish(&topic, 1..=4);
    read_ready(&mut response, &mut parser).await;
    assert_eq!(parser.messages(), [1, 2, 3, 4]);
    assert_eq!(log.take(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn law_10_a_subscriber_that_panics_fails_no_stream() {
    for panics in [Panics::WhenAsked, Panics::AtEvents, Panics::AtSpans] {
        let (_, _guard) = Log::install(Level::TRACE, panics);
        let (topic, mut parser) = (Topic::builder().build().unwrap(), Parser::default());
        let mut response = get(&topic.router(), "/", "").await;
        publish(&topic, 1..=4);
        read_ready(&mut response, &mut parser).await;
        assert_eq!(parser.messages(), [1, 2, 3, 4]);

        let topic = Topic::builder().acknowledge(2).build().unwrap();
        let mut parser = Parser::default();
        let mut response = get(&topic.router(), "/", "").await;
        publish(&topic, 1..=4);
        read_ready(&mut response, &mut parser).await;
        let connection = connection(&parser);
        topic.acknowledge(&connection, at(&topic, 2)).unwrap();
        read_ready(&mut response, &mut parser).await;
        assert_eq!(parser.messages(), [1, 2, 3, 4]);
        assert_eq!(topic.counters().acks, 1);
    }
}

#[test]
fn an_event_is_equal_wherever_it_was_published() {
    let (_, _guard) = Log::install(Level::TRACE, Panics::Never);
    let topic = Topic::builder().build().unwrap();
    topic.close();
    let rejected = topic.publish(SseEvent::new("1")).unwrap_err();
    let plimsoll_stream::PublishError::Closed(back) = rejected else {
        panic!("{rejected:?}")
    };
    assert_eq!(back, SseEvent::new("1"));
}
