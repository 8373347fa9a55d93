//! Published algorithms: AIMD, Vegas and Gradient2, as published and corrected.

mod aimd;
mod average;
mod common;
mod gradient2;
mod probing;
mod vegas;

pub use self::{
    aimd::{Aimd, AimdBuilder, InvalidAimd},
    gradient2::{Gradient2, Gradient2Builder, InvalidGradient2},
    vegas::{InvalidVegas, Vegas, VegasBuilder},
};
