//! One policy per key, in bounded memory.
//!
//! A set-associative table, as in a processor's cache: the hash of a key selects a set of eight
//! slots, and the key is in one of them or absent. Memory is bounded by construction, a look-up
//! reads one set, and an eviction examines only eight slots.

mod evictable;
mod figures;
mod handle;
mod policy;
mod set;
mod slot;
mod table;

pub use self::{
    evictable::{Evictable, InvalidKeyed},
    handle::KeyedHandle,
    policy::{Keyed, KeyedPermit, KeyedWait},
};
