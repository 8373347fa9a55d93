//! Run-time switches and counters of a fallback.

use std::{fmt, sync::Arc};

use plimsoll_core::Kind;

use crate::switches::{Switch, Switches};

/// Switches a [`Fallback`](crate::Fallback) on and off, changes what it substitutes, and reads its
/// counters.
///
/// Clones are handles of the same fallback. Changes apply to requests that end from now on. A
/// request that began while the fallback was off gets no substitute.
#[derive(Clone)]
pub struct FallbackHandle {
    switches: Arc<Switches>,
}

impl FallbackHandle {
    pub(crate) const fn new(switches: Arc<Switches>) -> Self {
        Self { switches }
    }

    /// Rejections that were substituted. Counters never go down.
    pub fn rejected(&self) -> u64 {
        self.switches.counts()[0]
    }

    /// Failures that were substituted.
    pub fn failed(&self) -> u64 {
        self.switches.counts()[1]
    }

    /// Errors that were substituted.
    pub fn errors(&self) -> u64 {
        self.switches.counts()[2]
    }

    /// Sets whether rejections of this kind are substituted.
    pub fn set_on_kind(&self, kind: Kind, on: bool) {
        self.switches.set(Switch::Kind(kind), on);
    }

    /// Whether rejections of this kind are substituted.
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
    /// Whether the fallback is on. While it is off, all answers are those of
    /// [`Http`](plimsoll_core::Http).
    is_enabled / enable: Enabled;
    /// Whether rejections of any kind are substituted. Setting it sets the kinds as
    /// [`Fallback::on_rejection`](crate::Fallback::on_rejection) does.
    on_rejection / set_on_rejection: Refusals;
    /// Whether failures are substituted.
    on_failure / set_on_failure: Failures;
    /// Whether overloaded answers are substituted.
    on_overload / set_on_overload: Overloads;
    /// Whether errors are substituted.
    on_error / set_on_error: Errors;
    /// Whether gRPC requests get substitutes.
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
