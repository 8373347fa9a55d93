//! Adaptive sampling of a stream.
//!
//! | file | what |
//! |---|---|
//! | `sampler` | the draw, its rates and counters |
//! | `items` | a stream with a share of the items of another |

mod items;
mod sampler;

pub use self::{
    items::{SampledItems, Weighted},
    sampler::{Sampler, SamplerHandle},
};
