//! The cost of a request: how much of a quota it takes.

/// Computes the cost of a request. Implemented by closures `Fn(&Req) -> u32`.
///
/// A request that costs more than a quota can hold is always rejected, without a `Retry-After`. A
/// request that costs 0 is admitted and takes nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not weigh a `{Req}`",
    note = "use a closure `|req: &{Req}| -> u32`"
)]
pub trait RequestCost<Req>: Send + Sync {
    /// Returns the number of tokens that this request takes.
    fn cost(&self, req: &Req) -> u32;
}

/// Every request costs one token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct One;

impl<Req> RequestCost<Req> for One {
    #[inline]
    fn cost(&self, _: &Req) -> u32 {
        1
    }
}

impl<Req, F: Fn(&Req) -> u32 + Send + Sync> RequestCost<Req> for F {
    #[inline]
    fn cost(&self, req: &Req) -> u32 {
        self(req)
    }
}
