//! Short runs of the program.

mod prometheus;
mod served;
mod storm;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// Creates a folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn adserver(folder: &Path, args: &[&str]) -> (Output, Option<Value>, String) {
    let (json, report) = (folder.join("figures.json"), folder.join("report.html"));
    let output = Command::new(env!("CARGO_BIN_EXE_adserver"))
        .args(args)
        .arg("--json")
        .arg(&json)
        .arg("--report")
        .arg(&report)
        .output()
        .unwrap();
    let figures = fs::read(json)
        .ok()
        .map(|json| serde_json::from_slice(&json).unwrap());
    (
        output,
        figures,
        fs::read_to_string(report).unwrap_or_default(),
    )
}

/// Checks the figures of each phase and server.
fn check(figures: &Value, names: &[&str]) {
    assert!(
        figures["capacity_rps"].as_f64().unwrap() > 50.0,
        "{figures:#}"
    );
    let phases = figures["phases"].as_array().unwrap();
    let found: Vec<_> = phases
        .iter()
        .map(|phase| phase["name"].as_str().unwrap())
        .collect();
    assert_eq!(found, names);
    for phase in phases {
        assert!(phase["offered_rps"].as_f64().unwrap() > 0.0);
        for server in ["plimsoll", "bare"] {
            let run = &phase[server];
            for number in ["goodput", "p99_ms", "p999_ms", "degraded", "peak_rss_mib"] {
                assert!(run[number].is_number(), "{server} {number}: {run:#}");
            }
            assert!(run["refused"].is_object());
            let count = |name: &str| run[name].as_u64().unwrap();
            let endings = [
                "answered",
                "degraded",
                "turned_away",
                "late",
                "failed",
                "unsent",
            ];
            assert_eq!(
                count("offered"),
                endings.into_iter().map(count).sum::<u64>(),
                "{run:#}"
            );
        }
    }
}

#[test]
fn a_short_overload_is_reported() {
    let folder = folder("storm");
    let (output, figures, report) = adserver(&folder, &["--seconds", "2", "--phases", "1x,3x"]);
    assert!(output.status.success(), "{output:?}");
    let figures = figures.unwrap();
    check(&figures, &["1x", "3x"]);
    let overload = &figures["phases"][1]["plimsoll"];
    assert!(overload["answered"].as_u64().unwrap() > 0, "{overload:#}");
    assert!(
        overload["refused"]["concurrency"].as_u64().unwrap() > 0,
        "{overload:#}"
    );
    assert!(report.contains("<svg") && report.ends_with("</html>\n"));
    // It opens from disk without network and scripts.
    assert!(
        !report.contains("http://") && !report.contains("https://") && !report.contains("<script")
    );
}

#[test]
fn a_recording_is_replayed() {
    let folder = folder("replay");
    let trace = folder.join("access.log");
    let mut lines = String::from("not a line of a log\n");
    for second in 0..10 {
        for client in 0..40 {
            let line = format!(
                "10.0.0.{client} - - [17/May/2015:10:05:0{second} +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"\n"
            );
            lines.push_str(&line);
        }
    }
    fs::write(&trace, lines).unwrap();
    let trace = trace.to_str().unwrap();
    let (output, figures, _) = adserver(
        &folder,
        &["--trace", trace, "--speed", "5", "--seconds", "3"],
    );
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("400 arrivals from 40 clients"), "{said}");
    assert!(
        said.contains("1 malformed lines left out, the first is line 1"),
        "{said}"
    );
    let figures = figures.unwrap();
    check(&figures, &["replay"]);
    assert_eq!(figures["phases"][0]["plimsoll"]["offered"], 400);
}

#[test]
fn bad_arguments_are_named() {
    for (args, message) in [
        (
            &["--seconds", "0"][..],
            "--seconds is 0, but must be above 0 and at most 3600",
        ),
        (&["--speed", "2"], "--speed is the speed of a --trace"),
        (&["--trace", "x", "--phases", "1x"], "--trace has one phase"),
        (
            &["--json", "/nowhere/x.json"],
            "cannot write /nowhere/x.json",
        ),
        (&["--phases", "11x"], "no phase is called \"11x\""),
        (&["--trace", "/nowhere"], "/nowhere: cannot read the trace"),
        (&["--what"], "--what"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_adserver"))
            .args(args)
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(message), "{args:?}: {error}");
    }
}
