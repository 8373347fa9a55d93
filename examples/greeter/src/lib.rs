//! A greeter with one unary and one server-streaming call.

mod stack;

use std::{pin::Pin, time::Duration};

use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

pub use self::stack::{Handles, Limits, stack};

/// The generated client and server.
#[allow(missing_docs, unused_qualifications, unreachable_pub, clippy::pedantic)] // generated code
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/greeter.Greeter.rs"));
}

/// The name to greet, or how far to count.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HelloRequest {
    /// A name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// How many messages the stream has.
    #[prost(uint32, tag = "2")]
    pub count: u32,
}

/// A greeting.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HelloReply {
    /// The text.
    #[prost(string, tag = "1")]
    pub message: String,
}

/// Greets.
#[derive(Debug, Default)]
pub struct Greeter;

#[tonic::async_trait]
impl proto::greeter_server::Greeter for Greeter {
    async fn say_hello(&self, req: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let name = req.into_inner().name;
        if name.is_empty() {
            return Err(Status::internal("the name is empty"));
        }
        Ok(Response::new(HelloReply {
            message: format!("Hello {name}!"),
        }))
    }

    type CountToStream = Pin<Box<dyn Stream<Item = Result<HelloReply, Status>> + Send>>;

    async fn count_to(
        &self,
        req: Request<HelloRequest>,
    ) -> Result<Response<Self::CountToStream>, Status> {
        let numbers = tokio_stream::iter(1..=req.into_inner().count)
            .throttle(Duration::from_millis(5))
            .map(|n| {
                Ok(HelloReply {
                    message: n.to_string(),
                })
            });
        Ok(Response::new(Box::pin(numbers)))
    }
}
