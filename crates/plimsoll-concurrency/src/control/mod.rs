//! Limits that move by themselves.
//!
//! The [`sampler`] counts calls and closes windows. An [`Algorithm`] reads one window after the
//! other and returns the next limit. [`Adaptive`] is the default; the published algorithms are in
//! [`published`].
//!
//! # How `Adaptive` is built
//!
//! | file | contents |
//! |---|---|
//! | `adaptive.rs` | owns the state: the model, the headroom, the phase, the limit |
//! | `observation.rs` | a window, as numbers with units |
//! | `model/` | capacity, no-load latency, their uncertainty, saturation |
//! | `growth.rs` | the windows of the startup in which calls did not wait |
//! | `headroom.rs` | from the model to the limit that should be |
//! | `phase/` | what a window means in each phase: functions from observation and model to a step |
//! | `queue_policy.rs` | from the model to the queue's bounds |
//! | `tuning.rs` | every number, with its unit, its reason and the scenario that tests it |

mod adaptive;
mod algorithm;
mod bounds;
mod builder;
mod growth;
mod headroom;
mod model;
mod observation;
mod phase;
mod published;
mod queue_policy;
mod reason;
pub(crate) mod sampler;
mod settings;
mod tuning;
mod window_size;

pub use self::{
    adaptive::Adaptive,
    algorithm::{Algorithm, Change, Window},
    bounds::InvalidLimits,
    builder::{AdaptiveBuilder, InvalidAdaptive},
    published::{
        Aimd, AimdBuilder, Gradient2, Gradient2Builder, InvalidAimd, InvalidGradient2,
        InvalidVegas, Vegas, VegasBuilder,
    },
    reason::LimitReason,
    tuning::{InvalidTuning, Number, Tuning},
    window_size::{InvalidWindowSize, WindowSize},
};
