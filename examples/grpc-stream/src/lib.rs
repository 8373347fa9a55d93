//! A ticker over gRPC, and three kinds of clients.

mod clients;
mod messages;
mod service;

pub use self::{
    clients::{Seen, pull, watch},
    messages::{Gap, Kind, Tick, Update, Want, WatchRequest},
    service::{Ticker, publish},
};

/// The generated client and server.
#[allow(missing_docs, unused_qualifications, unreachable_pub, clippy::pedantic)] // generated code
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/ticker.Ticker.rs"));
}

/// Now, in microseconds since 1970: a client may be another process, with other instants.
#[allow(clippy::disallowed_types)]
fn micros() -> u64 {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed();
    now.map_or(0, |now| now.as_micros() as u64)
}
