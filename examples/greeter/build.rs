//! Generates the client and server of the greeter, without `protoc`: the messages are in
//! `src/lib.rs`.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let method = |name: &str, route: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type("crate::HelloRequest")
            .output_type("crate::HelloReply")
            .codec_path("tonic_prost::ProstCodec")
    };
    let greeter = Service::builder()
        .name("Greeter")
        .package("greeter")
        .method(method("say_hello", "SayHello").build())
        .method(method("count_to", "CountTo").server_streaming().build())
        .build();
    Builder::new().compile(&[greeter]);
}
