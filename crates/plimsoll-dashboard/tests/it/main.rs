//! Behaviour through the public API.

#[path = "../../examples/board/breaker.rs"]
mod breaker;
mod browser;
mod chromium;
#[path = "../../examples/board/demo.rs"]
mod demo;
mod sampler;
mod support;
mod viewers;
