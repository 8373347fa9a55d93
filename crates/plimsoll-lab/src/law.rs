//! Distributions of work.

use fastrand::Rng;
use serde::Deserialize;

/// The distribution of work, as a multiple of the mean: all have a mean of 1.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Law {
    /// Always 1.
    Constant,
    /// Log-normal, with this standard deviation of the logarithm.
    LogNormal(f64),
    /// Exponential.
    Exponential,
    /// One in ten takes eleven times as long as the others.
    Bimodal,
}

impl Law {
    /// The work of one request.
    pub(crate) fn draw(self, rng: &mut Rng) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Exponential => exponential(rng),
            Self::LogNormal(sigma) => (sigma * normal(rng) - sigma * sigma / 2.0).exp(),
            Self::Bimodal => {
                if rng.f64() < 0.1 {
                    5.5
                } else {
                    0.5
                }
            }
        }
    }

    /// Its name in tables.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Constant => "constant".into(),
            Self::LogNormal(sigma) => format!("lognormal {sigma}"),
            Self::Exponential => "exponential".into(),
            Self::Bimodal => "bimodal".into(),
        }
    }
}

/// Exponential with a mean of 1: the gaps of a Poisson process of rate 1.
pub(crate) fn exponential(rng: &mut Rng) -> f64 {
    -(1.0 - rng.f64()).ln()
}

/// Normal with mean 0 and deviation 1, by Box and Muller.
fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_laws_have_a_mean_of_one() {
        let laws = [
            Law::Constant,
            Law::LogNormal(0.3),
            Law::LogNormal(1.0),
            Law::Exponential,
            Law::Bimodal,
        ];
        for law in laws {
            let mut rng = Rng::with_seed(7);
            let sum: f64 = (0..200_000).map(|_| law.draw(&mut rng)).sum();
            let mean = sum / 200_000.0;
            assert!((mean - 1.0).abs() < 0.02, "{law:?}: {mean}");
        }
    }
}
