//! A snapshot as families of samples: what every exporter writes.

mod all;
mod family;
mod flat;
mod gates;
mod policies;
mod table;

pub(crate) use self::family::float;
pub use self::{
    family::{Family, FamilyKind, Labels, Sample, Traced, Value},
    flat::{Flat, FlatFamily},
    table::{BuiltIn, FAMILIES},
};
