//! What is retried, how often and when: the settings of a retry layer, checked.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use http::{HeaderName, StatusCode};

use crate::Backoff;

/// A closure that decides about errors: `true` for those that are retried.
pub(super) type RetriesError = Arc<dyn Fn(&(dyn Error + 'static)) -> bool + Send + Sync>;

#[derive(Clone)]
pub(super) struct Rules {
    pub(super) max_attempts: u32,
    pub(super) backoff: Backoff,
    pub(super) statuses: Vec<StatusCode>,
    /// A bit for each code.
    pub(super) grpc_codes: u32,
    pub(super) errors: Option<RetriesError>,
    pub(super) every_method: bool,
    pub(super) attempt_timeout: Option<Duration>,
    pub(super) total_timeout: Option<Duration>,
    pub(super) least_time: Duration,
    pub(super) longest_hint: Duration,
    pub(super) replay_limit: usize,
    /// The bytes of an answer that are read for its trailers; `None`: gRPC calls are decided at the
    /// head.
    pub(super) unary_limit: Option<usize>,
    pub(super) attempt_header: Option<HeaderName>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            backoff: Backoff::default(),
            statuses: vec![
                StatusCode::REQUEST_TIMEOUT,
                StatusCode::TOO_MANY_REQUESTS,
                StatusCode::BAD_GATEWAY,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ],
            grpc_codes: 1 << UNAVAILABLE,
            errors: None,
            every_method: false,
            attempt_timeout: None,
            total_timeout: None,
            least_time: Duration::from_millis(1),
            longest_hint: Duration::from_secs(60),
            replay_limit: 64 * 1024,
            unary_limit: None,
            attempt_header: None,
        }
    }
}

/// The gRPC code of a callee that is away for a moment.
const UNAVAILABLE: u32 = 14;

impl Rules {
    /// Whether a timeout is set.
    #[inline]
    pub(super) fn is_timed(&self) -> bool {
        self.attempt_timeout.is_some() || self.total_timeout.is_some()
    }

    pub(super) fn retries_status(&self, status: StatusCode) -> bool {
        self.statuses.contains(&status)
    }

    pub(super) fn retries_code(&self, code: u32) -> bool {
        code < 32 && self.grpc_codes & (1 << code) != 0
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("max_attempts", &self.max_attempts)
            .field("backoff", &self.backoff)
            .field("statuses", &self.statuses)
            .finish_non_exhaustive()
    }
}
