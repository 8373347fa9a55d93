//! Macros by which combinators forward calls to the policies inside.

/// Forwards all calls about a permit: `finish`, `revoke`, `announce`, `body_waits`, `answered` and
/// `asked_to_wait`.
///
/// `forward_permit!(self, permit: scrutinee, pattern => policy, inner)` calls `policy` with `inner`
/// if `scrutinee` matches `pattern`. The permit is taken by value, by reference and by mutable
/// reference, so the pattern has no `&` and no `ref`.
///
/// Parts, for combinators that do more in the others: `ends` (`finish`, `revoke`), and `reports`
/// (`announce`, `body_waits`, `answered`, `asked_to_wait`).
macro_rules! forward_permit {
    (ends $self:ident, $permit:ident: $of:expr, $pattern:pat => $policy:expr, $inner:ident) => {
        #[inline]
        fn finish(&$self, $permit: Self::Permit, outcome: &$crate::Outcome) {
            match $of {
                $pattern => $policy.finish($inner, outcome),
                #[allow(unreachable_patterns)] // Some combinators always hold a permit.
                _ => {}
            }
        }
        #[inline]
        fn revoke(
            &$self,
            $permit: Self::Permit,
            admitted: $crate::Instant,
            now: $crate::Instant,
        ) {
            match $of {
                $pattern => $policy.revoke($inner, admitted, now),
                #[allow(unreachable_patterns)] // As above.
                _ => {}
            }
        }
    };
    (reports $self:ident, $permit:ident: $of:expr, $pattern:pat => $policy:expr, $inner:ident) => {
        #[inline]
        fn announce(
            &$self,
            $permit: &Self::Permit,
            admitted: $crate::Instant,
            out: &mut $crate::Announcement<'_>,
        ) {
            match $of {
                $pattern => $policy.announce($inner, admitted, out),
                #[allow(unreachable_patterns)] // As above.
                _ => {}
            }
        }
        #[inline]
        fn body_waits(&$self, $permit: &mut Self::Permit, on: $crate::WaitsOn) {
            match $of {
                $pattern => $policy.body_waits($inner, on),
                #[allow(unreachable_patterns)] // As above.
                _ => {}
            }
        }
        #[inline]
        fn answered(&$self, $permit: &mut Self::Permit) {
            match $of {
                $pattern => $policy.answered($inner),
                #[allow(unreachable_patterns)] // As above.
                _ => {}
            }
        }
        fn asked_to_wait(
            &$self,
            $permit: &Self::Permit,
            wait: std::time::Duration,
            now: tokio::time::Instant,
        ) {
            match $of {
                $pattern => $policy.asked_to_wait($inner, wait, now),
                #[allow(unreachable_patterns)] // As above.
                _ => {}
            }
        }
    };
    ($($tokens:tt)*) => {
        forward_permit!(ends $($tokens)*);
        forward_permit!(reports $($tokens)*);
    };
}

pub(crate) use forward_permit;
