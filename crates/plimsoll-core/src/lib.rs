//! The core of [Plimsoll](https://docs.rs/plimsoll): one Tower service, [`Gate`], and the trait
//! [`Policy`] that it asks.
//!
//! A [`Policy`] is synchronous code that admits, rejects or queues a request, and receives the
//! outcome of the call. The [`Gate`] owns cancellation, pinning, response bodies and readiness. A
//! [`Protocol`] writes rejections and defines when a call is over. Tuples of policies are policies,
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
//! | `load` | tower's `Load` for gates |
//! | `tonic` | `NamedService` for gates |
//! | `test-kit` | the contract checks |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod advice;
mod allowance;
mod announcement;
mod classify;
mod condition;
mod cost;
mod count;
mod deadline;
mod decimal;
mod epoch;
mod gate;
mod hint;
mod key;
mod lane;
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
mod sync;
#[cfg(feature = "test-kit")]
pub mod test_kit;
mod waiters;
pub mod wire;

/// Names that macros of this crate expand to. Not part of the API.
#[doc(hidden)]
pub mod support {
    pub use tower_layer::Layer;

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
        InvalidIpRange, IpRange, Key, Missing, MissingKeys, PeerAddr, Route, SecretKey, TraceId,
    },
    lane::{lane, lanes},
    live::Live,
    load::{LoadSignal, Worst},
    observe::{Observe, Rejected, RequestHead},
    outcome::{Class, End, Outcome},
    policy::{
        ByValue, Cell, Choice, Choose, ChosenPermit, ChosenWait, Interests, InvalidKeyed, Keyed,
        KeyedHandle, KeyedPermit, KeyedWait, Policy, Shadow, ShadowHandle, Then, ThenWait, Verdict,
        WaitsOn, When,
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
    waiters::{Asked, Left, Ticket, Waiters},
};
