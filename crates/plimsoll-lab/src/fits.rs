//! Requests that can be answered in time at all.
//!
//! A request that takes longer than its deadline even on an idle server is answered by no policy;
//! and as no policy sees the work of a request before it runs, the server spends as large a part of
//! its time on such requests as callers send. Both bound what is possible.

use std::ops::Range;

/// A request, as it would be on an idle server. Times are in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Alone {
    /// Its work, at full speed.
    pub(crate) work: f64,
    /// The time until its answer.
    pub(crate) takes: f64,
    /// The time until the answer is of no use.
    pub(crate) of_use: f64,
    /// Whether the server stops working on it then.
    pub(crate) stops: bool,
}

/// Requests, those that fit into their deadline, their work, and the part of it that is done until
/// then.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    requests: f64,
    in_time: f64,
    work: f64,
    done: f64,
}

/// Requests from which a share of them is more than chance: 200 give 0.95 an error of 0.015.
const ENOUGH: f64 = 200.0;

/// The requests of each kind of callers, by the time of their arrival.
#[derive(Debug, Default)]
pub(crate) struct Fits {
    kinds: Vec<Vec<Sums>>,
}

impl Fits {
    /// Sums for some kinds of callers, in bins of time.
    pub(crate) fn new(kinds: usize, bins: usize) -> Self {
        Self {
            kinds: vec![vec![Sums::default(); bins]; kinds],
        }
    }

    /// Counts a request.
    pub(crate) fn add(&mut self, kind: usize, bin: usize, alone: &Alone) {
        let Some(sums) = self.kinds[kind].get_mut(bin) else {
            return;
        };
        let fits = alone.takes <= alone.of_use;
        let part = if fits || !alone.stops {
            1.0
        } else {
            alone.of_use / alone.takes
        };
        sums.requests += 1.0;
        sums.in_time += f64::from(u8::from(fits));
        sums.work += alone.work;
        sums.done += alone.work * part;
    }

    /// The number of one kind's requests.
    pub(crate) fn requests(&self, kind: usize, bins: Range<usize>) -> f64 {
        self.sums(kind, bins).requests
    }

    /// The share of one kind's requests that an idle server would answer in time; 1 without requests.
    pub(crate) fn offered(&self, kind: usize, bins: Range<usize>) -> f64 {
        let sums = self.sums(kind, bins);
        if sums.requests > 0.0 {
            sums.in_time / sums.requests
        } else {
            1.0
        }
    }

    /// The share of the capacity that answers one kind's requests in time, when nothing else is
    /// asked for and the work of a request is not known in advance; 1 at most, and for few requests.
    pub(crate) fn capacity(&self, kind: usize, bins: Range<usize>) -> f64 {
        let sums = self.sums(kind, bins.clone());
        if sums.requests < ENOUGH {
            return 1.0;
        }
        let done = if sums.work > 0.0 {
            sums.done / sums.work
        } else {
            1.0
        };
        (self.offered(kind, bins) / done).min(1.0)
    }

    fn sums(&self, kind: usize, bins: Range<usize>) -> Sums {
        let add = |a: Sums, b: &Sums| Sums {
            requests: a.requests + b.requests,
            in_time: a.in_time + b.in_time,
            work: a.work + b.work,
            done: a.done + b.done,
        };
        self.kinds[kind][bins].iter().fold(Sums::default(), add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests of which one in ten takes eleven times as long as the others.
    fn one_in_ten_is_long(stops: bool) -> Fits {
        let mut fits = Fits::new(1, 2);
        for work in [0.5; 9].into_iter().chain([5.5]).cycle().take(1000) {
            let alone = Alone {
                work,
                takes: 2.0 * work,
                of_use: 10.0,
                stops,
            };
            fits.add(0, 1, &alone);
        }
        fits
    }

    #[test]
    fn requests_that_are_late_even_alone_are_neither_offered_nor_served() {
        let fits = one_in_ten_is_long(false);
        assert!((fits.offered(0, 0..2) - 0.9).abs() < 1e-9);
        assert!((fits.capacity(0, 0..2) - 0.9).abs() < 1e-9);
    }

    #[test]
    fn work_that_stops_at_the_deadline_leaves_capacity_for_others() {
        let fits = one_in_ten_is_long(true);
        // 10/11 of the long one's 5.5 is done, so 9.5 of 10 in all.
        assert!((fits.capacity(0, 0..2) - 0.9 / 0.95).abs() < 1e-9);
    }

    #[test]
    fn without_requests_everything_is_possible() {
        let fits = one_in_ten_is_long(false);
        assert!((fits.offered(0, 0..1) - 1.0).abs() < 1e-9);
        assert!((fits.capacity(0, 0..1) - 1.0).abs() < 1e-9);
    }
}
