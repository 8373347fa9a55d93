//! Alarms in the process: a level, a time, and what happens when both are passed.

mod measure;
mod registry;
mod rule;
mod share;

pub(crate) use self::registry::{Alarms, Readings};
pub use self::rule::{Alarm, AlarmChange};
