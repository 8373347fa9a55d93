//! One limit for many callers: fair shares, or guaranteed partitions.

mod fair;
mod partitions;

pub use self::{
    fair::{FairShare, FairShareHandle, FairSharePermit},
    partitions::{
        InvalidPartitions, PartitionFigures, Partitions, PartitionsHandle, PartitionsPermit,
    },
};
