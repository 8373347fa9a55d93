//! Fair shares and partitions of a limit with unread responses.

use plimsoll_concurrency::{ConcurrencyLimit, FairShare, Partitions};
use plimsoll_core::{GateLayer, Missing};
use tokio::time::advance;

use super::{ALMOST_X, Download, MS, Req, X, ask, read};

#[tokio::test(start_paused = true)]
async fn a_partition_reclaims_the_places_of_unread_responses() {
    let limit = ConcurrencyLimit::new(4).unwrap();
    let handle = limit.handle();
    let name = |req: &Req| Some(req.body().key);
    let partitions = Partitions::new(limit.handle(), [(1, 0.5), (2, 0.5)], name).unwrap();
    let figures = partitions.handle();
    let inside = move || {
        figures
            .partitions()
            .map(|of| of.in_flight)
            .collect::<Vec<_>>()
    };
    let layer = GateLayer::new((partitions, limit));
    let mut readers = Vec::new();
    for key in [1, 1, 2, 2] {
        readers.push(ask(&layer, Download::by(key)).await.unwrap());
    }
    // The callers of the first partition stop reading; those of the second continue.
    for _ in 0..5 {
        assert_eq!(ask(&layer, Download::by(1)).await.err().unwrap(), 503);
        advance(X / 5).await;
        assert!(readers[2..].iter_mut().all(read));
    }
    assert!(ask(&layer, Download::by(1)).await.is_ok());
    assert_eq!((inside(), handle.in_flight()), (vec![0, 2, 0], 2));
    drop(readers);
    assert_eq!((inside(), handle.in_flight()), (vec![0, 0, 0], 0));
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_the_limit_rejects_reclaims_the_places_of_unread_responses() {
    let limit = ConcurrencyLimit::new(2).unwrap();
    let name = |req: &Req| Some(req.body().key);
    // Rounded up, the guarantees add up to more than the limit.
    let shares = [(1, 0.9), (2, 0.1)];
    let partitions = Partitions::new(limit.handle(), shares, name).unwrap();
    let figures = partitions.handle();
    let first = move || figures.partitions().next().unwrap().in_flight;
    let layer = GateLayer::new((partitions, limit));
    let _stopped = ask(&layer, Download::by(1)).await.unwrap();
    let mut reads = ask(&layer, Download::by(2)).await.unwrap();
    assert!(ask(&layer, Download::by(1)).await.is_err(), "by the limit");
    assert_eq!(first(), 1);
    advance(ALMOST_X).await;
    assert!(read(&mut reads));
    advance(MS).await;
    let served = ask(&layer, Download::by(1)).await.unwrap();
    assert!(ask(&layer, Download::by(1)).await.is_err(), "by the limit");
    assert_eq!(first(), 1, "the one that is served");
    drop(served);
    assert_eq!(first(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_reclaims_its_share_from_unread_responses() {
    let limit = ConcurrencyLimit::new(4).unwrap();
    let handle = limit.handle();
    let each = FairShare::new(limit.handle());
    let key = |req: &Req| Some(req.body().key);
    let fair = each.per_key(key, Missing::Share, 512).unwrap();
    let keys = fair.handle();
    let inside = move |key: u32| keys.with_cell(key, FairShare::in_flight).unwrap();
    let layer = GateLayer::new((fair, limit));
    let mut readers = Vec::new();
    for key in [1, 1, 1, 1] {
        readers.push(ask(&layer, Download::by(key)).await.unwrap());
    }
    assert_eq!((inside(1), handle.in_flight()), (4, 4));
    assert!(ask(&layer, Download::by(1)).await.is_err());
    advance(X).await;
    let fifth = ask(&layer, Download::by(1)).await.unwrap();
    assert_eq!((inside(1), handle.in_flight()), (1, 1));
    drop(readers);
    assert_eq!((inside(1), handle.in_flight()), (1, 1));
    drop(fifth);
    assert_eq!((inside(1), handle.in_flight()), (0, 0));
}
