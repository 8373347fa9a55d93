//! The scripts, composed from the algorithms that a limit uses, with their arguments and answers.

use std::time::Duration;

use redis::{Cmd, Value};

use crate::{
    MAX_QUOTAS,
    digest::Digest,
    quotas::{Algorithm, Left, Shared},
};

const CLOCK: &str = include_str!("scripts/clock.lua");
const KINDS: &str = include_str!("scripts/kinds.lua");
const GCRA: &str = include_str!("scripts/gcra.lua");
const SLIDING: &str = include_str!("scripts/sliding_window.lua");
const FIXED: &str = include_str!("scripts/fixed_window.lua");
const DECIDE: &str = include_str!("scripts/decide.lua");
const REFUND: &str = include_str!("scripts/refund.lua");
const CHANGE: &str = include_str!("scripts/change.lua");
/// Digests, of one repeated byte each, of keys that are written when a connection is made. Their
/// slots are 1,024 apart, so a node of a cluster with up to 16 masters of equal size owns at least
/// one of them, and not all (`the_probes_cover_all_parts_of_a_cluster`).
const PROBES: [u8; 16] = [
    1, 50, 155, 113, 41, 135, 164, 89, 143, 101, 136, 174, 60, 195, 211, 147,
];
/// The longest wait that is accepted in an answer, in microseconds: 732 days, twice the longest
/// period. The scripts bound debts by the same number (`longest` in `kinds.lua`).
const MAX_WAIT: i64 = 2 * 366 * 24 * 60 * 60 * 1_000_000;

/// The scripts of one limit, and their constant arguments.
#[derive(Debug)]
pub(crate) struct Scripts {
    decide: Script,
    refund: Script,
    change: Script,
    quotas: Box<[Shared]>,
    prefix: Box<str>,
    /// Kind, unit, size and phase of each quota.
    arguments: Box<[String]>,
}

#[derive(Debug)]
struct Script {
    text: String,
    hash: String,
}

impl Script {
    fn new(text: String) -> Self {
        let hash = redis::Script::new(&text).get_hash().to_owned();
        Self { text, hash }
    }
}

/// The answer of Redis to one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// This many tokens were granted.
    Granted {
        count: u32,
        /// The time of the decision, by the clock of Redis in microseconds.
        at: u64,
        left: [Left; MAX_QUOTAS],
    },
    /// Rejected for this wait, because of the quota `tightest`.
    Rejected {
        wait: Duration,
        tightest: u8,
        at: u64,
        left: [Left; MAX_QUOTAS],
    },
    /// The question had expired. Nothing was written.
    Expired { at: u64 },
}

impl Scripts {
    pub(crate) fn new(prefix: &str, quotas: &[Shared]) -> Self {
        let uses = |algorithm| quotas.iter().any(|quota| quota.algorithm == algorithm);
        let mut common = [CLOCK, KINDS].concat();
        // Performance: a script defines its functions on each call, so only those in use are
        // included.
        for (algorithm, text) in [
            (Algorithm::Gcra, GCRA),
            (Algorithm::SlidingWindow, SLIDING),
            (Algorithm::FixedWindow, FIXED),
        ] {
            if uses(algorithm) {
                common.push_str(text);
            }
        }
        let arguments = quotas.iter().flat_map(|quota| {
            let kind = match quota.algorithm {
                Algorithm::Gcra => "g",
                Algorithm::SlidingWindow => "s",
                Algorithm::FixedWindow => "f",
            };
            [
                kind.to_owned(),
                quota.unit.to_string(),
                quota.size.to_string(),
                quota.phase.to_string(),
            ]
        });
        Self {
            decide: Script::new([&common, DECIDE].concat()),
            refund: Script::new([&common, REFUND].concat()),
            change: Script::new([&common, CHANGE].concat()),
            arguments: arguments.collect(),
            quotas: quotas.into(),
            prefix: prefix.into(),
        }
    }

    /// Loads the scripts, and reads the time.
    pub(crate) fn load(&self) -> redis::Pipeline {
        let mut pipeline = redis::pipe();
        for command in self.load_commands() {
            pipeline.add_command(command);
        }
        pipeline.cmd("TIME");
        pipeline
    }

    /// Loads the scripts.
    pub(crate) fn load_commands(&self) -> impl Iterator<Item = Cmd> {
        [&self.decide, &self.refund, &self.change]
            .into_iter()
            .map(|script| {
                let mut command = Cmd::new();
                command.arg("SCRIPT").arg("LOAD").arg(&script.text);
                command
            })
    }

    /// Writes that change nothing, to keys that no request has. They show whether a server can
    /// write, and whether it owns all keys.
    pub(crate) fn probes(&self) -> impl Iterator<Item = Cmd> {
        (0..PROBES.len()).map(|n| self.probe(n))
    }

    /// One of the [`probes`](Self::probes).
    pub(crate) fn probe(&self, n: usize) -> Cmd {
        self.refund(Digest([PROBES[n % PROBES.len()]; 16]), 0, 0)
    }

    /// The command for `least` to `most` tokens. `not_after` is a time of the clock of Redis, or 0.
    pub(crate) fn ask(&self, digest: Digest, least: u32, most: u32, not_after: u64) -> Cmd {
        let mut cmd = self.call(&self.decide, digest);
        cmd.arg(least)
            .arg(most)
            .arg(not_after)
            .arg(&*self.arguments);
        cmd
    }

    /// The command that refunds `count` tokens taken at `at`.
    pub(crate) fn refund(&self, digest: Digest, count: u32, at: u64) -> Cmd {
        let mut cmd = self.call(&self.refund, digest);
        cmd.arg(count).arg(at).arg(&*self.arguments);
        cmd
    }

    /// The command that grants tokens to a key, or resets it.
    pub(crate) fn change(&self, digest: Digest, tokens: Option<u32>) -> Cmd {
        let mut cmd = self.call(&self.change, digest);
        cmd.arg(tokens.map_or(-1, i64::from)).arg(&*self.arguments);
        cmd
    }

    fn call(&self, script: &Script, digest: Digest) -> Cmd {
        let mut cmd = Cmd::new();
        cmd.arg("EVALSHA").arg(&script.hash).arg(self.quotas.len());
        for quota in &self.quotas {
            cmd.arg(self.key(digest, &quota.key));
        }
        cmd
    }

    /// The key of a quota in Redis. All quotas of one key are in one slot of a cluster.
    fn key(&self, digest: Digest, name: &str) -> String {
        format!("{}:{{{digest}}}:{name}", self.prefix)
    }

    /// Reads an answer; `None` when it is invalid.
    pub(crate) fn read(&self, value: &Value, least: u32, most: u32) -> Option<Reply> {
        let Value::Array(items) = value else {
            return None;
        };
        let int = |at: usize| match items.get(at) {
            Some(Value::Int(n)) => Some(*n),
            _ => None,
        };
        let now = u64::try_from(int(1)?).ok().filter(|now| *now > 0)?;
        let granted = int(0)?;
        if granted == -1 && items.len() == 2 {
            return Some(Reply::Expired { at: now });
        }
        if items.len() != 4 + 2 * self.quotas.len() {
            return None;
        }
        let mut left = [Left::default(); MAX_QUOTAS];
        for (n, (quota, left)) in self.quotas.iter().zip(&mut left).enumerate() {
            let requests = u32::try_from(int(4 + 2 * n)?).ok();
            let reset = int(5 + 2 * n).filter(|reset| (0..=MAX_WAIT).contains(reset))?;
            *left = Left {
                requests: requests.filter(|requests| *requests <= quota.size)?,
                reset_millis: u32::try_from(reset.unsigned_abs().div_ceil(1000))
                    .unwrap_or(u32::MAX),
            };
        }
        let wait = int(2).filter(|wait| (0..=MAX_WAIT).contains(wait))?;
        let tightest = usize::try_from(int(3)?).ok()?;
        if granted == 0 && wait > 0 && (1..=self.quotas.len()).contains(&tightest) {
            return Some(Reply::Rejected {
                wait: Duration::from_micros(wait.unsigned_abs()),
                tightest: tightest as u8 - 1,
                at: now,
                left,
            });
        }
        let count = u32::try_from(granted).ok()?;
        let granted = (least..=most).contains(&count) && wait == 0 && tightest == 0;
        granted.then_some(Reply::Granted {
            count,
            at: now,
            left,
        })
    }
}

impl Reply {
    /// The time of the decision, by the clock of Redis.
    pub(crate) fn at(&self) -> u64 {
        match self {
            Self::Granted { at, .. } | Self::Rejected { at, .. } | Self::Expired { at } => *at,
        }
    }
}

#[cfg(all(test, feature = "cluster"))]
mod tests {
    use std::time::Duration;

    use plimsoll_rate_limit::Quota;
    use redis::{Arg, cluster_routing::Slot};

    use super::*;

    fn slot_of(key: &[u8]) -> u16 {
        // A slot can be compared, but not read.
        let slot = Slot::for_key(key);
        (0..16_384)
            .find(|n| Slot::new(*n) == Some(slot))
            .expect("a slot")
    }

    #[test]
    fn the_probes_cover_all_parts_of_a_cluster() {
        let quota = Quota::new(1, Duration::from_secs(1)).named("q");
        let quota = Shared::new(quota).expect("valid");
        for prefix in ["plimsoll", "another"] {
            let scripts = Scripts::new(prefix, std::slice::from_ref(&quota));
            let slots: Vec<u16> = scripts
                .probes()
                .map(|probe| match probe.args_iter().nth(3) {
                    Some(Arg::Simple(key)) => slot_of(key),
                    other => panic!("{other:?}"),
                })
                .collect();
            for masters in 2..=16_u16 {
                for part in 0..masters {
                    let within = |slot: &u16| {
                        u32::from(*slot) * u32::from(masters) / 16_384 == u32::from(part)
                    };
                    assert!(
                        slots.iter().any(within),
                        "part {part} of {masters}: {slots:?}"
                    );
                }
            }
        }
    }
}
