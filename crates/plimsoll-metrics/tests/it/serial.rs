//! Histograms as bytes, of ours and of others.

use std::time::Duration;

use hdrhistogram::{
    Histogram,
    serialization::{Serializer as _, V2DeflateSerializer, V2Serializer},
};
use plimsoll_metrics::{InvalidEncoding, Latencies};
use proptest::prelude::*;

use crate::hgrm::latencies;

const NO_SUM: Duration = Duration::ZERO;

#[test]
fn replicas_merge_without_loss() {
    let (mut a, b) = (latencies(1..=60), latencies(50..=200));
    let sent = Latencies::from_v2(&b.to_v2(), b.sum()).unwrap();
    assert_eq!(sent, b);
    a.merge(&sent);
    assert_eq!(a, latencies((1..=60).chain(50..=200)));
}

#[test]
fn other_histograms_are_errors_before_anything_is_allocated() {
    // The first asks for 2 GiB of counts.
    for (high, digits) in [(u64::MAX, 5), (1 << 40, 2), ((1 << 40) - 1, 3)] {
        let other = Histogram::<u64>::new_with_bounds(1, high.min(1 << 50), digits).unwrap();
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(&other, &mut bytes).unwrap();
        bytes[24..32].copy_from_slice(&high.to_be_bytes());
        let mut read = None;
        let used = allocation_counter::measure(|| read = Some(Latencies::from_v2(&bytes, NO_SUM)));
        assert_eq!(read, Some(Err(InvalidEncoding)));
        assert!(used.bytes_max < 1024, "{} bytes", used.bytes_max);
    }
    let mut bytes = Vec::new();
    let compressed = V2DeflateSerializer::new().serialize(latencies([1]).histogram(), &mut bytes);
    compressed.unwrap();
    assert_eq!(Latencies::from_v2(&bytes, NO_SUM), Err(InvalidEncoding));
}

#[test]
fn trailing_bytes_are_an_error() {
    let mut bytes = latencies([1, 5]).to_v2();
    bytes.push(2);
    assert_eq!(Latencies::from_v2(&bytes, NO_SUM), Err(InvalidEncoding));
    assert_eq!(Latencies::from_v2(&[], NO_SUM), Err(InvalidEncoding));
}

proptest! {
    #[test]
    fn hostile_bytes_do_not_panic_and_allocate_little(
        counts in prop::collection::vec(any::<u8>(), 0..300),
        changes in prop::collection::vec((0usize..60, any::<u8>()), 0..4),
    ) {
        let mut bytes = latencies([]).to_v2();
        bytes.truncate(40);
        bytes.extend(&counts);
        bytes[4..8].copy_from_slice(&(counts.len() as u32).to_be_bytes());
        for (at, byte) in changes {
            if let Some(changed) = bytes.get_mut(at) {
                *changed = byte;
            }
        }
        let mut read = None;
        let used = allocation_counter::measure(|| read = Some(Latencies::from_v2(&bytes, NO_SUM)));
        prop_assert!(used.bytes_max < 128 * 1024, "{} bytes", used.bytes_max);
        if let Some(Ok(mut read)) = read {
            // It is usable: percentiles, merging, and a second trip.
            _ = read.quantile(0.99);
            read.merge(&latencies([1, 2]));
            _ = read.since(&latencies([1]));
            prop_assert!(Latencies::from_v2(&read.to_v2(), NO_SUM).is_ok());
        }
    }
}
