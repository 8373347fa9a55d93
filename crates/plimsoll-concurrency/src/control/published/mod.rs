//! Published algorithms: AIMD, Vegas and Gradient2, as published and corrected.

mod aimd;
mod average;
mod common;
mod gradient2;
mod probing;
mod vegas;

pub use self::{aimd::Aimd, gradient2::Gradient2, vegas::Vegas};
