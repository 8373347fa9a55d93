//! Settings from a file.

use plimsoll_circuit_breaker::{CircuitBreaker, CircuitBreakerBuilder};

use super::{millis, secs};

fn read(json: &str) -> Result<CircuitBreakerBuilder, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn a_builder_is_read_and_written() {
    assert_eq!(read("{}"), Ok(CircuitBreaker::builder()));
    let json = r#"{
        "window": 200, "failure_rate": 0.25, "min_calls": 30, "open_for": "2s", "jitter": 0.1,
        "backoff": { "factor": 2.0, "max": "30s" }, "probes": 5, "successes": 4,
        "probe_timeout": "7s", "slow_call": "300ms", "cancelled_call": "off",
        "count_overloaded": false, "max_age": "1m", "slow_rate": 0.75, "ramp": "off",
        "max_retry_after": "2m", "observe_only": true
    }"#;
    let builder = CircuitBreaker::builder()
        .window(200)
        .failure_rate(0.25)
        .min_calls(30)
        .open_for(secs(2))
        .jitter(0.1)
        .backoff(2.0, secs(30))
        .probes(5)
        .successes(4)
        .probe_timeout(secs(7))
        .slow_call(millis(300))
        .cancelled_call(None)
        .count_overloaded(false)
        .max_age(secs(60))
        .slow_rate(0.75)
        .ramp(None)
        .max_retry_after(secs(120))
        .observe_only(true);
    assert_eq!(read(json), Ok(builder));
    let by_time = CircuitBreaker::builder().window_time(secs(30));
    assert_eq!(read(r#"{"window_time":"30s"}"#), Ok(by_time));
    let in_a_row = CircuitBreaker::builder().consecutive_failures(5);
    assert_eq!(read(r#"{"consecutive_failures":5}"#), Ok(in_a_row));
    for builder in [builder, by_time, in_a_row, CircuitBreaker::builder()] {
        let text = serde_json::to_string(&builder).unwrap();
        assert_eq!(read(&text), Ok(builder), "{text}");
    }
}

#[test]
fn errors_name_field_and_bound() {
    let error = |json| read(json).unwrap_err();
    assert!(error(r#"{"failure":1}"#).contains("unknown field `failure`"));
    assert!(error(r#"{"open_for":5}"#).contains("expected a string"));
    assert!(error(r#"{"open_for":"5"}"#).contains("such as \"50ms\", got \"5\""));
    assert_eq!(
        error(r#"{"window":5,"window_time":"5s"}"#),
        "at most one of window, window_time and consecutive_failures can be set"
    );
    let builder = read(r#"{"failure_rate":1.5}"#).unwrap();
    let error = builder.build().unwrap_err().to_string();
    assert_eq!(error, "failure_rate must be in (0, 1], got 1.5");
}
