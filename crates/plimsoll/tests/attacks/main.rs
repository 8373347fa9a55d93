//! Attacks over real sockets. `docs/security.md` has the figures; each is asserted here.
//!
//! Stopped readers, windows of 0 and half-sent uploads are in `plimsoll-concurrency`
//! (`stalls/sockets.rs`), cache poisoning is in `plimsoll-core` (`sockets.rs`).

mod connections;
mod forged;
mod hang_ups;
mod header_bombs;
mod http2;
mod resets;
mod support;
