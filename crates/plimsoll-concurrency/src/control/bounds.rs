//! The bounds of a limit.

use std::{fmt, ops::RangeInclusive};

/// The highest limit, in requests; the same as that of a fixed limit.
const MAX_LIMIT: u32 = 1 << 30;

/// The bounds of a limit are invalid, or its initial value is outside of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidLimits {
    /// The initial limit.
    pub initial: u32,
    /// The lower bound.
    pub min: u32,
    /// The upper bound.
    pub max: u32,
}

impl fmt::Display for InvalidLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { initial, min, max } = self;
        write!(
            f,
            "limits must be 1 <= min <= initial <= max <= 2^30, got initial = {initial}, min = {min}, max = {max}"
        )
    }
}

impl std::error::Error for InvalidLimits {}

/// The initial limit and its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) initial: u32,
    pub(super) min: u32,
    pub(super) max: u32,
}

impl Bounds {
    /// Returns bounds that are not checked yet.
    pub(super) fn new(initial: u32, within: RangeInclusive<u32>) -> Self {
        let (min, max) = within.into_inner();
        Self { initial, min, max }
    }

    pub(super) fn checked(self) -> Result<Self, InvalidLimits> {
        let Self { initial, min, max } = self;
        if min == 0 || min > initial || initial > max || max > MAX_LIMIT {
            return Err(InvalidLimits { initial, min, max });
        }
        Ok(self)
    }

    pub(super) fn range(self) -> RangeInclusive<u32> {
        self.min..=self.max
    }

    /// Returns these bounds with the range replaced and the initial limit moved into it.
    pub(super) fn moved(self, within: RangeInclusive<u32>) -> Result<Self, InvalidLimits> {
        let (min, max) = within.into_inner();
        let initial = self.initial.max(min).min(max);
        Self { initial, min, max }.checked()
    }

    pub(super) fn clamp(self, limit: f64) -> f64 {
        limit.clamp(f64::from(self.min), f64::from(self.max))
    }
}
