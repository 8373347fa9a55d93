//! The messages of `proto/ticker.proto`.

/// What to watch.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WatchRequest {
    /// `plimsoll-cursor` of the status that ended the last call. Empty: from now on.
    #[prost(string, tag = "1")]
    pub cursor: String,
    /// Whether a client that is too slow misses ticks. If not, its call ends.
    #[prost(bool, tag = "2")]
    pub skip: bool,
}

/// Credit for updates.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Want {
    /// At least 1.
    #[prost(uint32, tag = "1")]
    pub updates: u32,
}

/// What a client sees.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Update {
    /// One of these.
    #[prost(oneof = "Kind", tags = "1, 2")]
    pub update: Option<Kind>,
}

/// A tick, or those that are missing.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Kind {
    /// A tick.
    #[prost(message, tag = "1")]
    Tick(Tick),
    /// Missing ticks.
    #[prost(message, tag = "2")]
    Gap(Gap),
}

/// A price.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Tick {
    /// Its number.
    #[prost(uint64, tag = "1")]
    pub seq: u64,
    /// Microseconds since 1970.
    #[prost(uint64, tag = "2")]
    pub published_at: u64,
    /// The price.
    #[prost(uint32, tag = "3")]
    pub price: u32,
    /// Bids and asks.
    #[prost(bytes = "vec", tag = "4")]
    pub book: Vec<u8>,
}

/// These ticks were lost.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Gap {
    /// The first.
    #[prost(uint64, tag = "1")]
    pub from: u64,
    /// The last.
    #[prost(uint64, tag = "2")]
    pub to: u64,
}
