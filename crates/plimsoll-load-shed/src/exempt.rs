//! Requests that no policy is asked about: core's, for those who import it from here.

pub use plimsoll_core::except_paths;
