//! gRPC streams. Sockets are real.

mod fixture;
mod siblings;
mod windows;
