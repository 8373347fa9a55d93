//! What a client sees when messages for it were lost.
//!
//! Each function writes a [`Delivery`], and is for the last argument of
//! [`Responses::from_hub`](crate::grpc::Responses::from_hub) and the like. None of them skips a
//! gap. A closure of your own writes items with their numbers:
//!
//! ```
//! use plimsoll_stream::{Delivery, Hub, grpc::{Responses, gaps}};
//! use tonic::{Code, Status};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! struct Tick { seq: u64, price: u32 }
//!
//! let hub = Hub::<u32>::new(1_000)?;
//! let ticks = Responses::from_hub(hub.subscribe()?, |delivery| match delivery {
//!     Delivery::Item { seq, item } => Ok(Tick { seq, price: item }),
//!     Delivery::Gap(gap) => Err(gaps::status(Code::OutOfRange, gap)),
//! });
//! # let _: Responses<Tick> = ticks;
//! # Ok(()) }
//! ```
//!
//! A subscription that [coalesces](crate::LagPolicy::Coalesce) has gaps for what newer items have
//! replaced; use [`message`] or a closure there.

use tonic::{Code, Status, metadata::MetadataValue};

use crate::queue::{Delivery, Gap};

/// The metadata key of the first missing number.
pub const FROM: &str = "plimsoll-gap-from";
/// The metadata key of the last missing number.
pub const TO: &str = "plimsoll-gap-to";
/// The metadata key of the [reason](crate::DropReason::name).
pub const REASON: &str = "plimsoll-gap-reason";

/// Ends the stream with `DATA_LOSS` at a gap: the client must not continue as if nothing happened.
///
/// # Errors
///
/// The [`status`] of the gap.
pub fn data_loss<T>(delivery: Delivery<T>) -> Result<T, Status> {
    or_status(delivery, Code::DataLoss)
}

/// Ends the stream with `ABORTED` at a gap: the client may begin again, with its state discarded.
///
/// # Errors
///
/// The [`status`] of the gap.
pub fn aborted<T>(delivery: Delivery<T>) -> Result<T, Status> {
    or_status(delivery, Code::Aborted)
}

/// Writes a gap as a message, and the stream continues.
///
/// ```
/// use plimsoll_stream::{BoundedQueue, QueuePolicy, grpc::{Responses, gaps}};
///
/// enum Event { Price(u32), Missed(u64) }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let queue = BoundedQueue::new(50, QueuePolicy::DropOldest)?;
/// # queue.try_send(Event::Price(17)).ok();
/// let events = Responses::from_queue(queue, gaps::message(|gap| Event::Missed(gap.count())));
/// # let _: Responses<Event> = events;
/// # Ok(()) }
/// ```
pub fn message<T>(
    mut write: impl FnMut(Gap) -> T + Send + 'static,
) -> impl FnMut(Delivery<T>) -> Result<T, Status> + Send + 'static {
    move |delivery| {
        Ok(match delivery {
            Delivery::Item { item, .. } => item,
            Delivery::Gap(gap) => write(gap),
        })
    }
}

/// Returns a status with this code, and the gap in its metadata: [`FROM`], [`TO`] and [`REASON`].
pub fn status(code: Code, gap: Gap) -> Status {
    let Gap { from, to, reason } = gap;
    let reason = reason.name();
    let mut status = Status::new(code, format!("messages {from} to {to} were lost: {reason}"));
    let metadata = status.metadata_mut();
    metadata.insert(FROM, MetadataValue::from(from));
    metadata.insert(TO, MetadataValue::from(to));
    metadata.insert(REASON, MetadataValue::from_static(reason));
    status
}

fn or_status<T>(delivery: Delivery<T>, code: Code) -> Result<T, Status> {
    match delivery {
        Delivery::Item { item, .. } => Ok(item),
        Delivery::Gap(gap) => Err(status(code, gap)),
    }
}
