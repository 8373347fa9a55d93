//! Bytes per key, each store in its own process, since a later measurement would reuse memory that
//! an earlier one has freed.

use std::{env, fs, process::Command};

use allocation_counter::measure;
use governor::clock::DefaultClock;
use plimsoll_core::Missing;
use plimsoll_rate_limit::RateLimit;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use tokio::time::Instant;

use crate::{
    Failed,
    keys::{numbers, texts},
    limits::{KeyType, Terms, admits, governor_per_key, outcome, seen},
    report::{Bar, Limit, Report, rounded},
    scale::Scale,
};

/// The flag that marks the measured process.
pub const MEASURE: &str = "--measure-memory";

const STORES: [&str; 6] = [
    "plimsoll/u64",
    "plimsoll/15-byte-text",
    "plimsoll/64-byte-text",
    "governor/u64",
    "governor/15-byte-text",
    "governor/64-byte-text",
];

/// The contents of a store after a number of new keys equal to its capacity.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Held {
    /// Bytes that were allocated and not freed.
    live: i64,
    /// Growth of the process in bytes.
    resident: i64,
    keys: u64,
    capacity: u64,
}

/// Fills one store: the only task of the measured process.
pub fn measured(store: &str, count: usize) -> Result<Held, String> {
    let (who, key) = store.split_once('/').ok_or("no such store")?;
    let text = |length| texts(count, length).leak();
    match (who, key) {
        ("plimsoll", "u64") => Ok(plimsoll(numbers(count).leak())),
        ("plimsoll", "15-byte-text") => Ok(plimsoll(text(15))),
        ("plimsoll", "64-byte-text") => Ok(plimsoll(text(64))),
        ("governor", "u64") => Ok(governor(numbers(count).leak())),
        ("governor", "15-byte-text") => Ok(governor(text(15))),
        ("governor", "64-byte-text") => Ok(governor(text(64))),
        _ => Err(format!("there is no store `{store}`")),
    }
}

/// Every key spends its quota, so that no key can be dropped.
fn plimsoll<T: KeyType>(keys: &'static [T]) -> Held {
    let (mut limit, end) = (None, outcome());
    let held = grown(|| {
        let key = |key: &&'static T| Some(*key);
        let made = RateLimit::new(Terms::SPENT.plimsoll()).expect("a valid quota");
        let made = made.per_key(key, Missing::Share, keys.len());
        let made = limit.insert(made.expect("a valid capacity"));
        for key in keys {
            admits(made, key, Instant::now(), &end);
        }
    });
    let handle = limit.expect("it was made").handle();
    Held {
        keys: handle.keys(),
        capacity: handle.capacity(),
        ..held
    }
}

fn governor<T: KeyType>(keys: &'static [T]) -> Held {
    let mut limit = None;
    let held = grown(|| {
        let made = limit.insert(governor_per_key(Terms::SPENT, DefaultClock::default()));
        for key in keys {
            seen(made.check_key(key));
        }
    });
    let keys = limit.map_or(0, |limit| limit.len() as u64);
    Held {
        keys,
        capacity: keys,
        ..held
    }
}

/// The bytes that remain allocated after `fill`.
fn grown(fill: impl FnOnce()) -> Held {
    let before = resident();
    let info = measure(fill);
    Held {
        live: info.bytes_current,
        resident: resident() - before,
        keys: 0,
        capacity: 0,
    }
}

/// Resident bytes of this process, 0 where they cannot be read.
fn resident() -> i64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<i64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

fn in_a_process(store: &str, count: usize) -> Result<Held, Failed> {
    let output = Command::new(env::current_exe()?)
        .args([MEASURE, store, &count.to_string()])
        .output()?;
    if !output.status.success() {
        return Err(format!("{store}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

pub fn run(scale: Scale, report: &mut Report) -> Result<(), Failed> {
    let count = scale.keys;
    println!(
        "\nbytes after {count} new keys in a table for {count}\n{:<44}{:>12}{:>12}{:>12}{:>14}{:>14}",
        "", "held keys", "capacity", "live/held", "live/capacity", "resident/held"
    );
    let (mut bytes, mut stores, mut worst) = (Map::new(), Map::new(), Vec::new());
    for store in STORES {
        let held = in_a_process(store, count)?;
        if held.keys == 0 || held.keys > count as u64 {
            return Err(format!("{store} holds {} keys of {count}", held.keys).into());
        }
        let per = |bytes: i64, keys: u64| bytes as f64 / keys as f64;
        let live = per(held.live, held.keys);
        println!(
            "{store:<44}{:>12}{:>12}{live:>12.1}{:>14.1}{:>14.1}",
            held.keys,
            held.capacity,
            per(held.live, held.capacity),
            per(held.resident, held.keys),
        );
        if store.starts_with("plimsoll/") {
            worst.push((store.to_owned(), live));
        } else {
            bytes.entry("governor").or_insert(rounded(live).into());
        }
        bytes.insert(store.to_owned(), rounded(live).into());
        stores.insert(store.to_owned(), json!(held));
    }
    let most = worst.iter().map(|(_, live)| *live).fold(0.0, f64::max);
    bytes.insert("plimsoll".to_owned(), rounded(most).into());
    report.figure("bytes_per_key", bytes);
    report.figure("memory", stores);
    report.bar(Bar {
        promise: "live bytes per held key",
        limit: Limit::AtMost(24.0),
        cases: worst,
        floor: None,
    });
    Ok(())
}
