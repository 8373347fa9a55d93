//! A catalogue of stacks; the table is at the head of the library.

mod axum_routers;
mod clients;
mod not_clone;
mod optional;
mod readiness;
mod tonic_stacks;
mod tower_http;
mod tower_layers;
