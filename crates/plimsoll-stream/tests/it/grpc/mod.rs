//! gRPC streams. Sockets are real.

mod fixture;
mod hostile;
mod hubs;
mod queues;
mod relay;
mod siblings;
mod windows;
