//! An alarm for saturation: raised above a load for some time, cleared below a lower one.
//!
//! A queue above 80 % of its bound is about to act by its policy. [`Alarm`] watches any
//! [`LoadSignal`](plimsoll_core::LoadSignal), such as a [`BoundedQueue`](crate::BoundedQueue) or a
//! closure. Two thresholds and a time keep it from flapping:
//!
//! | setting | default | effect |
//! |---|---|---|
//! | [`high`](AlarmBuilder::high) | 0.8 | raised when each load for `after` was above it |
//! | [`after`](AlarmBuilder::after) | 10 s | one load at or below `high` starts the time again |
//! | [`low`](AlarmBuilder::low) | 0.6 | cleared by the first load below it |
//! | [`every`](AlarmBuilder::every) | 1 s | how often [`watch`](Alarm::watch) reads the load |
//!
//! ```
//! use plimsoll_stream::{BoundedQueue, QueuePolicy, alarm::{Alarm, Change}};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let prices = BoundedQueue::new(10, QueuePolicy::DropOldest)?;
//! let alarm = Alarm::new(prices.clone());
//! alarm.on_change(|change| match change {
//!     Change::Raised { load, .. } => eprintln!("prices: {:.0} % full", load * 100.0),
//!     _ => eprintln!("prices: no longer full"),
//! });
//! // Nothing is spawned unless you do it. Abort the task to end it.
//! let watched = alarm.clone();
//! let task = tokio::spawn(async move { watched.watch().await });
//!
//! for n in 0..10 {
//!     prices.send(n).await?;
//! }
//! tokio::time::sleep(std::time::Duration::from_secs(12)).await;
//! assert!(alarm.is_raised());
//! # task.abort();
//! # Ok(()) }
//! ```
//!
//! With the feature `metrics`, an alarm is exported as `plimsoll_stream_saturated`.

mod builder;
mod watch;

pub use plimsoll_core::alarm::Change;

pub use self::{
    builder::{AlarmBuilder, InvalidAlarm},
    watch::Alarm,
};
