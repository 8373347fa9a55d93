//! gRPC streams. Sockets are real.

mod credit;
mod fixture;
mod hostile;
mod hubs;
mod in_flight;
mod queues;
mod relay;
mod server;
mod siblings;
mod windows;
