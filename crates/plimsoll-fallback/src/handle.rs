//! Steering a fallback while it runs.

use std::{fmt, sync::Arc};

use plimsoll_core::Kind;

use crate::switches::{Switch, Switches};

/// Switches a [`Fallback`](crate::Fallback) on and off, changes what it steps in for, and reads its counters.
///
/// Clones are handles of the same fallback. Changes hold for requests that end from now on; one that began while the
/// fallback was off is left alone.
#[derive(Clone)]
pub struct FallbackHandle {
    switches: Arc<Switches>,
}

impl FallbackHandle {
    pub(crate) const fn new(switches: Arc<Switches>) -> Self {
        Self { switches }
    }

    /// Refusals that were answered with a substitute. Counters never go down.
    pub fn rejected(&self) -> u64 {
        self.switches.counts()[0]
    }

    /// Failures that were replaced.
    pub fn failed(&self) -> u64 {
        self.switches.counts()[1]
    }

    /// Errors that were replaced.
    pub fn errors(&self) -> u64 {
        self.switches.counts()[2]
    }

    /// Steps in for refusals of this kind, or lets them be.
    pub fn set_on_kind(&self, kind: Kind, on: bool) {
        self.switches.set(Switch::Kind(kind), on);
    }

    /// Whether it steps in for refusals of this kind.
    pub fn on_kind(&self, kind: Kind) -> bool {
        self.switches.is(Switch::Kind(kind))
    }
}

macro_rules! switches {
    ($($(#[$doc:meta])* $get:ident / $set:ident: $switch:ident;)*) => {
        impl FallbackHandle {$(
            $(#[$doc])*
            pub fn $get(&self) -> bool {
                self.switches.is(Switch::$switch)
            }

            #[doc = concat!("Changes [`", stringify!($get), "`](Self::", stringify!($get), ").")]
            pub fn $set(&self, on: bool) {
                self.switches.set(Switch::$switch, on);
            }
        )*}
    };
}

switches! {
    /// Whether it steps in at all. Off, everything is as with [`Http`](plimsoll_core::Http) alone.
    is_enabled / enable: Enabled;
    /// Whether it steps in for refusals of any kind. Setting it sets the kinds as
    /// [`Fallback::on_rejection`](crate::Fallback::on_rejection) does.
    on_rejection / set_on_rejection: Refusals;
    /// Whether it steps in for failures.
    on_failure / set_on_failure: Failures;
    /// Whether it steps in for overloaded answers.
    on_overload / set_on_overload: Overloads;
    /// Whether it steps in for errors.
    on_error / set_on_error: Errors;
    /// Whether it steps in for gRPC requests.
    on_grpc / set_on_grpc: Grpc;
    /// Whether substitutes are marked as degraded.
    mark / set_mark: Marked;
}

impl fmt::Debug for FallbackHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackHandle")
            .field("switches", &self.switches)
            .finish()
    }
}
