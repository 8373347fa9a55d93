//! Short dips of the limit, to see how fast the service is without a queue.

/// Windows from one dip to the next, at least; at most twice as many.
const APART: u32 = 30;

/// Every so often (at random, so that a fleet does not dip together) holds the limit low for two windows: in the first the
/// queue runs empty, and the second is measured.
#[derive(Debug)]
pub(super) struct Dips {
    draw: fastrand::Rng,
    /// Windows until the next.
    left: u32,
    /// The limit during the dip at work, and whether the queue has had its window to run empty.
    dip: Option<(f64, bool)>,
}

/// What to do with a window.
#[derive(Debug, PartialEq)]
pub(super) enum Turn {
    /// Nothing special.
    Normal,
    /// It is time for a dip.
    Due,
    /// The queue was running empty in this window: hold this limit for another.
    Hold(f64),
    /// This window shows the service without a queue. The dip is over.
    Measured,
}

impl Dips {
    pub(super) fn new() -> Self {
        Self::from(fastrand::Rng::new())
    }

    /// A window has ended.
    pub(super) fn turn(&mut self) -> Turn {
        match self.dip {
            Some((limit, false)) => {
                self.dip = Some((limit, true));
                Turn::Hold(limit)
            }
            Some((_, true)) => {
                self.rest();
                Turn::Measured
            }
            None => {
                self.left = self.left.saturating_sub(1);
                if self.left == 0 {
                    Turn::Due
                } else {
                    Turn::Normal
                }
            }
        }
    }

    /// Begins a dip below `limit`, to three quarters of what is in flight without a queue if a call takes `floor` then, and
    /// `latency` now. Never by more than half: the floor may be out of date. Answers with the limit to hold.
    pub(super) fn begin(&mut self, limit: f64, floor: f64, latency: f64) -> f64 {
        let low = (limit * 0.75 * floor / latency)
            .clamp(limit / 2.0, limit)
            .max(1.0);
        self.dip = Some((low, false));
        low
    }

    /// No dip, or no further: the next is some time away.
    pub(super) fn rest(&mut self) {
        self.dip = None;
        self.left = self.draw.u32(APART..=2 * APART);
    }
}

impl From<fastrand::Rng> for Dips {
    fn from(mut draw: fastrand::Rng) -> Self {
        let left = draw.u32(APART..=2 * APART);
        Self {
            draw,
            left,
            dip: None,
        }
    }
}
