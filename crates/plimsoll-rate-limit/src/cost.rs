//! How much of a quota a request takes.

/// Weighs requests. Closures `Fn(&Req) -> u32` do.
///
/// A request that weighs more than a quota holds at once is refused for ever, and no moment to come back is named. One
/// that weighs nothing is let in and takes nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not weigh a `{Req}`",
    note = "use a closure `|req: &{Req}| -> u32`"
)]
pub trait Weigh<Req>: Send + Sync {
    /// What this request takes.
    fn weigh(&self, req: &Req) -> u32;
}

/// Each request takes one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct One;

impl<Req> Weigh<Req> for One {
    #[inline]
    fn weigh(&self, _: &Req) -> u32 {
        1
    }
}

impl<Req, F: Fn(&Req) -> u32 + Send + Sync> Weigh<Req> for F {
    #[inline]
    fn weigh(&self, req: &Req) -> u32 {
        self(req)
    }
}
