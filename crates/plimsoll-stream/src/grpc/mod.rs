//! gRPC streams that survive slow clients, for [tonic].

mod windows;
mod windows_builder;

pub use self::{
    windows::Windows,
    windows_builder::{InvalidWindows, WindowsBuilder},
};
