//! What every contender is made of, and made into.

use tower::util::BoxCloneService;

use crate::backend::{Req, Res};

/// The request was rejected with an error.
#[derive(Debug)]
pub(crate) struct Refused;

/// A server with a contender in front of it.
pub(crate) type Stack = BoxCloneService<Req, Res, Refused>;

/// Reads the limit, if the contender reports one.
pub(crate) type Limit = Option<Box<dyn Fn() -> f64 + Send>>;

/// A maximum limit above the largest server of the lab, so that a peer's own maximum does not
/// decide.
pub(super) const WIDE: usize = 20_000;

/// The parameters that a contender may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hints {
    /// Requests in flight when the server is just full. Only for contenders tuned by hand.
    pub(crate) slots: f64,
    /// The deadline of callers, in seconds. Only for contenders tuned by hand.
    pub(crate) deadline: f64,
    /// The limit to try, as a multiple of `slots`; the best one is reported.
    pub(crate) tuning: f64,
}
