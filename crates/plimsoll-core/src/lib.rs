//! The core of [Plimsoll](https://docs.rs/plimsoll): one Tower service, [`Gate`], and the trait
//! [`Policy`] that it asks.
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
//! To write a policy, start from the example at [`Policy`], and check it with the `test_kit`
//! (feature `test-kit`).
//!
//! # Features
//!
//! All are off by default.
//!
//! | feature | adds |
//! |---|---|
//! | `axum` | peer address and matched route from axum's extensions |
//! | `serde` | settings of the other crates in configuration files |
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

mod advice;
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
mod gate;
mod hint;
mod key;
mod live;
mod load;
mod observe;
mod outcome;
mod panics;
mod policy;
mod priority;
mod protocol;
mod rate_limit_fields;
mod rejection;
mod release;
mod shard;
mod sync;
#[cfg(feature = "test-kit")]
pub mod test_kit;
mod waiters;
pub mod wire;

/// Names that macros of this crate expand to, and what the crates of the family share. Not part of
/// the API.
#[doc(hidden)]
pub mod support {
    pub use tower_layer::Layer;

    pub use crate::callbacks::Callbacks;
    #[cfg(feature = "serde")]
    pub use crate::duration_text::serde_text;
    pub use crate::duration_text::{DurationText, parse_duration};
    pub use crate::hint::{PassedToGateLayer, WrappedInGateLayer};
}

/// The clock of all policies, which tests can pause.
pub use tokio::time::Instant;

pub use self::{
    advice::{QuotaLeft, QuotaPolicy, QuotaUnit, RateLimitAdvice},
    allowance::Allowance,
    announcement::Announcement,
    classify::{Classify, ClientClassifier, ServerClassifier},
    condition::{Condition, ExceptPaths, ExceptPreflight, except_paths, except_preflight},
    cost::{Cost, Spent},
    count::Counter,
    deadline::{Deadline, Deadlines, ReadDeadline, grpc_timeout, parse_grpc_timeout},
    epoch::Epoch,
    gate::{Gate, GateBuilder, GateFuture, GateLayer, Held, Hold},
    key::{
        ApiKey, Authority, AuthorityKey, BearerToken, ClientAddr, ClientIp, HeaderKey,
        InvalidIpRange, IpRange, Key, Labelled, Missing, MissingKeys, PeerAddr, Route, SecretKey,
        TraceId, labelled,
    },
    live::Live,
    load::{LoadSignal, Worst},
    observe::{Observe, Rejected, RequestHead},
    outcome::{Class, End, Outcome},
    policy::{
        ByValue, Choice, Choose, ChosenPermit, ChosenWait, Evictable, InvalidKeyed, InvalidShadow,
        Keyed, KeyedHandle, KeyedPermit, KeyedWait, Policy, Shadow, ShadowHandle, ShadowKeys,
        ShadowRejection, Then, ThenWait, Verdict, WaitsOn, When,
    },
    priority::{
        ByExtension, ByHeader, Criticality, InvalidCriticality, Prioritize, Priority, Same,
    },
    protocol::{
        Answer, BoxError, Carried, ClassifyPlain, GateBody, Http, HttpCall, Never, Plain,
        PlainError, Protocol, SpeaksHttp,
    },
    rate_limit_fields::RateLimitFields,
    rejection::{Kind, Rejection},
    release::{Claim, Handover, Release},
    shard::{shard, shards},
    waiters::{Asked, Left, Ticket, Waiters},
};
