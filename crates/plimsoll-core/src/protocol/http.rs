//! HTTP, and gRPC for requests with its content type.

mod body;
mod call;
mod carried;
mod exchange;
mod rare;
mod settings;
mod speaks;
mod tracked;

pub use self::{
    body::GateBody, call::HttpCall, carried::Carried, settings::Http, speaks::SpeaksHttp,
};
