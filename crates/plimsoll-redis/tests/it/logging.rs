//! Events through `tracing`, which report that a limit is not shared.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex},
};

use plimsoll_rate_limit::Quota;
use plimsoll_redis::Disconnected;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

use crate::{ask, builder, ms, replicas::connected, server::Server, until};

/// Level and text of each event of this crate.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Level, String)>>>);

impl Log {
    fn taken(&self) -> Vec<(Level, String)> {
        std::mem::take(&mut *self.0.lock().expect("not poisoned"))
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{value:?} ").expect("a string");
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("plimsoll_redis")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let mut log = self.0.lock().expect("not poisoned");
        log.push((*event.metadata().level(), text.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// On one thread, so that the subscriber sees the tasks of the connections.
#[tokio::test]
async fn a_limit_that_is_not_shared_is_logged_once_and_so_is_its_recovery() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let master = Server::start();
    let replica = Server::replica_of(&master);
    let limit = builder(&replica).quota(Quota::per_minute(100).named("q"));
    let limit = limit.connect().expect("valid");
    let handle = limit.handle();
    until("the reason is reported", || async {
        handle.disconnected() == Some(Disconnected::NotWritable)
    })
    .await;
    // Both connections fail again and again.
    tokio::time::sleep(ms(500)).await;
    let logged = log.taken();
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert_eq!(logged[0].0, Level::WARN);
    assert!(logged[0].1.contains("replica"), "{logged:?}");

    assert_eq!(replica.command("REPLICAOF NO ONE"), "+OK");
    connected(&handle).await;
    assert_eq!(log.taken(), []);
    for _ in 0..3 {
        assert!(ask(&limit, &mut ()).await.is_ok());
    }
    let logged = log.taken();
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert_eq!(logged[0].0, Level::INFO);
}
