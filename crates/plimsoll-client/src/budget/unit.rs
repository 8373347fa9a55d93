//! The unit of amounts.

/// One retry: the unit of all amounts is a millionth of it.
///
/// A millionth, so that the smallest ratio (0.0001) is exact to 1 %.
/// `the_ratio_is_exact_to_one_percent` fails when the unit is a hundredth.
pub(super) const RETRY: u64 = 1_000_000;
