//! The crates build with each of their features alone, and the facade with each pair.

use crate::{run::step, tools::HACK, workspace::Workspace};

/// Checks without building: `cargo hack` runs `cargo check` for each set of features.
pub(crate) fn check() -> Result<(), String> {
    let workspace = Workspace::read()?;
    let mut each = HACK.command()?;
    each.args([
        "hack",
        "check",
        "--quiet",
        "--no-dev-deps",
        "--each-feature",
    ]);
    // The facade's are in the pairs below.
    let others = workspace
        .published
        .iter()
        .filter(|of| of.name != "plimsoll");
    each.args(others.flat_map(|package| ["--package", &*package.name]));
    step("each feature of each crate", &mut each)?;
    let mut pairs = HACK.command()?;
    pairs.args(["hack", "check", "--quiet", "--no-dev-deps"]);
    pairs.args([
        "--package",
        "plimsoll",
        "--feature-powerset",
        "--depth",
        "2",
    ]);
    // These forward to features of the other crates, each checked above.
    let forwarded = "default,full,metrics-facade,opentelemetry,prometheus-client,redis-cluster,\
                     redis-sentinel,redis-tls";
    pairs.args(["--exclude-features", forwarded]);
    step("each pair of features of the facade", &mut pairs)
}
