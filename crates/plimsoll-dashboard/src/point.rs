//! What a gate did in one interval: sums while it lasts, a point of a chart when it ends.

use crate::{delta::GateDelta, number::Number, sparse::Sparse};

/// The fields of a point, in their order: rates per second, then percentiles in seconds, then
/// gauges.
pub(crate) const FIELDS: [&str; 15] = [
    "admitted",
    "failed",
    "over-quota",
    "full",
    "circuit-open",
    "deadline",
    "skipped",
    "other",
    "abandoned",
    "p50",
    "p99",
    "p999",
    "limit",
    "in_use",
    "queued",
];
/// The first fields are rates.
pub(crate) const RATES: usize = 9;
/// The fields that are rejections, by reason.
pub(crate) const REASONS: std::ops::Range<usize> = 2..8;
const OTHER: usize = 7;
const ABANDONED: usize = 8;

/// The fields of one interval. NaN is unknown.
pub(crate) type Point = [f32; FIELDS.len()];

/// The fields as JSON.
pub(crate) fn numbers(point: &Point) -> [Number; FIELDS.len()] {
    point.map(|field| Number(field.into()))
}

/// What a gate did in an interval that may continue.
#[derive(Debug, Clone)]
pub(crate) struct Sums {
    pub(crate) seconds: f64,
    counts: [f64; RATES],
    pub(crate) latency: Sparse,
    pub(crate) waits: Sparse,
    pub(crate) permits: Sparse,
    limit: f64,
    in_use: f64,
    queued: f64,
}

impl Default for Sums {
    fn default() -> Self {
        Self {
            seconds: 0.0,
            counts: [0.0; RATES],
            latency: Sparse::default(),
            waits: Sparse::default(),
            permits: Sparse::default(),
            limit: f64::NAN,
            in_use: f64::NAN,
            queued: f64::NAN,
        }
    }
}

impl Sums {
    /// Adds what the gate did in `seconds`.
    pub(crate) fn add(&mut self, gate: &GateDelta, seconds: f64) {
        self.seconds += seconds;
        self.counts[0] += gate.new.admitted as f64;
        self.counts[1] += gate.new.failures() as f64;
        for (_, kind, count) in &gate.new.rejected {
            let reasons = &FIELDS[REASONS];
            let at = reasons.iter().position(|reason| reason == kind);
            self.counts[at.map_or(OTHER, |at| at + REASONS.start)] += *count as f64;
        }
        self.counts[ABANDONED] += gate.new.abandoned as f64;
        self.latency.merge(&gate.latency);
        self.waits.merge(&gate.waits);
        self.permits.merge(&gate.permits);
        let figure = |name: &str| gate.policies.iter().find_map(|policy| policy.figure(name));
        self.limit = figure("limit").unwrap_or(f64::NAN);
        self.in_use = self.in_use.max(figure("in_use").unwrap_or(f64::NAN));
        self.queued = self.queued.max(figure("queued").unwrap_or(f64::NAN));
    }

    /// Adds an interval that follows this one.
    pub(crate) fn merge(&mut self, later: &Self) {
        self.seconds += later.seconds;
        for (sum, count) in self.counts.iter_mut().zip(later.counts) {
            *sum += count;
        }
        self.latency.merge(&later.latency);
        self.waits.merge(&later.waits);
        self.permits.merge(&later.permits);
        if later.seconds > 0.0 {
            self.limit = later.limit;
        }
        self.in_use = self.in_use.max(later.in_use);
        self.queued = self.queued.max(later.queued);
    }

    pub(crate) fn point(&self) -> Point {
        let mut point = [f32::NAN; FIELDS.len()];
        for (field, count) in point.iter_mut().zip(self.counts) {
            *field = (count / self.seconds) as f32;
        }
        point[9] = self.latency.quantile(0.5) as f32;
        point[10] = self.latency.quantile(0.99) as f32;
        point[11] = self.latency.quantile(0.999) as f32;
        point[12] = self.limit as f32;
        point[13] = self.in_use as f32;
        point[14] = self.queued as f32;
        point
    }

    /// Requests that came: admitted, rejected or abandoned.
    pub(crate) fn offered(&self) -> f64 {
        self.counts[0] + self.rejected() + self.counts[ABANDONED]
    }

    pub(crate) fn rejected(&self) -> f64 {
        self.counts[REASONS].iter().sum()
    }

    /// The reason of most rejections.
    pub(crate) fn reason(&self) -> &'static str {
        let most = REASONS.max_by(|a, b| self.counts[*a].total_cmp(&self.counts[*b]));
        FIELDS[most.unwrap_or(OTHER)]
    }

    /// The share of admitted requests that failed. 0 without any.
    pub(crate) fn failing(&self) -> f64 {
        share(self.counts[1], self.counts[0].max(self.counts[1]))
    }

    /// The share of requests that were rejected. 0 without any.
    pub(crate) fn rejecting(&self) -> f64 {
        share(self.rejected(), self.offered())
    }
}

fn share(part: f64, of: f64) -> f64 {
    if of > 0.0 { part / of } else { 0.0 }
}
