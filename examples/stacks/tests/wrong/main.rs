//! Stacks that do not compile: the compiler's first error names the cure.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

/// Policies passed to `.layer(..)`, which takes a gate.
const POLICIES: [&str; 20] = [
    "plimsoll::ByHeader<plimsoll::ClientIp>",
    "plimsoll::Choose<(), plimsoll::concurrency::ConcurrencyLimit>",
    "plimsoll::Deadlines",
    "plimsoll::Keyed<plimsoll::ClientIp, plimsoll::concurrency::ConcurrencyLimit>",
    "plimsoll::Shadow<plimsoll::concurrency::ConcurrencyLimit>",
    "plimsoll::policy::Then<(), plimsoll::concurrency::ConcurrencyLimit>",
    "plimsoll::When<fn(&Request) -> bool, plimsoll::concurrency::ConcurrencyLimit>",
    "plimsoll::circuit_breaker::CircuitBreaker",
    "plimsoll::concurrency::ConcurrencyLimit",
    "plimsoll::concurrency::FairShare",
    "plimsoll::concurrency::Partitions<u8, fn(&Request) -> Option<u8>>",
    "plimsoll::load_shed::AdaptiveShed<fn() -> f64>",
    "plimsoll::client::AdaptiveThrottle",
    "plimsoll::client::Downstream",
    "plimsoll::load_shed::LoadShed<fn() -> f64>",
    "plimsoll::load_shed::QueueDelay",
    "plimsoll::rate_limit::KeyedRateLimit<plimsoll::ClientIp>",
    "plimsoll::rate_limit::LeakyBucket",
    "plimsoll::rate_limit::RateLimit",
    "plimsoll::sampling::Sampling<fn() -> f64>",
];

/// Protocols passed to `.layer(..)`.
const PROTOCOLS: [&str; 3] = [
    "plimsoll::Http",
    "plimsoll::Plain",
    "plimsoll::fallback::Fallback<plimsoll::fallback::Fixed>",
];

/// Whole programs, with a text that the first error contains.
const PROGRAMS: [(&str, &str); 4] = [
    (
        "fn wrong(rate: plimsoll::rate_limit::RateLimit, limit: plimsoll::concurrency::ConcurrencyLimit) -> Router {
            Router::new().route(\"/\", get(|| async {})).layer((rate, limit))
        }",
        "is a policy, not a layer",
    ),
    (
        "fn wrong(limit: plimsoll::concurrency::ConcurrencyLimit) {
            let service = tower::service_fn(async |_: Request| Ok::<_, Infallible>(Response::<Body>::default()));
            _ = tower::ServiceBuilder::new().layer(limit).service(service);
        }",
        // The compiler shows no message of a condition that a method needs, only its name.
        "`ConcurrencyLimit: plimsoll::support::WrappedInGateLayer<_>`",
    ),
    (
        "fn wrong(fallback: plimsoll::fallback::Fallback<plimsoll::fallback::Fixed>) -> Router {
            let gate = plimsoll::GateLayer::new(((), fallback));
            Router::new().route(\"/\", get(|| async {})).layer(gate)
        }",
        "is not a policy for requests of type",
    ),
    (
        "async fn wrong() {
            let service = tower::service_fn(async |_: String| Ok::<_, Infallible>(String::new()));
            let gate = tower::Layer::layer(&plimsoll::GateLayer::new(()), service);
            _ = tower::Service::call(&mut { gate }, String::new()).await;
        }",
        "does not fit this service",
    ),
];

const HEAD: &str = "#![allow(unused_imports)]
use std::convert::Infallible;
use axum::{Router, body::Body, extract::Request, response::Response, routing::get};
fn main() {}
";

fn layer(of: &str) -> String {
    format!(
        "fn wrong(it: {of}) -> Router {{ Router::new().route(\"/\", get(|| async {{}})).layer(it) }}"
    )
}

#[test]
fn the_first_error_names_the_cure() {
    let policies = POLICIES.map(|it| (layer(it), "is a policy, not a layer"));
    let protocols = PROTOCOLS.map(|it| (layer(it), "is a protocol, not a layer"));
    let programs = PROGRAMS.map(|(program, error)| (program.to_owned(), error));
    let cases: Vec<_> = policies
        .into_iter()
        .chain(protocols)
        .chain(programs)
        .collect();

    let errors = first_errors(&cases);
    let failures: Vec<_> = cases
        .iter()
        .enumerate()
        .filter_map(|(n, (program, expected))| match errors.get(&n) {
            None => Some(format!("compiles: {program}")),
            Some(error) if !error.contains(expected) => {
                Some(format!("{error}\ninstead of: {expected}\nin: {program}"))
            }
            Some(_) => None,
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Checks a package with one binary per program, and returns the first error of each.
fn first_errors(cases: &[(String, &str)]) -> BTreeMap<usize, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wrong-stacks");
    _ = fs::remove_dir_all(package.join("src"));
    fs::create_dir_all(package.join("src/bin")).unwrap();
    let plimsoll = root.join("crates/plimsoll");
    let manifest = format!(
        "[workspace]
[package]
name = \"wrong-stacks\"
edition = \"2024\"
[dependencies]
axum = {{ version = \"0.8\", default-features = false, features = [\"tokio\"] }}
plimsoll = {{ path = \"{}\", features = [\"full\", \"axum\"] }}
tower = {{ version = \"0.5\", default-features = false, features = [\"util\"] }}
",
        plimsoll.display()
    );
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    for (n, (program, _)) in cases.iter().enumerate() {
        let source = format!("{HEAD}{program}\n");
        fs::write(package.join(format!("src/bin/case{n}.rs")), source).unwrap();
    }

    let checked = Command::new(env!("CARGO"))
        .args(["check", "--bins", "--keep-going", "--quiet", "--offline"])
        .args(["--color", "never", "--target-dir", "target"])
        .current_dir(&package)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&checked.stderr);
    assert!(
        output.contains("src/bin/case"),
        "cargo check failed: {output}"
    );
    let mut errors = BTreeMap::new();
    for error in output.split("\nerror") {
        let number = error.split_once("--> src/bin/case").and_then(|(_, at)| {
            let (number, _) = at.split_once(".rs:")?;
            number.parse().ok()
        });
        if let Some(number) = number {
            errors.entry(number).or_insert_with(|| error.to_owned());
        }
    }
    errors
}
