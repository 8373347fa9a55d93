//! A live board of gates, served by the application itself: traffic, limits, rejections, latency.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod actions;
mod assets;
mod board;
mod counts;
mod dashboard;
mod decode;
mod delta;
mod error;
mod event;
mod figures;
mod fleet;
mod guard;
mod health;
mod histogram;
mod number;
mod point;
mod reading;
mod ring;
mod routes;
mod sampler;
mod scope;
mod shared;
mod sparse;
mod update;
mod viewers;

pub use self::{
    actions::{Control, Input},
    dashboard::{Dashboard, dashboard},
    error::InvalidDashboard,
};
