//! How much of a quota a request takes.

/// Reads what a request costs, in units of the quota. Closures `Fn(&Req) -> u32` do.
///
/// A request that costs nothing is let in without asking. One that costs more than the smallest quota can hold is refused
/// for ever, without a hint when to come back.
#[diagnostic::on_unimplemented(
    message = "`{Self}` reads no cost from a `{Req}`",
    note = "use a closure `|req: &{Req}| -> u32`"
)]
pub trait Cost<Req>: Send + Sync {
    /// The cost of this request.
    fn cost(&self, req: &Req) -> u32;
}

/// Every request costs one.
#[derive(Debug, Clone, Copy, Default)]
pub struct One;

impl<Req> Cost<Req> for One {
    #[inline]
    fn cost(&self, _: &Req) -> u32 {
        1
    }
}

impl<Req, F: Fn(&Req) -> u32 + Send + Sync> Cost<Req> for F {
    #[inline]
    fn cost(&self, req: &Req) -> u32 {
        self(req)
    }
}
