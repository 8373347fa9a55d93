//! Adapters from one snapshot to the formats of others.

#[cfg(feature = "facade")]
mod facade;
#[cfg(feature = "opentelemetry")]
mod opentelemetry;
#[cfg(feature = "prometheus-client")]
mod prometheus_client;
mod text;

pub(crate) use self::text::{Format, write};
