//! A server whose streams have a write deadline.

mod body;
mod builder;
mod executor;
mod handle;
mod progress;
mod serve;

pub use self::{
    builder::{InvalidStreamServer, StreamServerBuilder},
    handle::StreamServerHandle,
    serve::StreamServer,
};
