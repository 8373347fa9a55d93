//! The figures of a rate limit, for metrics and dashboards.

use std::fmt;

use plimsoll_core::figures::{self, Figure, Figures};

use crate::{RateLimitHandle, settings::NAME};

/// The sustained rate of the tightest quota, and rejections of all keys together.
impl<const N: usize> Figures for RateLimitHandle<N> {
    fn policy(&self) -> &'static str {
        NAME
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        let rates = self
            .quotas()
            .map(|quota| f64::from(quota.count()) / quota.period().as_secs_f64());
        each(&figures::QUOTA, rates.into_iter().fold(f64::NAN, f64::min));
        each(&figures::REJECTED, self.rejected() as f64);
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        for quota in &self.quotas() {
            each("quota", quota);
        }
    }
}
