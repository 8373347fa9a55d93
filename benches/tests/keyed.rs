//! `keyed` runs, and writes the figures for other programs.

use std::{env, fs, process::Command};

use serde_json::Value;

#[test]
fn a_quick_run_writes_the_figures() {
    let path = env::temp_dir().join(format!("plimsoll-keyed-{}.json", std::process::id()));
    let output = Command::new(env!("CARGO_BIN_EXE_keyed"))
        .args(["--quick", "--json"])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let figures: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    fs::remove_file(path).unwrap();

    for figure in ["ns_1m_keys", "bytes_per_key", "hot_two_threads_over_one"] {
        for peer in ["plimsoll", "governor"] {
            let figure = &figures[figure][peer];
            assert!(
                figure.as_f64().is_some_and(|figure| figure > 0.0),
                "{figures}"
            );
        }
    }
    let bars = figures["bars"].as_array().unwrap();
    let promised = |promise: &str| bars.iter().any(|bar| bar["promise"] == promise);
    for promise in [
        "keyed decision over governor's",
        "live bytes per held key",
        "a hot limit's decisions per thread, two threads over one",
        "the worst decision in a flood, microseconds",
        "a refusal over HTTP, over an accept",
    ] {
        assert!(
            promised(promise),
            "no bar has the promise `{promise}`: {bars:?}"
        );
    }
    assert!(bars.iter().all(|bar| bar["figure"].is_f64()), "{bars:?}");
}
