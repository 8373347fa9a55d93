//! Models of subscribers: no wake-up is lost, and each item is received once.

use loom::{future::block_on, thread};

use crate::{Delivery, Ended, Hub};

fn hub() -> Hub<u32> {
    Hub::builder(4).ttl(None).build().unwrap()
}

#[test]
fn a_subscriber_that_waits_is_woken_by_each_item() {
    loom::model(|| {
        let hub = hub();
        let mut subscription = hub.subscribe().unwrap();
        let publisher = thread::spawn(move || {
            hub.publish(7).unwrap();
            hub.publish(8).unwrap();
        });
        let item = |seq, item| Ok(Delivery::Item { seq, item });
        assert_eq!(block_on(subscription.recv()), item(1, 7));
        assert_eq!(block_on(subscription.recv()), item(2, 8));
        publisher.join().unwrap();
        // The last clone of the hub is gone.
        assert_eq!(block_on(subscription.recv()), Err(Ended::Closed));
    });
}

#[test]
fn a_subscriber_that_comes_while_items_are_published_misses_none_after_its_cursor() {
    loom::model(|| {
        let hub = hub();
        let start = hub.cursor();
        let publishing = hub.clone();
        let publisher = thread::spawn(move || publishing.publish(7).unwrap());
        let mut subscription = hub.subscriber().after(start).subscribe().unwrap();
        let item = Delivery::Item { seq: 1, item: 7 };
        assert_eq!(block_on(subscription.recv()), Ok(item));
        publisher.join().unwrap();
        assert_eq!(subscription.try_recv(), Ok(None));
    });
}

#[test]
fn a_subscriber_that_leaves_does_not_keep_another_from_waking() {
    loom::model(|| {
        let hub = hub();
        let mut stays = hub.subscribe().unwrap();
        let mut leaves = hub.subscribe().unwrap();
        let publisher = {
            let hub = hub.clone();
            thread::spawn(move || hub.publish(7).unwrap())
        };
        let leaver = thread::spawn(move || {
            _ = leaves.try_recv();
            drop(leaves);
        });
        assert!(block_on(stays.recv()).is_ok());
        publisher.join().unwrap();
        leaver.join().unwrap();
        assert_eq!(hub.subscribers(), 1);
    });
}
