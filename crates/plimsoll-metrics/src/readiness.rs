//! `/health/ready`: whether new requests should be sent to this process, and how it shuts down.

use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, header};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{Metrics, derived::value};

/// How often a drain looks whether requests are left. A shutdown takes seconds, and reading all gates
/// some microseconds. `a_drain_ends_with_the_last_request` fails with 10 s.
const LOOK: Duration = Duration::from_millis(20);

impl Metrics {
    /// Returns whether `/health/ready` answers 200. A new registry is ready.
    pub fn is_ready(&self) -> bool {
        self.0.ready.is_on()
    }

    /// Sets whether `/health/ready` answers 200, for all clones: `false` while the program starts, or
    /// before it shuts down. It admits and rejects nothing.
    pub fn set_ready(&self, ready: bool) {
        self.0.ready.set(ready);
    }

    /// The response of `/health/ready`: 200 with `ready`, or 503 with `draining`; `no-store`.
    ///
    /// It reads one flag: no lock, no signal, no gate. Overload does not change it; that is
    /// [`health`](Self::health).
    pub fn ready(&self) -> Response<String> {
        let is_ready = self.is_ready();
        let mut response =
            Response::new(if is_ready { "ready\n" } else { "draining\n" }.to_owned());
        if !is_ready {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    /// Ends readiness at once, and waits until no gate has requests in flight or queued, at most for
    /// `longest`. Returns how many are left: 0 unless the time has passed.
    ///
    /// Queued requests are those that [watched](Self::watch) policies state. The gates still admit
    /// new requests, so that a balancer that has not looked yet gets answers. Sleep for its interval
    /// first, and then stop accepting connections:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use std::time::Duration;
    ///
    /// # let metrics = plimsoll_metrics::Metrics::new();
    /// metrics.set_ready(false);
    /// // The balancer looks every five seconds.
    /// tokio::time::sleep(Duration::from_secs(5)).await;
    /// let left = metrics.drain(Duration::from_secs(20)).await;
    /// if left > 0 {
    ///     eprintln!("{left} requests are cut off");
    /// }
    /// # }
    /// ```
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the process not ready.
    pub async fn drain(&self, longest: Duration) -> u64 {
        self.set_ready(false);
        // A time that the clock cannot express is no limit.
        let deadline = Instant::now().checked_add(longest);
        let ended = async {
            while self.left() > 0 {
                sleep(LOOK).await;
            }
        };
        match deadline {
            Some(deadline) => _ = timeout_at(deadline, ended).await,
            None => ended.await,
        }
        self.left()
    }

    /// Requests in flight and queued, of all gates.
    fn left(&self) -> u64 {
        let gates = self.gates();
        let left = gates.iter().map(|gate| {
            let policies = gate.watched().read();
            let queued = policies
                .iter()
                .filter_map(|policy| value(policy, &plimsoll_core::figures::QUEUED));
            gate.counts().in_flight() + queued.sum::<f64>() as u64
        });
        left.sum()
    }
}
