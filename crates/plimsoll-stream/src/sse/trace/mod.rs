//! From the publication of an event to its acknowledgement, for `tracing`.
//!
//! | type | what | without the feature `tracing` |
//! |---|---|---|
//! | `Origin` | when and in which span an event was published | no bytes |
//! | `Delivery` | an event on its way to a client, and the span of that | no bytes |
//! | `Unacknowledged` | the deliveries that a client has not acknowledged | no bytes |
//! | `Batch` | events that were written or acknowledged together | no bytes |
//! | `Name` | the name of the topic | no bytes |
//!
//! An origin is made only while a subscriber is interested, and is part of the event: the hub does
//! not read it. The publisher's span is not kept open for an event, which may live for long and
//! reaches many clients: its id is a field.

// The methods are those of `on`.
#[allow(clippy::unused_self)]
#[cfg(not(feature = "tracing"))]
mod off;
#[cfg(feature = "tracing")]
mod on;

#[cfg(not(feature = "tracing"))]
pub(crate) use self::off::{Batch, Delivery, Name, Origin, Unacknowledged};
#[cfg(feature = "tracing")]
pub(crate) use self::on::{Batch, Delivery, Name, Origin, Unacknowledged};
