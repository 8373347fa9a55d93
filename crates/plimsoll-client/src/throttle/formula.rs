//! The rejection probability, as published. Pure.

/// `max(0, (requests - K * accepts) / (requests + 1))`.
pub(crate) fn probability(requests: u64, accepts: u64, multiplier: f64) -> f64 {
    let requests = requests as f64;
    ((requests - multiplier * accepts as f64) / (requests + 1.0)).max(0.0)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// From the SRE book's formula; other implementations use the same values.
    #[test]
    fn the_formula_gives_the_reference_values() {
        for (requests, accepts, multiplier, expected) in [
            (0, 0, 2.0, 0.0),
            (2, 0, 2.0, 0.666_667),
            (100, 100, 2.0, 0.0),
            (100, 50, 2.0, 0.0),
            (100, 49, 2.0, 0.019_802),
            (100, 25, 2.0, 0.495_050),
            (100, 0, 2.0, 0.990_099),
            (1000, 0, 2.0, 0.999_001),
            (100, 90, 1.1, 0.009_901),
            (100, 50, 1.1, 0.445_545),
            (1000, 500, 2.0, 0.0),
            (1000, 400, 2.0, 0.199_800),
            (1000, 250, 2.0, 0.499_500),
            (1000, 100, 2.0, 0.799_201),
        ] {
            let got = probability(requests, accepts, multiplier);
            assert!(
                (got - expected).abs() < 1e-6,
                "({requests}, {accepts}) with K {multiplier}: {got}"
            );
        }
    }
}
