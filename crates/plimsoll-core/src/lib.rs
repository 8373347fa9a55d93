//! The core of [Plimsoll](https://docs.rs/plimsoll): one Tower service that admits, queues or refuses, and the
//! trait by which it asks.
//!
//! A [`Policy`] is plain synchronous code that says yes, no or wait, and is told how the call ended. The
//! [`Gate`] asks it, and owns everything that is hard: cancellation, pinning, response bodies, readiness.
//! A [`Protocol`] says how traffic says no and when a call is over. Tuples of policies are policies, so a whole
//! stack costs one service:
//!
//! ```
//! use plimsoll_core::{GateLayer, Shadow};
//! # let (rate, concurrency, breaker) = ((), (), ());
//! // Asked from left to right; when one refuses, those before it take back what they gave.
//! let layer = GateLayer::new((rate, concurrency, Shadow::new(breaker)));
//! # let _: GateLayer<((), (), Shadow<()>)> = layer;
//! ```
//!
//! Write a policy of your own after the example at [`Policy`], and hold it against the `test_kit` (feature
//! `test-kit`).
//!
//! # Features
//!
//! None is on by default. `axum`: peer address and matched route from where axum puts them. `load`: tower's `Load` for gates. `tonic`: forwards
//! `NamedService`. `test-kit`: the contract checks.
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
        ByValue, Cell, Choice, Choose, ChosenPermit, ChosenWait, InvalidKeyed, Keyed, KeyedHandle,
        KeyedPermit, KeyedWait, Policy, Shadow, ShadowHandle, Then, ThenWait, Verdict, WaitsOn,
        When,
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
