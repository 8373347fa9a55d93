//! `/health/load`: the load of the service, for balancers and operators.

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::{Metrics, pulled::attempt, signals::Signal};

impl Metrics {
    /// The readings of all load signals; `None` for one that panicked.
    pub(crate) fn loads(&self) -> Vec<(String, Option<f64>)> {
        let signals = self.0.signals.all();
        let read = |signal: &Signal| {
            let load = attempt(|| signal.signal.load());
            if load.is_none() {
                self.0.failed_readings.add();
            }
            (signal.name.clone(), load)
        };
        signals.iter().map(read).collect()
    }

    /// The response of `/health/load`: the highest load, whether it is above the limit, and all
    /// load signals.
    ///
    /// ```
    /// # let metrics = plimsoll_metrics::Metrics::new();
    /// metrics.load("store", || 0.42)?;
    /// metrics.load("executor", || 1.5)?;
    /// let health = metrics.health();
    /// assert_eq!(health.status(), 503);
    /// assert_eq!(
    ///     health.body(),
    ///     r#"{"load":1.5,"overloaded_at":1.0,"signals":{"executor":1.5,"store":0.42},"status":"overloaded"}"#
    /// );
    /// # Ok::<(), plimsoll_metrics::InvalidMetric>(())
    /// ```
    ///
    /// 200 up to [`overload_line`](Self::overload_line), 503 above it; `no-store`. A signal that
    /// panics or is NaN is `null` and counts as 0, so broken telemetry does not take a server out
    /// of its balancer. JSON has no infinity: an infinite load is written as the largest finite
    /// number.
    ///
    /// A balancer that removes every overloaded instance at once turns an overload into an outage.
    /// Use the load to prefer less loaded instances, or set a limit at which an instance cannot
    /// recover by itself.
    pub fn health(&self) -> Response<String> {
        let line = self.overload_line();
        let mut worst = 0.0_f64;
        let mut signals = Map::new();
        for (name, load) in self.loads() {
            let load = load
                .filter(|load| !load.is_nan())
                .map(|load| load.clamp(f64::MIN, f64::MAX));
            worst = worst.max(load.unwrap_or(0.0));
            signals.insert(name, load.map_or(Value::Null, Value::from));
        }
        let overloaded = worst > line;
        let status = if overloaded { "overloaded" } else { "ok" };
        let body = json!({
            "load": worst, "status": status, "overloaded_at": line, "signals": signals,
        });
        let mut response = Response::new(body.to_string());
        if overloaded {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
