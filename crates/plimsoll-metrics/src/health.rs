//! `/health/load`: the load of the service, for balancers and operators.

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::{Metrics, signals::Age};

impl Metrics {
    /// The readings of all load signals; `None` for one that panicked.
    pub(crate) fn loads(&self) -> Vec<(String, Option<f64>)> {
        self.0.signals.read_all(|| self.0.failed_readings.add())
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
    ///
    /// # Signals that block
    ///
    /// A health check reads the signals, and shares no lock with scrapes, snapshots and gates. A
    /// signal is read by one thread at a time; while it is read by another, its latest value is
    /// used. One whose last reading took 50 ms or longer is slow: health checks then use what
    /// scrapes and the [`Watcher`](crate::Watcher) have read, and read it themselves again when
    /// none of them has for 30 seconds. So a signal that begins to block delays one health check.
    /// A value that was not read now has its age in seconds under `stale` (`null` without any
    /// reading); from an age of 10 seconds it is `null` and counts as 0.
    pub fn health(&self) -> Response<String> {
        let line = self.overload_line();
        let mut worst = 0.0_f64;
        let (mut signals, mut stale) = (Map::new(), Map::new());
        for (signal, reading) in self.0.signals.for_health(|| self.0.failed_readings.add()) {
            let load = reading
                .load
                .filter(|load| !load.is_nan())
                .map(|load| load.clamp(f64::MIN, f64::MAX));
            worst = worst.max(load.unwrap_or(0.0));
            let age = match reading.age {
                Age::Now => None,
                Age::Before(age) => Some(Value::from(age.as_secs_f64())),
                Age::Never => Some(Value::Null),
            };
            stale.extend(age.map(|age| (signal.name.clone(), age)));
            signals.insert(signal.name.clone(), load.map_or(Value::Null, Value::from));
        }
        let overloaded = worst > line;
        let status = if overloaded { "overloaded" } else { "ok" };
        let mut body = json!({
            "load": worst, "status": status, "overloaded_at": line, "signals": signals,
        });
        if !stale.is_empty() {
            body["stale"] = Value::Object(stale);
        }
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
