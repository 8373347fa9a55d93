//! The core of [Plimsoll](https://docs.rs/plimsoll): one Tower service, [`Gate`], and the trait
//! [`Policy`] that it asks.
//!
//! The facade [`plimsoll`](https://docs.rs/plimsoll) has these items at its root.
//!
//! A [`Policy`] is synchronous code that admits, rejects or queues a request, and receives the
//! outcome of the call. The [`Gate`] owns cancellation, pinning, response bodies and readiness. A
//! [`Protocol`] writes rejections and defines when a call ends. Tuples of policies are policies,
//! so a whole stack costs one service:
//!
//! ```
//! use plimsoll_core::{GateLayer, Shadow};
//! # let (rate, concurrency, breaker) = ((), (), ());
//! // Asked from left to right. When one rejects, the permits of those before it are revoked.
//! let layer = GateLayer::new((rate, concurrency, Shadow::new(breaker)));
//! # let _: GateLayer<((), (), Shadow<()>)> = layer;
//! ```
//!
//! | module | for |
//! |---|---|
//! | the root | users of the layers |
//! | [`policy`] | authors of policies: start at [`Policy`], check with the `test_kit` |
//! | [`protocol`] | authors of protocols and classifiers |
//! | [`key`] | the keys of limits per key, and the values that they read |
//! | [`wire`] | the headers between services |
//!
//! # Features
//!
//! All are off by default.
//!
//! | feature | adds |
//! |---|---|
//! | `axum` | peer address and matched route from axum's extensions |
//! | `serde` | `Rates`, and settings of the other crates, in configuration files |
//! | `load` | tower's `Load` for gates |
//! | `tonic` | `NamedService` for gates |
//! | `test-kit` | the contract checks |
//!
//! # Recipes
//!
//! Programs to copy: [a policy of your
//! own](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/custom_policy.rs),
//! [a service that is not
//! HTTP](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/plain_tower.rs),
//! [other layers around a
//! gate](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/around_a_gate.rs),
//! [your own rejection
//! body](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/own_rejection.rs),
//! [shadow
//! mode](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/shadow_mode.rs),
//! [deadlines](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/deadlines.rs),
//! [a tonic
//! server](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/tonic_server.rs).
//! [All recipes](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/README.md).
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

pub mod alarm;
mod allowance;
mod announcement;
mod callbacks;
mod classify;
mod condition;
mod cost;
mod count;
mod deadline;
mod decimal;
mod duration_text;
mod epoch;
pub mod figures;
mod gate;
mod hint;
pub mod key;
mod live;
mod load;
mod observe;
mod outcome;
mod panics;
pub mod policy;
mod priority;
pub mod protocol;
mod rate_limit_fields;
#[cfg_attr(loom, allow(dead_code))]
mod recorder;
mod rejection;
mod release;
mod retry_after;
mod shard;
#[cfg_attr(loom, allow(dead_code))]
mod slot;
mod sync;
#[cfg(feature = "test-kit")]
pub mod test_kit;
mod waiters;
pub mod wire;

/// Names for the crates of this family, and for the macros of this crate. Not part of the API.
#[doc(hidden)]
pub mod support {
    pub use tower_layer::Layer;

    #[cfg(feature = "serde")]
    pub use crate::duration_text::serde_text;
    #[cfg(not(loom))]
    pub use crate::slot::claim_slot;
    pub use crate::{
        callbacks::Callbacks,
        deadline::{grpc_timeout, parse_grpc_timeout, parse_millis},
        duration_text::{DurationText, parse_duration},
        hint::{PassedToGateLayer, WrappedInGateLayer},
        ledger_methods,
        load::LiveRates,
        policy::ledger::{DEFAULT_HINT, Hint, HintOutOfBounds, Ledger, Tally},
        protocol::{grpc_trailers, retry_info},
        recorder::{Owned, Recorder, Shard, buckets, layout},
        retry_after::retry_after,
        shard::{shard, shards},
        slot::{slot, slots},
    };
}

/// The clock of all policies, which tests can pause.
pub use tokio::time::Instant;

#[doc(inline)]
pub use self::{
    condition::{except_paths, except_preflight},
    cost::Cost,
    deadline::{Deadline, Deadlines},
    gate::{Gate, GateBuilder, GateLayer},
    key::{
        ApiKey, Authority, BearerToken, ClientIp, HeaderKey, IpRange, Key, Missing, Route, TraceId,
        labelled,
    },
    load::{InvalidRates, LoadSignal, Rates, Worst},
    observe::{Observe, OnWaitEnd, Rejected, RequestHead, WaitEnd},
    outcome::{Class, Outcome},
    policy::{
        Choose, InvalidKeyed, InvalidShadow, Keyed, KeyedHandle, Policy, Shadow, ShadowHandle, When,
    },
    priority::{ByExtension, ByHeader, Criticality, InvalidCriticality, Priority, Same},
    protocol::{Http, Plain, PlainError},
    rate_limit_fields::RateLimitFields,
    rejection::{Kind, Rejection},
    release::{Claim, Handover, Release},
};

// The other types, as files of this crate name them.
use self::{
    allowance::Allowance,
    announcement::Announcement,
    classify::{Classify, ClientClassifier, ServerClassifier},
    condition::Condition,
    cost::Spent,
    epoch::Epoch,
    gate::Hold,
    key::MissingKeys,
    live::Live,
    outcome::End,
    policy::{Interests, Then, Verdict, WaitsOn},
    protocol::Protocol,
    shard::{shard, shards},
};
