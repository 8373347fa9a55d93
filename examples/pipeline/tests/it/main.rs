//! Runs the example, and checks its figures against its README.

use std::{fs, process::Command, time::Duration};

use tokio::time::Instant;

/// Runs the program to its end.
fn run(args: &[&str]) -> (String, Duration) {
    let start = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_pipeline"))
        .args(args)
        .output()
        .expect("it starts");
    let took = start.elapsed();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    (text, took)
}

/// The numbers of the line that begins with a word.
fn numbers(text: &str, begin: &str) -> Vec<f64> {
    let line = text.lines().find(|line| line.starts_with(begin));
    let line = line.unwrap_or_else(|| panic!("{begin}: no such line in\n{text}"));
    let words = line.split([' ', ',', '%']);
    words.filter_map(|word| word.parse().ok()).collect()
}

#[test]
#[allow(clippy::float_cmp)] // counts
fn a_slow_last_stage_slows_the_source_and_memory_stays_bounded() {
    let (text, took) = run(&[]);
    // 300 summaries of 10 ms each.
    assert!(took >= Duration::from_secs(3), "{took:?}\n{text}");
    let [most, bound] = numbers(&text, "lines in memory")[..] else {
        panic!("two numbers in\n{text}")
    };
    assert!(most > 0.0 && most <= bound && bound < 400.0, "{text}");
    let alone = numbers(&text, "the source alone:")[0];
    assert!(
        alone > 2.0 * 300_000.0 / took.as_secs_f64(),
        "the source is slowed:\n{text}"
    );
    let source = numbers(&text, "source");
    let (parse, aggregate) = (numbers(&text, "parse"), numbers(&text, "aggregate"));
    let sink = numbers(&text, "sink");
    assert_eq!(source[1], 300_000.0);
    assert_eq!(parse[0], source[1]);
    assert!(parse[1] < parse[0], "damaged lines are left out");
    assert_eq!((aggregate[0], aggregate[1]), (parse[1], sink[0]));
    assert_eq!(sink[0], (parse[1] / 1_000.0).ceil());
    let busy = sink.last().copied().expect("busy");
    assert!(busy > 50.0, "the sink is the slow one:\n{text}");
    let requests: f64 = ["/ ", "/cart", "/checkout", "/products", "/search"]
        .iter()
        .map(|path| numbers(&text, path)[0])
        .sum();
    assert_eq!(requests, parse[1], "no entry is lost");
}

#[test]
fn a_file_is_read_to_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("access.log");
    let line = "192.0.2.1 - - \"GET /search HTTP/1.1\" 200 1000us\n";
    fs::write(&path, line.repeat(1_500) + "damaged\n").expect("written");
    let (text, _) = run(&[path.to_str().expect("a name")]);
    assert_eq!(numbers(&text, "/search"), [1_500.0, 0.0, 1.0]);
    let output = Command::new(env!("CARGO_BIN_EXE_pipeline"))
        .arg(folder.path().join("missing"))
        .output()
        .expect("it starts");
    assert!(!output.status.success());
    assert!(output.stderr.starts_with(b"pipeline: "));
}
