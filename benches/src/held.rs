//! The instruction counts that CI checks: bars that hold.
//!
//! A change that makes an accept path longer by a few dozen instructions shows in no test and in no
//! figure of time. These limits are near today's counts, so that it shows here.

use std::io;

use crate::{callgrind, cases};

/// The most instructions of an accepted call over the bare service, by case.
///
/// Counts repeat to two instructions with one compiler and one C library; another version moves them
/// by a few percent. The limits leave 2 to 4 %, but for the promises of a retry, 250, and of the
/// breaker, 330. That of the adaptive limit, 560, is a bar of the full report and not held here: its
/// windows end by time, so that a busy machine adds up to 40 instructions a call. A limit that a new
/// compiler misses is set again, in a commit of its own. What a change costs is added here only with
/// the reason in the commit.
const LIMITS: [(&str, f64); 8] = [
    ("plimsoll/gate@accept", 300.0),
    ("plimsoll/circuit-breaker@accept", 330.0),
    ("plimsoll/circuit-breaker-by-time@accept", 330.0),
    ("plimsoll/circuit-breaker-consecutive@accept", 330.0),
    ("plimsoll/retry@accept", 250.0),
    ("plimsoll/retry-with-headers@accept", 1325.0),
    ("plimsoll/adaptive@accept", 600.0),
    ("plimsoll/fused-six@accept", 930.0),
];

/// Counts these cases without timing them, and prints each count beside its limit. Returns the cases
/// above their limits.
///
/// # Errors
///
/// There is no such case, or callgrind failed.
pub fn check() -> io::Result<Vec<&'static str>> {
    let limit = |name: &str| LIMITS.iter().find(|(case, _)| *case == name);
    let all = cases::all("");
    let limited = all.iter().filter(|case| limit(case.name).is_some());
    let bares: Vec<_> = limited.map(|case| case.base.bare).collect();
    let counted: Vec<_> = all
        .into_iter()
        .filter(|case| limit(case.name).is_some() || bares.contains(&case.name))
        .collect();
    let costs = callgrind::count(&counted)?;
    let index = |name: &str| {
        let index = counted.iter().position(|case| case.name == name);
        index.ok_or_else(|| io::Error::other(format!("there is no case `{name}`")))
    };
    let mut missed = Vec::new();
    for (name, limit) in LIMITS {
        let case = index(name)?;
        let over_bare = costs[case] - costs[index(counted[case].base.bare)?];
        let count = over_bare.instructions;
        let holds = count <= limit;
        let status = if holds { "holds" } else { "BROKEN" };
        println!("{status:<8}{count:>7.0}, at most {limit:>5}  {name}");
        if !holds {
            missed.push(name);
        }
    }
    Ok(missed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_of_a_case() {
        let all = cases::all("");
        for (name, _) in LIMITS {
            assert!(all.iter().any(|case| case.name == name), "{name}");
        }
    }
}
