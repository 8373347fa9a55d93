//! `cargo xtask hello`: what Plimsoll adds to the build of an axum server.
//!
//! The server with two layers is the first Rust block of the README; the one without is the same
//! server in bare axum. A dependency that is there twice fails. The CPU time is printed only: it
//! depends on the machine, and rises with other builds on it at the same time. Its share is
//! steadier.
//!
//! Both are built as a user builds them: cargo compiles a dependency from a registry without
//! incremental compilation, and one from a path, as here, with it. That takes half as long again.

use std::{fs, path::Path};

use crate::{
    run::{cargo, output, root},
    snippets::{blocks, read},
};

/// What the two layers may add to a build, in seconds of CPU time on a machine of CI. Printed
/// beside the measured time.
const GOAL_SECS: f64 = 6.0;

/// Ticks a second of `/proc/self/stat` (`USER_HZ`): the same on every Linux.
const TICKS: f64 = 100.0;

const BARE: &str = r#"use axum::{Router, routing::get};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = Router::new().route("/", get(|| async { "hello" }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}
"#;

/// Builds both servers and compares them.
pub(crate) fn check() -> Result<(), String> {
    let root = root();
    let folder = root.join("target/hello");
    _ = fs::remove_dir_all(&folder); // a build from nothing
    let readme = read(&root.join("README.md"))?;
    let layers = blocks(&readme)
        .into_iter()
        .next()
        .ok_or("no Rust block in README.md")?;
    let crates = root.join("crates/plimsoll").display().to_string();
    let plimsoll = format!(
        "plimsoll = {{ path = \"{crates}\", features = [\"concurrency\", \"rate-limit\"] }}\n"
    );
    write(
        &folder.join("Cargo.toml"),
        "[workspace]\nresolver = \"3\"\nmembers = [\"bare\", \"layers\"]\n",
    )?;
    write(&folder.join("Cargo.lock"), &read(&root.join("Cargo.lock"))?)?;
    server(&folder.join("bare"), "bare", "", BARE)?;
    server(&folder.join("layers"), "layers", &plimsoll, &layers.code)?;

    duplicates(&folder)?;
    let axum = build(&folder, "bare")?;
    // The server's own code and its link are no part of what the layers add.
    write(&folder.join("bare/src/main.rs"), &format!("{BARE}\n"))?;
    let program = build(&folder, "bare")?;
    let added = build(&folder, "layers")? - program;
    println!(
        "==> hello: bare axum takes {axum:.1} s of CPU time, two layers add {added:.1} s ({:.0} %; goal: {GOAL_SECS:.0} s)",
        100.0 * added / axum
    );
    Ok(())
}

fn server(folder: &Path, name: &str, dependencies: &str, code: &str) -> Result<(), String> {
    let manifest = format!(
        "[package]\nname = \"{name}\"\nedition = \"2024\"\npublish = false\n\n\
         [dependencies]\naxum = \"0.8\"\ntokio = {{ version = \"1\", features = [\"full\"] }}\n{dependencies}"
    );
    write(&folder.join("Cargo.toml"), &manifest)?;
    write(&folder.join("src/main.rs"), code)
}

/// Fails when the server with layers has a dependency in two versions that bare axum has in one.
fn duplicates(folder: &Path) -> Result<(), String> {
    let of = |package: &str| {
        let mut tree = cargo(&["tree", "--duplicates", "--edges", "normal", "--depth", "0"]);
        tree.args(["--prefix", "none", "--format", "{p}", "--package", package]);
        tree.arg("--manifest-path").arg(folder.join("Cargo.toml"));
        let text = output(&mut tree)?;
        let names: Vec<String> = text
            .lines()
            .filter(|of| !of.is_empty())
            .map(str::to_owned)
            .collect();
        Ok::<_, String>(names)
    };
    let bare = of("bare")?;
    let mut added = of("layers")?;
    added.retain(|name| !bare.contains(name));
    if added.is_empty() {
        println!("==> hello: no dependency is there twice");
        Ok(())
    } else {
        Err(format!(
            "dependencies in two versions: {}",
            added.join(", ")
        ))
    }
}

/// Builds a package and returns the CPU time of the build in seconds.
fn build(folder: &Path, package: &str) -> Result<f64, String> {
    let before = children()?;
    let mut build = cargo(&["build", "--quiet", "--package", package, "--manifest-path"]);
    build.arg(folder.join("Cargo.toml"));
    // Flags of this build are no user's.
    build.env_remove("RUSTFLAGS");
    build.env("CARGO_INCREMENTAL", "0");
    // CPU time of compilers that share a processor is not CPU time of one.
    build.env("CARGO_BUILD_JOBS", "1");
    output(build.env("CARGO_TARGET_DIR", folder.join("target")))?;
    Ok(children()? - before)
}

/// The CPU time of all processes that this one has waited for, and of theirs, in seconds.
fn children() -> Result<f64, String> {
    let stat = read(Path::new("/proc/self/stat"))?;
    seconds(&stat).ok_or_else(|| format!("/proc/self/stat: {stat}"))
}

/// The fields `cutime` and `cstime` of `proc_pid_stat(5)`. The name before them may have spaces.
fn seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(13);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let folder = path.parent().unwrap_or(path);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, text));
    written.map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_time_of_children_is_read_after_a_name_with_spaces() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 100 9 0 0 11 12 250 50 20 0 1 0 99";
        assert_eq!(seconds(stat), Some(3.0));
        assert_eq!(seconds("7 (a"), None);
    }

    #[test]
    fn a_child_that_works_takes_time() {
        let before = children().unwrap();
        let mut work = Command::new("sh");
        work.args(["-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"]);
        output(&mut work).unwrap();
        assert!(children().unwrap() > before);
    }
}
