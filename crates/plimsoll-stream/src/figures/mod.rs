//! What the parts show to dashboards: the figures of core's `Figures`.
//!
//! The series of [`metrics`](crate::metrics) are more, and have labels for policies and reasons.

#[cfg(feature = "tonic")]
mod grpc;
mod hub;
#[cfg(feature = "listener")]
mod listener;
mod pipeline;
mod queue;
#[cfg(feature = "websocket")]
mod sockets;
#[cfg(feature = "throttle")]
mod throttle;
#[cfg(feature = "axum")]
mod topic;
#[cfg(feature = "axum")]
mod work;
