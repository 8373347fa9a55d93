//! One limit for many callers: in fair shares, or with guaranteed parts.

mod fair;
mod partitions;

pub use self::{
    fair::{FairShare, FairShareHandle, FairSharePermit},
    partitions::{
        InvalidPartitions, PartitionFigures, Partitions, PartitionsHandle, PartitionsPermit,
    },
};
