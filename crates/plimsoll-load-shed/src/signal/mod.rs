//! Load signals: each is 1 at the objective that it is made with.

mod delay;
mod depth;
#[cfg(feature = "executor-delay")]
mod executor;
mod queue_delay;
#[cfg(target_os = "linux")]
mod system;
mod worst;

#[cfg(feature = "executor-delay")]
pub use self::executor::ExecutorDelay;
#[cfg(target_os = "linux")]
pub use self::system::{SystemLoad, SystemLoadBuilder};
pub use self::{
    depth::{Depth, DepthGuard},
    queue_delay::QueueDelay,
    worst::{BoxedSignal, WorstOf},
};
