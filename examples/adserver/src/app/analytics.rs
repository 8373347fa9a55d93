//! Analytics: the revenue of auctions, for dashboards. Reduced first under load.

use std::sync::{Arc, Mutex, PoisonError};

use plimsoll_metrics::{InvalidMetric, Metrics};
use plimsoll_sampling::Sampled;

use crate::settings::BIDDERS;

/// Sums over the sampled auctions, each weighted by its sampling rate.
#[derive(Debug, Default)]
pub(super) struct Analytics(Mutex<Totals>);

/// The sums.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Totals {
    /// Recorded auctions.
    pub(super) recorded: u64,
    /// All auctions, estimated from the recorded ones.
    pub(super) auctions: f64,
    /// Revenue by bidder in thousandths of a cent, estimated likewise.
    pub(super) revenue: [f64; BIDDERS.len()],
}

impl Analytics {
    /// Records an auction if it is sampled: the winner's price and index, if a bidder won.
    pub(super) fn record(&self, sampled: Sampled, winner: Option<(u32, usize)>) {
        if !sampled.keep {
            return;
        }
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        totals.recorded += 1;
        totals.auctions += sampled.weight();
        if let Some((price, bidder)) = winner {
            totals.revenue[bidder] += f64::from(price) * sampled.weight();
        }
    }

    /// Registers the sums with the gates' metrics.
    pub(super) fn show(self: &Arc<Self>, metrics: &Metrics) -> Result<(), InvalidMetric> {
        let shown = Arc::clone(self);
        let help = "Auctions that analytics recorded";
        metrics.counter("adserver_recorded_total", help, &[], move || {
            shown.totals().recorded
        })?;
        let shown = Arc::clone(self);
        let help = "Auctions, estimated from the recorded ones";
        metrics.gauge("adserver_auctions", help, &[], move || {
            shown.totals().auctions
        })?;
        for (bidder, name) in BIDDERS.into_iter().enumerate() {
            let shown = Arc::clone(self);
            let help = "Revenue from the bidder, in thousandths of a cent";
            let read = move || shown.totals().revenue[bidder];
            metrics.gauge("adserver_revenue", help, &[("bidder", name)], read)?;
        }
        Ok(())
    }

    /// Returns the sums so far.
    pub(super) fn totals(&self) -> Totals {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sampled_auction_is_weighted_by_its_rate() {
        let analytics = Analytics::default();
        analytics.record(Sampled::ALL, Some((100, 1)));
        for keep in [true, false, false, false] {
            analytics.record(Sampled { keep, rate: 0.25 }, Some((200, 2)));
        }
        let Totals {
            recorded,
            auctions,
            revenue,
        } = analytics.totals();
        assert_eq!(recorded, 2);
        assert_eq!((auctions, revenue), (5.0, [0.0, 100.0, 800.0]));
    }
}
