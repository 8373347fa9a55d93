//! What stands in front of the server: ours, the peers', nothing.

mod ours;
mod plain;

use tower::util::BoxCloneService;

use crate::backend::{Backend, Req, Res};

/// The request was turned away with an error rather than an answer.
#[derive(Debug)]
pub(crate) struct Refused;

/// A server with a contender in front of it.
pub(crate) type Stack = BoxCloneService<Req, Res, Refused>;

/// What a contender may know beforehand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hints {
    /// In flight when the server is just full. Only the hand-tuned ones look at it.
    pub(crate) slots: f64,
    /// How long callers want to wait, in seconds. Likewise.
    pub(crate) deadline: f64,
    /// What the hand-tuned ones try: multiples of `slots`; the best is told.
    pub(crate) tuning: f64,
}

/// A contender.
pub(crate) struct Contender {
    /// Its name in tables and on the command line.
    pub(crate) name: &'static str,
    /// What it is, in a line.
    pub(crate) about: &'static str,
    /// Puts it in front of a server. The second is its limit, where it tells one.
    pub(crate) build: fn(Backend, Hints) -> (Stack, Option<Box<dyn Fn() -> f64 + Send>>),
    /// It is given the best of several limits.
    pub(crate) tuned: bool,
}

/// All of them.
pub(crate) const ALL: &[Contender] = &[
    Contender {
        name: "none",
        about: "no protection",
        build: plain::none,
        tuned: false,
    },
    Contender {
        name: "tower-tuned",
        about: "tower: LoadShed over ConcurrencyLimit, the best of several limits",
        build: plain::tower,
        tuned: true,
    },
    Contender {
        name: "fixed",
        about: "plimsoll: a fixed limit, the best of several",
        build: ours::fixed,
        tuned: true,
    },
    Contender {
        name: "adaptive",
        about: "plimsoll: all defaults",
        build: ours::adaptive,
        tuned: false,
    },
];
