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
        "count_overloaded": false
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
        .count_overloaded(false);
    assert_eq!(read(json), Ok(builder));
    for builder in [builder, CircuitBreaker::builder()] {
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
    let builder = read(r#"{"failure_rate":1.5}"#).unwrap();
    let error = builder.build().unwrap_err().to_string();
    assert_eq!(error, "failure_rate must be in (0, 1], got 1.5");
}
