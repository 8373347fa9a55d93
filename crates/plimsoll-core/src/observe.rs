//! The seam for telemetry. Core knows no metrics library.

use std::{sync::Arc, time::Duration};

use crate::{Outcome, Rejection};

/// Told what a gate did. All methods do nothing by default.
///
/// They run on the request's path: count with an atomic and return. What they do must not fail the request, so
/// they return nothing; a slow or panicking observer is a defect of the observer.
pub trait Observe: Send + Sync {
    /// A request was let in, after waiting this long (zero when it did not wait).
    fn admitted(&self, waited: Duration) {
        _ = waited;
    }

    /// A request was refused.
    fn rejected(&self, rejection: &Rejection) {
        _ = rejection;
    }

    /// A request left the queue before it could run.
    fn abandoned(&self, waited: Duration) {
        _ = waited;
    }

    /// An admitted request ended.
    fn finished(&self, outcome: &Outcome) {
        _ = outcome;
    }
}

impl<O: Observe + ?Sized> Observe for Arc<O> {
    fn admitted(&self, waited: Duration) {
        (**self).admitted(waited);
    }
    fn rejected(&self, rejection: &Rejection) {
        (**self).rejected(rejection);
    }
    fn abandoned(&self, waited: Duration) {
        (**self).abandoned(waited);
    }
    fn finished(&self, outcome: &Outcome) {
        (**self).finished(outcome);
    }
}
