//! Numbers in JSON: short, and `null` when they are unknown.

use serde::{Serialize, Serializer};

/// A number with four significant digits; whole numbers are exact. NaN and infinities are `null`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Number(pub(crate) f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        /// Above it a `f64` is not exact.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let value = self.0;
        if !value.is_finite() {
            return to.serialize_none();
        }
        if value.fract() == 0.0 && value.abs() <= EXACT {
            return to.serialize_i64(value as i64);
        }
        let digits = 3 - value.abs().log10().floor() as i32;
        let scale = 10_f64.powi(digits.clamp(0, 15));
        let rounded = (value * scale).round() / scale;
        if rounded.fract() == 0.0 {
            return to.serialize_i64(rounded as i64);
        }
        to.serialize_f64(rounded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_unknown_ones_are_null() {
        let numbers = [
            0.0,
            1.0,
            1234.5678,
            12.345_678,
            0.000_123_456,
            -0.5,
            1e300,
            f64::NAN,
            f64::INFINITY,
        ];
        let json = serde_json::to_string(&numbers.map(Number)).unwrap();
        assert_eq!(
            json,
            "[0,1,1235,12.35,0.0001235,-0.5,9223372036854775807,null,null]"
        );
    }
}
