//! Retry throttling of gRPC (gRFC A6), to the letter.

use crate::sync::{AtomicU64, Ordering::Relaxed};

/// One token: the unit of all amounts is a thousandth, the third decimal of the gRFC.
const TOKEN: u64 = 1000;

/// The token count of one callee.
pub(super) struct Tokens {
    count: AtomicU64,
    most: u64,
    ratio: u64,
}

impl Tokens {
    /// Starts with `max_tokens`. `None` when the ratio is out of bounds.
    pub(super) fn new(max_tokens: u32, token_ratio: f64) -> Option<Self> {
        if !(0.001..=1000.0).contains(&token_ratio) {
            return None;
        }
        let most = u64::from(max_tokens) * TOKEN;
        Some(Self {
            count: AtomicU64::new(most),
            most,
            ratio: thousandths(token_ratio),
        })
    }

    #[inline]
    pub(super) fn success(&self) {
        let more = |tokens: u64| {
            let sum = (tokens + self.ratio).min(self.most);
            (sum > tokens).then_some(sum)
        };
        // Performance: a full count is only read.
        _ = self.count.fetch_update(Relaxed, Relaxed, more);
    }

    /// Takes a token. Returns whether a retry is allowed.
    pub(super) fn failure(&self) -> bool {
        let less = |tokens: u64| (tokens > 0).then(|| tokens.saturating_sub(TOKEN));
        let before = self.count.fetch_update(Relaxed, Relaxed, less);
        self.is_above_half(before.unwrap_or(0).saturating_sub(TOKEN))
    }

    /// Returns whether a hedge is allowed.
    pub(super) fn allow(&self) -> bool {
        self.is_above_half(self.count.load(Relaxed))
    }

    /// Returns how many failures in a row would be retried.
    pub(super) fn available(&self) -> f64 {
        let above = self.count.load(Relaxed).saturating_sub(self.most / 2);
        above as f64 / TOKEN as f64
    }

    fn is_above_half(&self, tokens: u64) -> bool {
        2 * tokens > self.most
    }
}

/// The first three decimals. `0.3 * 1000.0` is 299.99…, so the product is rounded when a whole number
/// is that near.
fn thousandths(ratio: f64) -> u64 {
    let product = ratio * TOKEN as f64;
    let whole = product.round();
    if (product - whole).abs() < 1e-9 * whole {
        whole as u64
    } else {
        product as u64
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_vector_of_grfc_a6_five_failures_leave_five_tokens_which_is_not_above_half() {
        let tokens = Tokens::new(10, 0.1).unwrap();
        let allowed: Vec<_> = (0..5).map(|_| tokens.failure()).collect();
        assert_eq!(allowed, [true, true, true, true, false]);
        assert_eq!(tokens.count.load(Relaxed), 5 * TOKEN);
        assert!(!tokens.allow());
        tokens.success();
        assert_eq!(tokens.count.load(Relaxed), 5_100);
        assert!(tokens.allow());
    }

    #[test]
    fn decimals_after_the_third_are_ignored() {
        for (ratio, read) in [
            (0.5466, 546),
            (0.3, 300),
            (0.1, 100),
            (0.0019, 1),
            (0.001, 1),
            (2.9999, 2999),
            (1000.0, 1_000_000),
        ] {
            assert_eq!(Tokens::new(10, ratio).unwrap().ratio, read, "{ratio}");
        }
        for ratio in [0.0, 0.0009, -1.0, f64::NAN, f64::INFINITY, 1001.0] {
            assert!(Tokens::new(10, ratio).is_none(), "{ratio}");
        }
    }

    #[test]
    fn the_count_stays_between_zero_and_the_maximum() {
        let tokens = Tokens::new(1, 0.5).unwrap();
        tokens.success();
        assert_eq!(tokens.count.load(Relaxed), TOKEN);
        for _ in 0..3 {
            assert!(!tokens.failure());
            assert_eq!(tokens.count.load(Relaxed), 0);
        }
    }
}
