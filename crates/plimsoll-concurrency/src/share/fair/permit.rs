//! The permit of fair shares.

use plimsoll_core::Criticality;

use crate::limit::stalls::Stamp;

/// A counted request of a key. Plain data: the gate releases it.
#[derive(Debug)]
pub struct FairSharePermit {
    pub(super) of: Criticality,
    /// Whether it was admitted while the limit was nearly full.
    pub(super) in_band: bool,
    /// Its stamp among the requests of its key.
    pub(super) own: Stamp,
    /// Its stamp among the requests of its criticality, if it is counted there.
    pub(super) band: Stamp,
}
