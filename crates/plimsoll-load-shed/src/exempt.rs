//! Re-exports core's exemptions by path.

pub use plimsoll_core::except_paths;
