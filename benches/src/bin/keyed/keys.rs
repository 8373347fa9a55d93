//! The keys of the requests, in random order.

use std::fmt::Write as _;

/// Keys of two types, the same number of each, for the lifetime of the program.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    pub numbers: &'static [u64],
    /// 15 bytes each, such as `user-0000012345`.
    pub texts: &'static [String],
}

impl Keys {
    pub fn new(count: usize) -> Self {
        Self {
            numbers: numbers(count).leak(),
            texts: texts(count, 15).leak(),
        }
    }
}

/// The numbers up to `count`, shuffled.
pub fn numbers(count: usize) -> Vec<u64> {
    let mut numbers: Vec<_> = (0..count as u64).collect();
    // The same order in every run.
    fastrand::Rng::with_seed(1).shuffle(&mut numbers);
    numbers
}

/// Distinct texts of `length` bytes, shuffled.
///
/// They are in memory in the order of the requests: a server has just read the key of its request,
/// so fetching the key is not part of the decision.
pub fn texts(count: usize, length: usize) -> Vec<String> {
    let text = |number| {
        let mut text = String::with_capacity(length);
        _ = write!(text, "user-{number:0width$}", width = length - 5);
        text
    };
    numbers(count).into_iter().map(text).collect()
}
