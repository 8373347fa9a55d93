//! Analytics: what auctions bring, for the dashboards. The first thing to do less of under load.

use std::sync::{Arc, Mutex, PoisonError};

use plimsoll_metrics::{InvalidMetric, Metrics};
use plimsoll_sampling::Sampled;

use crate::settings::BIDDERS;

/// Sums over the auctions that are kept, each counted for those it stands for.
#[derive(Debug, Default)]
pub(super) struct Analytics(Mutex<Totals>);

/// The sums.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Totals {
    /// Auctions that were recorded.
    pub(super) recorded: u64,
    /// Auctions there were, as far as the recorded ones tell.
    pub(super) auctions: f64,
    /// What each bidder paid, in thousandths of a cent, likewise.
    pub(super) revenue: [f64; BIDDERS.len()],
}

impl Analytics {
    /// Records an auction, if it is kept: the price and the bidder that won, if one did.
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

    /// Shows the sums beside the gates' metrics.
    pub(super) fn show(self: &Arc<Self>, metrics: &Metrics) -> Result<(), InvalidMetric> {
        let shown = Arc::clone(self);
        let help = "Auctions that analytics recorded";
        metrics.counter("adserver_recorded_total", help, &[], move || {
            shown.totals().recorded
        })?;
        let shown = Arc::clone(self);
        let help = "Auctions there were, as far as the recorded ones tell";
        metrics.gauge("adserver_auctions", help, &[], move || {
            shown.totals().auctions
        })?;
        for (bidder, name) in BIDDERS.into_iter().enumerate() {
            let shown = Arc::clone(self);
            let help = "What the bidder paid, in thousandths of a cent";
            let read = move || shown.totals().revenue[bidder];
            metrics.gauge("adserver_revenue", help, &[("bidder", name)], read)?;
        }
        Ok(())
    }

    /// The sums so far.
    pub(super) fn totals(&self) -> Totals {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_counts_for_what_is_not() {
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
