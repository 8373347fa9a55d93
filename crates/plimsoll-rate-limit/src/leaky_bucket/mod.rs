//! `LeakyBucket`: queues requests and admits them at a constant rate.

mod bucket;
mod figures;
mod handle;
mod policy;
mod settings;
mod state;
mod wait;
mod word;

pub use self::{
    bucket::{LeakyBucket, LeakyBucketLayer},
    handle::LeakyBucketHandle,
    policy::LeakyBucketPermit,
    settings::InvalidLeakyBucket,
    wait::LeakyBucketWait,
};
