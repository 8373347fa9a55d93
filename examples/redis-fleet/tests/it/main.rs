//! Runs the example, and checks its figures against its README.

use std::process::Command;

#[test]
fn runs_to_its_end_and_keeps_the_limit() {
    let output = Command::new(env!("CARGO_BIN_EXE_redis-fleet"))
        .env_remove("REDIS_URL")
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    for (phase, paused) in [
        ("exact ", false),
        ("exact, Redis paused", true),
        ("exact, Redis back", false),
        ("leased", false),
    ] {
        let line = text.lines().find(|line| line.starts_with(phase));
        let line = line.unwrap_or_else(|| panic!("{phase}: no such line in\n{text}"));
        let numbers: Vec<f64> = line[24..]
            .split_whitespace()
            .map(|word| word.parse().expect("a number"))
            .collect();
        let [one, two, three, sum, limit, _, local, _, _] = numbers[..] else {
            panic!("nine numbers: {line}")
        };
        assert!((one + two + three - sum).abs() < 0.5, "{line}");
        assert!(sum > 0.0, "{line}");
        if paused {
            assert!(local > 0.0, "no decision without Redis: {line}");
        }
        // A busy machine may miss deadlines. Then replicas also decide on their own.
        if paused || local < 0.5 {
            assert!(sum <= limit, "{line}");
        }
    }
}
