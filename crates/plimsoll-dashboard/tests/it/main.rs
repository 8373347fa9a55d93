//! Behaviour through the public API.

mod actions;
mod browser;
#[path = "../../examples/board/demo.rs"]
mod demo;
mod fleet;
mod pictures;
mod sampler;
mod sockets;
mod support;
mod viewers;
