//! Percentiles as text.

use plimsoll_core::{Class, Observe, Outcome};
use plimsoll_metrics::{Latencies, Metrics};
use tokio::time::Instant;

use crate::support::millis;

/// Latencies in milliseconds.
pub(crate) fn latencies(all: impl IntoIterator<Item = u64>) -> Latencies {
    let gate = Metrics::new().gate("g");
    for latency in all {
        let outcome = Outcome::new(Class::Success, millis(latency), Instant::now());
        gate.finished("g", &outcome);
    }
    gate.latency()
}

const GOLDEN: &str = "       \
       Value     Percentile TotalCount 1/(1-Percentile)

       1.004 0.000000000000          1           1.00
       1.004 0.100000000000          1           1.11
       1.004 0.200000000000          1           1.25
       2.007 0.300000000000          2           1.43
       2.007 0.400000000000          2           1.67
       3.015 0.500000000000          3           2.00
       3.015 0.550000000000          3           2.22
       4.014 0.600000000000          4           2.50
       4.014 0.650000000000          4           2.86
       4.014 0.700000000000          4           3.33
       4.014 0.750000000000          4           4.00
       4.014 0.775000000000          4           4.44
     100.139 0.800000000000          5           5.00
     100.139 1.000000000000          5
#[Mean    =       21.979, StdDeviation   =       38.962]
#[Max     =      100.139, Total count    =            5]
#[Buckets =           29, SubBuckets     =          256]
";

#[test]
fn percentiles_are_written_in_the_columns_of_hdrhistogram() {
    assert_eq!(latencies([1, 2, 3, 4, 100]).hgrm().to_string(), GOLDEN);
}

#[test]
fn no_durations_are_a_text_without_percentiles() {
    let text = latencies([]).hgrm().to_string();
    assert!(text.contains("Total count    =            0]"), "{text}");
    assert!(!text.contains("NaN"), "{text}");
}
