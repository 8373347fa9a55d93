//! Results of requests, per second and in total. Memory is bounded for any length of run.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;

use super::client::{CRITICALITIES, Ending, Reply, Want};
use crate::tally::{Impressions, Tally};

/// The longest latency in microseconds, 18 minutes.
const LONGEST: u64 = 1 << 30;
/// Significant digits of a latency: buckets are less than 1 % wide.
const DIGITS: u8 = 2;
/// Maximum number of counted policy names, since the server under test chooses them.
const MAX_REASONS: usize = 16;

/// Records one load.
pub(super) struct Recorder(Mutex<Books>);

struct Books {
    second: Book,
    total: Book,
}

#[derive(Clone)]
struct Book {
    tally: Tally,
    impressions: [Impressions; CRITICALITIES.len()],
    latency: Histogram<u64>,
    worst_lag: Duration,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Books {
            second: Book::new(),
            total: Book::new(),
        }))
    }

    /// Counts a request that is due.
    pub(super) fn offered(&self, want: Want) {
        self.write(|book| match want {
            Want::Auction { .. } => book.tally.offered += 1,
            Want::Impression { criticality, .. } => book.impressions[criticality].offered += 1,
        });
    }

    /// Counts a request that could not be sent.
    pub(super) fn unsent(&self, want: Want) {
        if matches!(want, Want::Auction { .. }) {
            self.write(|book| book.tally.unsent += 1);
        }
    }

    /// Records how long after its due time a request is sent.
    pub(super) fn sending(&self, lag: Duration) {
        self.write(|book| book.worst_lag = book.worst_lag.max(lag));
    }

    /// Records the end of a request, `latency` after it was due.
    pub(super) fn ended(&self, want: Want, latency: Duration, ending: &Ending) {
        self.write(|book| match want {
            Want::Auction { .. } => book.auction(latency, ending),
            Want::Impression { criticality, .. } => book.impression(criticality, ending),
        });
    }

    /// Returns the results since the last call, and clears them.
    pub(super) fn second(&self, length: Duration) -> Tally {
        let mut books = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let second = std::mem::replace(&mut books.second, Book::new());
        drop(books);
        second.into_tally(length)
    }

    /// Returns the results since the start.
    pub(super) fn total(&self, length: Duration) -> Tally {
        let books = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let total = books.total.clone();
        drop(books);
        total.into_tally(length)
    }

    fn write(&self, entry: impl Fn(&mut Book)) {
        let mut books = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entry(&mut books.second);
        entry(&mut books.total);
    }
}

impl Book {
    fn new() -> Self {
        Self {
            tally: Tally::default(),
            impressions: Default::default(),
            latency: Histogram::new_with_max(LONGEST, DIGITS).expect("the bounds are valid"),
            worst_lag: Duration::ZERO,
        }
    }

    fn auction(&mut self, latency: Duration, ending: &Ending) {
        let tally = &mut self.tally;
        match ending {
            Ending::Late => tally.late += 1,
            Ending::Reply(reply) if reply.status.is_success() => {
                if reply.house {
                    tally.degraded += 1;
                } else {
                    tally.answered += 1;
                    tally.recorded += u64::from(!reply.unrecorded);
                    self.latency.saturating_record(latency.as_micros() as u64);
                }
            }
            Ending::Reply(reply) if reply.refused_by.is_some() => tally.turned_away += 1,
            Ending::Reply(_) | Ending::Broken => tally.failed += 1,
        }
        if let Ending::Reply(reply) = ending {
            self.rejections(reply);
        }
    }

    fn impression(&mut self, criticality: usize, ending: &Ending) {
        if let Ending::Reply(reply) = ending {
            if reply.status.is_success() {
                self.impressions[criticality].taken += 1;
            }
            self.rejections(reply);
        }
    }

    fn rejections(&mut self, reply: &Reply) {
        let refused = &mut self.tally.refused;
        if let Some(policy) = &reply.refused_by
            && (refused.len() < MAX_REASONS || refused.contains_key(policy))
        {
            *refused.entry(policy.clone()).or_default() += 1;
        }
        if reply.bids_refused > 0 {
            *refused.entry("circuit-breaker".to_owned()).or_default() += reply.bids_refused;
        }
    }

    fn into_tally(self, length: Duration) -> Tally {
        let quantile_ms = |quantile| {
            let end = self.latency.value_at_quantile(quantile);
            self.latency.median_equivalent(end) as f64 / 1_000.0
        };
        let impressions: BTreeMap<_, _> = CRITICALITIES
            .iter()
            .zip(self.impressions)
            .map(|(name, impressions)| ((*name).to_owned(), impressions))
            .collect();
        Tally {
            seconds: length.as_secs_f64(),
            impressions,
            p50_ms: quantile_ms(0.5),
            p99_ms: quantile_ms(0.99),
            p999_ms: quantile_ms(0.999),
            worst_lag_ms: self.worst_lag.as_secs_f64() * 1_000.0,
            ..self.tally
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    const AUCTION: Want = Want::Auction {
        publisher: 1,
        cost: 1.0,
    };

    fn reply(status: StatusCode, house: bool, refused_by: Option<&str>) -> Ending {
        let refused_by = refused_by.map(str::to_owned);
        Ending::Reply(Reply {
            status,
            house,
            refused_by,
            unrecorded: false,
            bids_refused: 0,
        })
    }

    #[test]
    fn every_auction_counts_once() {
        let recorder = Recorder::new();
        let endings = [
            reply(StatusCode::OK, false, None),
            reply(StatusCode::OK, true, Some("concurrency")),
            reply(StatusCode::TOO_MANY_REQUESTS, false, Some("rate-limit")),
            reply(StatusCode::INTERNAL_SERVER_ERROR, false, None),
            Ending::Late,
            Ending::Broken,
        ];
        for ending in endings {
            recorder.offered(AUCTION);
            recorder.ended(AUCTION, Duration::from_millis(20), &ending);
        }
        recorder.offered(AUCTION);
        recorder.unsent(AUCTION);
        let tally = recorder.total(Duration::from_secs(1));
        assert_eq!(tally.offered, 7);
        assert_eq!(
            (tally.answered, tally.degraded, tally.turned_away),
            (1, 1, 1)
        );
        assert_eq!((tally.late, tally.failed, tally.unsent), (1, 2, 1));
        assert_eq!(
            tally.refused,
            BTreeMap::from([("concurrency".into(), 1), ("rate-limit".into(), 1)])
        );
    }

    #[test]
    fn percentiles_are_those_of_answered_auctions() {
        let recorder = Recorder::new();
        for millis in 1..=1_000 {
            let ending = reply(StatusCode::OK, false, None);
            recorder.ended(AUCTION, Duration::from_millis(millis), &ending);
        }
        // Fast rejections do not lower the median.
        for _ in 0..1_000 {
            let ending = reply(StatusCode::SERVICE_UNAVAILABLE, false, Some("concurrency"));
            recorder.ended(AUCTION, Duration::from_millis(1), &ending);
        }
        let tally = recorder.total(Duration::from_secs(1));
        for (read, exact) in [
            (tally.p50_ms, 500.0),
            (tally.p99_ms, 990.0),
            (tally.p999_ms, 999.0),
        ] {
            assert!((read / exact - 1.0).abs() < 0.01, "{read} is not {exact}");
        }
    }

    #[test]
    fn a_second_is_cleared_and_the_total_is_not() {
        let recorder = Recorder::new();
        recorder.offered(AUCTION);
        assert_eq!(recorder.second(Duration::from_secs(1)).offered, 1);
        assert_eq!(recorder.second(Duration::from_secs(1)).offered, 0);
        assert_eq!(recorder.total(Duration::from_secs(2)).offered, 1);
    }
}
