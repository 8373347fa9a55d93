//! Generates the client and server of `proto/ticker.proto`, without `protoc`: the messages are in
//! `src/messages.rs`.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let method = |name: &str, route: &str, input: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type(format!("crate::{input}"))
            .output_type("crate::Update")
            .codec_path("tonic_prost::ProstCodec")
            .server_streaming()
    };
    let ticker = Service::builder()
        .name("Ticker")
        .package("ticker")
        .method(method("watch", "Watch", "WatchRequest").build())
        .method(method("pull", "Pull", "Want").client_streaming().build())
        .build();
    Builder::new().compile(&[ticker]);
}
