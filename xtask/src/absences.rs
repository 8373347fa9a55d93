//! Checks the invariants of `ARCHITECTURE.md` that are absences: what no file of a published crate contains.
//!
//! Each rule has a pattern and the files that may match, with the reason. A file that may match and does not is an error as
//! well, so that the list stays true. Comments and test code are skipped.

use std::path::{Path, PathBuf};

use crate::{
    run::root,
    snippets::{entries, read},
};

/// Crates that admit or reject requests for users. They meet through core's traits only.
const POLICY_CRATES: [&str; 5] = [
    "plimsoll-circuit-breaker",
    "plimsoll-concurrency",
    "plimsoll-load-shed",
    "plimsoll-rate-limit",
    "plimsoll-sampling",
];

/// What must not occur, and where it may.
struct Absence {
    /// The invariant, as `ARCHITECTURE.md` has it.
    what: &'static str,
    /// Whether a line of code breaks it.
    broken_by: fn(&str) -> bool,
    /// The crates that are checked.
    scope: Scope,
    /// Files below `crates/`, or folders (with a `/` at the end), that may break it, and why.
    except: &'static [(&'static str, &'static str)],
}

#[derive(Clone, Copy)]
enum Scope {
    Published,
    Policies,
    Core,
    Lab,
}

const ABSENCES: &[Absence] = &[
    Absence {
        what: "no code calls `Policy::finish` or `revoke`",
        broken_by: ends_a_permit,
        scope: Scope::Published,
        except: &[
            (
                "plimsoll-core/src/gate/held.rs",
                "the guard that ends every permit",
            ),
            (
                "plimsoll-core/src/gate/granted.rs",
                "the guard of a permit that was granted and never ran",
            ),
            (
                "plimsoll-core/src/policy/",
                "combinators forward to the policies in them",
            ),
            (
                "plimsoll-circuit-breaker/src/breaker.rs",
                "its own state machine has a `finish`",
            ),
            ("plimsoll-redis/src/engine.rs", "contains a local policy"),
            (
                "plimsoll-rate-limit/src/leaky_bucket/policy.rs",
                "its own state has a `revoke`",
            ),
            ("plimsoll-redis/src/lease_cell.rs", "forwards to the engine"),
            ("plimsoll-redis/src/limit.rs", "forwards to the engine"),
            (
                "plimsoll-redis/src/local.rs",
                "takes back the tokens of earlier quotas",
            ),
        ],
    },
    Absence {
        what: "no policy crate names HTTP statuses or response bodies",
        broken_by: |line| any(line, &["StatusCode", "http_body", "HttpBody"]),
        scope: Scope::Policies,
        except: &[(
            "plimsoll-concurrency/src/edge/streams.rs",
            "reads whether a response is an event stream",
        )],
    },
    Absence {
        what: "no policy crate pins",
        broken_by: |line| any(line, &["Pin<", "pin::Pin", "pin_project"]),
        scope: Scope::Policies,
        except: &[
            (
                "plimsoll-concurrency/src/edge/listener/guarded.rs",
                "a socket with a permit",
            ),
            (
                "plimsoll-concurrency/src/limit/policy.rs",
                "polls its own wait",
            ),
            (
                "plimsoll-concurrency/src/limit/wait.rs",
                "a wait with a timer",
            ),
            (
                "plimsoll-rate-limit/src/leaky_bucket/policy.rs",
                "polls its own wait",
            ),
            (
                "plimsoll-rate-limit/src/leaky_bucket/wait.rs",
                "a wait with a timer",
            ),
        ],
    },
    Absence {
        what: "no code reads a clock",
        broken_by: |line| any(line, &["Instant::now(", "SystemTime::now("]),
        scope: Scope::Published,
        except: &[
            ("plimsoll-core/src/gate/", "the gate passes in the time"),
            (
                "plimsoll-core/src/outcome.rs",
                "`Outcome::ended`, on demand",
            ),
            (
                "plimsoll-circuit-breaker/src/handle.rs",
                "a state that is set by hand, for the report",
            ),
            (
                "plimsoll-circuit-breaker/src/figures.rs",
                "the time to a probe, when figures are read",
            ),
            (
                "plimsoll-client/src/downstream/figures.rs",
                "the threshold, when figures are read",
            ),
            (
                "plimsoll-client/src/hedge/",
                "the start of a call, its end, and the answers between",
            ),
            (
                "plimsoll-client/src/retry/future.rs",
                "the end of a failed attempt, and of one with a deadline",
            ),
            (
                "plimsoll-client/src/retry/plan.rs",
                "the start of a call with a timeout or a deadline",
            ),
            (
                "plimsoll-client/src/retry/figures.rs",
                "the budget, when figures are read",
            ),
            (
                "plimsoll-client/src/throttle/figures.rs",
                "the probabilities, when figures are read",
            ),
            ("plimsoll-load-shed/src/signal/executor.rs", "a probe task"),
            (
                "plimsoll-load-shed/src/signal/system/mod.rs",
                "a reader thread",
            ),
            (
                "plimsoll-dashboard/src/fleet.rs",
                "the task that asks peers",
            ),
            (
                "plimsoll-dashboard/src/sampler.rs",
                "the task that reads all figures once a second",
            ),
            (
                "plimsoll-dashboard/src/scope.rs",
                "the cost of an update, in that task or for a page",
            ),
            (
                "plimsoll-dashboard/src/wall.rs",
                "the time axis of a page, in that task",
            ),
            (
                "plimsoll-metrics/src/events.rs",
                "the wall clock of an event, for readers of the log",
            ),
            (
                "plimsoll-metrics/src/export/opentelemetry.rs",
                "the age of a reading, in a collection",
            ),
            ("plimsoll-metrics/src/gate.rs", "a snapshot"),
            ("plimsoll-metrics/src/readiness.rs", "the start of a drain"),
            (
                "plimsoll-metrics/src/signals.rs",
                "how long a load signal takes, and the age of its reading",
            ),
            (
                "plimsoll-metrics/src/watch.rs",
                "an event that the program adds",
            ),
            (
                "plimsoll-metrics/src/watched.rs",
                "a change that a policy reports",
            ),
            (
                "plimsoll-metrics/src/metrics.rs",
                "a snapshot, and the first use of a gate",
            ),
            (
                "plimsoll-rate-limit/src/calendar.rs",
                "the wall clock, when the limit is made",
            ),
            (
                "plimsoll-redis/src/connection.rs",
                "the task of a connection",
            ),
            (
                "plimsoll-redis/src/lease_question.rs",
                "an answer of Redis, in that task",
            ),
            ("plimsoll-redis/src/task.rs", "the task of a connection"),
            ("plimsoll-redis/src/task/", "the task of a connection"),
            (
                "plimsoll-stream/src/clock.rs",
                "the age of items, when a policy or a measurement needs it, and timers of connections",
            ),
        ],
    },
    Absence {
        what: "no boxed future",
        broken_by: |line| any(line, &["Pin<Box<", "Box::pin(", ".boxed(", "BoxFuture"]),
        scope: Scope::Published,
        except: &[
            (
                "plimsoll-core/src/gate/future.rs",
                "the state of a waiting request",
            ),
            (
                "plimsoll-fallback/src/later.rs",
                "a fallback's handler, after a rejection",
            ),
            (
                "plimsoll-stream/src/grpc/server/executor.rs",
                "a timer for each stream whose window was closed",
            ),
            (
                "plimsoll-stream/src/listener/",
                "a timer for each connection",
            ),
            (
                "plimsoll-stream/src/pipeline/",
                "one for each stage and each of its places, none for an item",
            ),
            ("plimsoll-stream/src/sse/", "the timers of a stream"),
            (
                "plimsoll-stream/src/websocket/writer.rs",
                "a timer for each connection",
            ),
            ("plimsoll-stream/src/work/", "a job, which is any future"),
        ],
    },
    Absence {
        what: "no async mutex and no `wake_by_ref`",
        broken_by: |line| {
            any(
                line,
                &["wake_by_ref", "tokio::sync::Mutex", "tokio::sync::RwLock"],
            )
        },
        scope: Scope::Published,
        except: &[(
            "plimsoll-stream/src/sampling/items.rs",
            "yields after 64 items in a row that were skipped",
        )],
    },
    Absence {
        what: "no spawned task or thread",
        broken_by: |line| any(line, &["spawn("]) && !line.contains("fn spawn("),
        scope: Scope::Published,
        except: &[
            (
                "plimsoll-dashboard/src/dashboard.rs",
                "starts the sampler, and waits for the shutdown",
            ),
            (
                "plimsoll-dashboard/src/fleet.rs",
                "the task that asks peers",
            ),
            (
                "plimsoll-load-shed/src/signal/executor.rs",
                "the probe of `ExecutorDelay`",
            ),
            (
                "plimsoll-load-shed/src/signal/system/mod.rs",
                "the reader of `SystemLoad`",
            ),
            ("plimsoll-redis/src/builder.rs", "starts the links"),
            ("plimsoll-redis/src/link.rs", "one task for each connection"),
            (
                "plimsoll-stream/src/grpc/in_flight.rs",
                "the handlers of messages in flight, aborted with their stream",
            ),
            (
                "plimsoll-stream/src/grpc/server/",
                "the connections of a `StreamServer` and their streams",
            ),
            (
                "plimsoll-stream/src/websocket/connection.rs",
                "the reader and the handler of a connection",
            ),
            (
                "plimsoll-stream/src/work/builder.rs",
                "the workers of a `WorkQueue`",
            ),
        ],
    },
    Absence {
        what: "no Tower service besides `Gate`",
        broken_by: |line| line.starts_with("impl") && line.contains(" Service<"),
        scope: Scope::Published,
        except: &[
            ("plimsoll-core/src/gate/service.rs", "the gate"),
            (
                "plimsoll-client/src/downstream/scope.rs",
                "`CallScope`, which admits nothing",
            ),
            (
                "plimsoll-client/src/hedge/service.rs",
                "`Hedge`, which calls the inner service twice",
            ),
            (
                "plimsoll-client/src/retry/service.rs",
                "`Retry`, which calls the inner service several times",
            ),
            (
                "plimsoll-client/src/timeout.rs",
                "`CallTimeout`, which ends calls inside of a gate",
            ),
            (
                "plimsoll-metrics/src/service.rs",
                "`MetricsService`, which serves the figures",
            ),
        ],
    },
    Absence {
        what: "no `tracing` event in core",
        broken_by: |line| any(line, &["tracing::"]),
        scope: Scope::Core,
        except: &[(
            "plimsoll-core/src/key/missing.rs",
            "the first request without a key",
        )],
    },
    Absence {
        what: "no `unsafe` in a published crate",
        broken_by: has_unsafe,
        scope: Scope::Published,
        except: &[],
    },
    Absence {
        what: "no `unsafe` in the lab",
        broken_by: has_unsafe,
        scope: Scope::Lab,
        except: &[(
            "plimsoll-lab/src/clock.rs",
            "replaces two functions of libc",
        )],
    },
];

/// Beginnings of packages that core must not depend on: metrics libraries, Redis clients, routers.
const NOT_IN_CORE: [&str; 7] = [
    "fred",
    "matchit",
    "metrics",
    "opentelemetry",
    "prometheus",
    "redis",
    "tower-http",
];

/// Checks all of them.
pub(crate) fn check() -> Result<(), String> {
    let faults = faults(&root().join("crates"))?;
    if faults.is_empty() {
        println!("==> absences: {} rules hold", ABSENCES.len() + 2);
        Ok(())
    } else {
        Err(format!(
            "ARCHITECTURE.md, \"Invariants, as absences\":\n{}",
            faults.join("\n")
        ))
    }
}

/// All faults in the crates of this folder.
fn faults(crates: &Path) -> Result<Vec<String>, String> {
    let mut faults = Vec::new();
    for absence in ABSENCES {
        let mut used = vec![false; absence.except.len()];
        for name in names(crates, absence.scope)? {
            for file in sources(&crates.join(&name).join("src"))? {
                let path = file
                    .strip_prefix(crates)
                    .unwrap_or(&file)
                    .display()
                    .to_string();
                let excepted = absence.except.iter().position(|(of, _)| covers(of, &path));
                let text = read(&file)?;
                for (number, _) in code(&text).filter(|(_, line)| (absence.broken_by)(line)) {
                    match excepted {
                        Some(index) => used[index] = true,
                        None => faults.push(format!("crates/{path}:{number}: {}", absence.what)),
                    }
                }
            }
        }
        for ((of, why), _) in absence.except.iter().zip(used).filter(|(_, used)| !used) {
            faults.push(format!(
                "crates/{of} is excepted ({why}), but keeps to: {}",
                absence.what
            ));
        }
    }
    for name in POLICY_CRATES {
        let manifest = read(&crates.join(name).join("Cargo.toml"))?;
        let siblings = dependencies(&manifest).filter(|of| of.starts_with("plimsoll-"));
        for sibling in siblings.filter(|of| *of != "plimsoll-core") {
            faults.push(format!(
                "crates/{name}: imports {sibling}, another policy crate"
            ));
        }
    }
    let manifest = read(&crates.join("plimsoll-core/Cargo.toml"))?;
    for of in dependencies(&manifest) {
        if NOT_IN_CORE.iter().any(|start| of.starts_with(start)) {
            faults.push(format!("crates/plimsoll-core: depends on {of}"));
        }
    }
    Ok(faults)
}

/// A call with arguments: `finish()` without is a hasher's or a formatter's.
fn ends_a_permit(line: &str) -> bool {
    let called = |method: &str| {
        let mut calls = line
            .match_indices(method)
            .map(|(at, _)| &line[at + method.len()..]);
        calls.any(|arguments| !arguments.starts_with(')'))
    };
    called(".finish(") || called(".revoke(")
}

fn has_unsafe(line: &str) -> bool {
    any(
        line,
        &[
            "unsafe {",
            "unsafe fn",
            "unsafe impl",
            "unsafe extern",
            "#[unsafe(",
        ],
    )
}

fn any(line: &str, patterns: &[&str]) -> bool {
    patterns.iter().any(|pattern| line.contains(pattern))
}

/// Whether an exception is about this file: by its path, or by a folder's.
fn covers(exception: &str, path: &str) -> bool {
    path == exception || (exception.ends_with('/') && path.starts_with(exception))
}

/// The crates of a scope.
fn names(crates: &Path, scope: Scope) -> Result<Vec<String>, String> {
    match scope {
        Scope::Policies => return Ok(POLICY_CRATES.map(str::to_owned).to_vec()),
        Scope::Core => return Ok(vec!["plimsoll-core".to_owned()]),
        Scope::Lab => return Ok(vec!["plimsoll-lab".to_owned()]),
        Scope::Published => {}
    }
    let mut names = Vec::new();
    for folder in entries(crates)? {
        if !read(&folder.join("Cargo.toml"))?.contains("publish = false") {
            let name = folder.file_name().unwrap_or_default();
            names.push(name.to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// The source files below a folder, without files and folders of tests.
fn sources(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if ["models", "test_kit", "tests"].contains(&&*name) || name.ends_with("_tests") {
            continue;
        }
        if path.is_dir() {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

/// The lines of code with their numbers: without comments, and without modules under `cfg(test)` or `cfg(loom)`.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let (mut attribute, mut skipped) = (false, false);
    (1..).zip(text.lines()).filter_map(move |(number, line)| {
        if skipped {
            skipped = line != "}";
            return None;
        }
        if line.starts_with("#[cfg(test")
            || line.starts_with("#[cfg(all(test")
            || line.starts_with("#[cfg(loom")
        {
            attribute = true;
            return None;
        }
        if attribute && !line.starts_with("#[") {
            attribute = false;
            skipped = line.ends_with('{');
            return None;
        }
        if line.trim_start().starts_with("//") {
            return None;
        }
        Some((number, line.split(" // ").next().unwrap_or_default()))
    })
}

/// The names under `[dependencies]`.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let lines = manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_absences_of_architecture_md_hold() {
        assert_eq!(
            faults(&root().join("crates")).unwrap(),
            <[String; 0]>::default()
        );
    }

    #[test]
    fn each_rule_finds_what_breaks_it() {
        let breaks = |what: &str, line: &str| {
            let rule = ABSENCES
                .iter()
                .find(|rule| rule.what.contains(what))
                .unwrap();
            (rule.broken_by)(line)
        };
        assert!(breaks(
            "`Policy::finish`",
            "self.policy.finish(permit, outcome);"
        ));
        assert!(!breaks("`Policy::finish`", "hasher.finish()"));
        assert!(breaks("statuses", "use http::StatusCode;"));
        assert!(breaks("pins", "wait: Pin<&mut Wait>,"));
        assert!(breaks("clock", "let now = Instant::now();"));
        assert!(breaks("boxed", "Box::pin(future)"));
        assert!(breaks("mutex", "waker.wake_by_ref();"));
        assert!(breaks("spawned", "tokio::spawn(task)"));
        assert!(!breaks("spawned", "pub fn spawn(settings: Settings) {"));
        assert!(breaks(
            "Tower service",
            "impl<S> Service<Request> for Other<S>"
        ));
        assert!(breaks("tracing", "tracing::warn!(\"x\");"));
        assert!(breaks("`unsafe` in a published", "    unsafe { x() }"));
    }

    #[test]
    fn comments_and_test_modules_are_no_code() {
        let text = "a();\n/// b();\nc(); // d();\n#[cfg(test)]\nmod tests {\n    e();\n}\nf();\n#[cfg(test)]\nmod g;\nh();\n";
        let lines: Vec<_> = code(text).collect();
        assert_eq!(lines, [(1, "a();"), (3, "c();"), (8, "f();"), (11, "h();")]);
    }

    #[test]
    fn dependencies_are_those_of_their_section() {
        let manifest = "[features]\na = []\n\n[dependencies]\nb.workspace = true\n# c\nd = { workspace = true }\n\n[dev-dependencies]\ne = \"1\"\n";
        assert!(dependencies(manifest).eq(["b", "d"]));
    }
}
