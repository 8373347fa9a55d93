//! Gates composed with the layers of tower, tower-http, axum, tonic and reqwest.
//!
//! The tests of this crate are a catalogue: each test builds a stack that users write, sends
//! requests through it, and asserts both answers, admitted and rejected. The library holds the
//! parts that the stacks share.
//!
//! | file in `tests/it` | stacks |
//! |---|---|
//! | `tower_http` | each layer of tower-http, outside and inside of a gate, under hyper and under axum |
//! | `tower_layers` | tower's own layers around and behind a gate with the protocol [`Plain`](plimsoll::Plain) |
//! | `not_clone` | tower's services that are not `Clone`, and how to put them behind a gate |
//! | `readiness` | what `Pending` means, and tower's `LoadShed` |
//! | `axum_routers` | `with_state`, `nest`, `merge`, `route_layer`, `fallback_service`, several gates on one route |
//! | `optional` | layers and policies that a setting turns on |
//! | `tonic_stacks` | interceptors on both sides, grpc-web, a guarded channel |
//! | `clients` | hyper's and reqwest's clients behind a gate |

mod echo;
mod gates;
mod wire;

pub use self::{
    echo::{Echo, Shout},
    gates::{gate, one, plain_gate},
    wire::{Answer, ask, check, client, post, serve},
};
