//! Which sends and receives need no decision: see [`short_ops`](super::short_ops).

/// Which sends and receives are short.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Short {
    /// A send is short while fewer items than this are queued.
    pub(super) items: u32,
    /// The low bits of the number of an item that gets a time stamp: its send is not short.
    pub(super) stamped: u16,
    /// The number of receives that are short.
    pub(super) receives: u16,
}
