//! Clients that come back with a cursor.

use std::time::Duration;

use plimsoll_stream::{Cursor, DropReason, Hub, LagPolicy, Reset, ResetReason, Resumed};
use tokio::time::advance;

use super::{gap, item, publish, received};

#[tokio::test]
async fn a_client_that_coalesces_continues_after_a_cursor_that_is_no_longer_kept() {
    let hub = Hub::builder(4)
        .key(3, |item: &(char, u32)| item.0)
        .build()
        .unwrap();
    let cursor = hub.cursor();
    let after = || hub.subscriber().policy(LagPolicy::Coalesce).after(cursor);
    publish(&hub, [('a', 1)]);
    publish(&hub, (0..100).map(|n| ('b', n)));
    let mut subscription = after().subscribe().unwrap();
    assert_eq!(subscription.resumed(), Resumed::Complete);
    assert_eq!(subscription.try_recv(), item(1, ('a', 1)));
    assert_eq!(subscription.try_recv(), gap(2, 100, DropReason::Replaced));
    assert_eq!(subscription.try_recv(), item(101, ('b', 99)));
    assert_eq!(subscription.try_recv(), Ok(None));
    // With more keys than are kept, something is missing.
    publish(&hub, [('c', 0), ('d', 0)]);
    assert!(matches!(
        after().subscribe().unwrap().resumed(),
        Resumed::Reset(_)
    ));
}

#[tokio::test]
async fn a_client_that_comes_back_continues_after_its_cursor() {
    let hub = Hub::new(100).unwrap();
    publish(&hub, 1..=90_u64);
    let epoch = hub.cursor().epoch;
    for seq in 0..=90 {
        let after = hub.subscriber().after(Cursor { epoch, seq });
        let mut subscription = after.subscribe().unwrap();
        assert_eq!(subscription.resumed(), Resumed::Complete);
        assert_eq!(
            received(&mut subscription),
            (seq + 1..=90).collect::<Vec<_>>()
        );
    }
    assert_eq!(hub.counters().replay_hits, 91);
}

#[tokio::test]
async fn a_cursor_of_no_use_is_reset_with_from_and_to() {
    let hub = Hub::builder(10).epoch(7).build().unwrap();
    publish(&hub, 1..=90_u64);
    let reset = |reason, from| Resumed::Reset(reset_of(reason, from, 80));
    for (epoch, seq, reason) in [
        (8, 85, ResetReason::UnknownEpoch),
        (7, 91, ResetReason::NotPublished),
        (7, u64::MAX, ResetReason::NotPublished),
        (7, 79, ResetReason::TooOld),
        (7, 0, ResetReason::TooOld),
    ] {
        let after = hub.subscriber().after(Cursor { epoch, seq });
        let mut subscription = after.subscribe().unwrap();
        assert_eq!(subscription.resumed(), reset(reason, seq));
        assert_eq!(received(&mut subscription), (81..=90).collect::<Vec<_>>());
    }
    assert_eq!(hub.counters().replay_misses, 5);
}

/// `Reset` cannot be built outside of the crate.
fn reset_of(reason: ResetReason, from: u64, to: u64) -> Reset {
    let hub = Hub::builder(1).epoch(1).build().unwrap();
    publish(&hub, 1..=to + 1);
    let (epoch, seq) = match reason {
        ResetReason::UnknownEpoch => (2, from),
        _ => (1, from),
    };
    let after = hub.subscriber().after(Cursor { epoch, seq });
    match after.subscribe().unwrap().resumed() {
        Resumed::Reset(reset) => {
            assert_eq!((reset.reason, reset.from, reset.to), (reason, from, to));
            reset
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_cursor_older_than_the_ttl_is_reset() {
    let hub = Hub::new(1_000).unwrap();
    publish(&hub, 1..=40_u64);
    let cursor = hub.subscriber().from_oldest().subscribe().unwrap().cursor();
    advance(Duration::from_secs(20)).await;
    publish(&hub, 41..=50);
    advance(Duration::from_secs(10)).await;
    let mut subscription = hub.subscriber().after(cursor).subscribe().unwrap();
    let Resumed::Reset(reset) = subscription.resumed() else {
        panic!("not reset")
    };
    assert_eq!((reset.reason, reset.to), (ResetReason::TooOld, 40));
    assert_eq!(received(&mut subscription), (41..=50).collect::<Vec<_>>());
    advance(Duration::from_secs(20)).await;
    assert_eq!(hub.oldest(), hub.cursor());
    hub.prune();
    // The newest segment stays.
    assert!(hub.len() <= 32, "{}", hub.len());
}

#[test]
fn only_the_text_of_a_cursor_is_a_cursor() {
    let cursor = Cursor {
        epoch: u64::MAX,
        seq: u64::MAX,
    };
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
    for text in [
        "",
        ".",
        "0",
        "0.0",
        "0000000000000000",
        "0000000000000000.",
        "0000000000000000.-1",
        "0000000000000000.+1",
        "0000000000000000.01",
        "000000000000000G.1",
        "000000000000000A.1",
        "+000000000000000.1",
        "0000000000000000.18446744073709551616",
        "0000000000000000.1 ",
        "000000000000000é.1",
        "0000000000000000.1é",
        "0000000000000000.99999999999999999999999",
    ] {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
}
