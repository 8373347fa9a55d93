//! What is substituted, changeable at run time, and counters.

use std::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Relaxed},
};

use plimsoll_core::{Class, Kind, policy::Counter};

use crate::{Degraded, mark::KnownValues};

/// One bit per kind of rejection, in the order of [`Kind::index`], then the following bits.
const FAILURES: u32 = 1 << 16;
const OVERLOADS: u32 = 1 << 17;
const ERRORS: u32 = 1 << 18;
const GRPC: u32 = 1 << 19;
const MARKED: u32 = 1 << 20;
const ENABLED: u32 = 1 << 21;
/// Kinds that are conditions of the server. `OverQuota` (the client should slow down) and `Skipped`
/// are not substituted.
const REFUSALS: u32 = bit(Kind::Full) | bit(Kind::CircuitOpen) | bit(Kind::Deadline);

const fn bit(kind: Kind) -> u32 {
    1 << kind.index()
}

/// The switches in one word, and the counters.
#[derive(Debug)]
pub(crate) struct Switches {
    bits: AtomicU32,
    rejected: Counter,
    failed: Counter,
    errors: Counter,
    pub(crate) values: KnownValues,
}

/// The names of the switches.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Switch {
    Refusals,
    Kind(Kind),
    Failures,
    Overloads,
    Errors,
    Grpc,
    Marked,
    Enabled,
}

impl Switch {
    const fn bits(self) -> u32 {
        match self {
            Self::Refusals => REFUSALS,
            Self::Kind(kind) => bit(kind),
            Self::Failures => FAILURES,
            Self::Overloads => OVERLOADS,
            Self::Errors => ERRORS,
            Self::Grpc => GRPC,
            Self::Marked => MARKED,
            Self::Enabled => ENABLED,
        }
    }
}

impl Switches {
    pub(crate) fn new() -> Self {
        Self {
            bits: AtomicU32::new(REFUSALS | FAILURES | ERRORS | MARKED | ENABLED),
            rejected: Counter::new(),
            failed: Counter::new(),
            errors: Counter::new(),
            values: KnownValues::default(),
        }
    }

    pub(crate) fn set(&self, switch: Switch, on: bool) {
        if on {
            self.bits.fetch_or(switch.bits(), AcqRel);
        } else {
            // All kinds of rejection go off together, also those that were switched on one by one.
            let bits = match switch {
                Switch::Refusals => FAILURES - 1,
                other => other.bits(),
            };
            self.bits.fetch_and(!bits, AcqRel);
        }
    }

    /// Whether a switch is on; for `Refusals`, whether any kind is.
    #[inline]
    pub(crate) fn is(&self, switch: Switch) -> bool {
        let bits = match switch {
            Switch::Refusals => FAILURES - 1,
            other => other.bits(),
        };
        self.bits.load(Relaxed) & bits != 0
    }

    pub(crate) fn steps_in_for(&self, class: Class) -> bool {
        match class {
            Class::Failure => self.is(Switch::Failures),
            Class::Overloaded => self.is(Switch::Overloads),
            _ => false,
        }
    }

    pub(crate) fn count(&self, degraded: &Degraded) {
        match degraded {
            Degraded::Rejected(_) => self.rejected.add(),
            Degraded::Failed(_) => self.failed.add(),
            Degraded::Error => self.errors.add(),
        }
    }

    pub(crate) fn counts(&self) -> [u64; 3] {
        [self.rejected.get(), self.failed.get(), self.errors.get()]
    }
}
