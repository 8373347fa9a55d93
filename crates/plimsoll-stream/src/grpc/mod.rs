//! gRPC streams that survive slow clients, for [tonic].
//!
//! | item | what |
//! |---|---|
//! | [`Responses`] | a response stream over a [`Hub`](crate::Hub) or a [`BoundedQueue`](crate::BoundedQueue) |
//! | [`gaps`] | what the client sees when messages for it were lost |
//! | [`in_flight`] | a bidirectional stream with a bound on the messages that are handled at once |
//! | [`credited`] | a response stream that sends as many messages as the client requests |
//! | [`Windows`] | HTTP/2 windows with which streams that are not read do not stall the others |
//! | [`StreamServer`] | a server that ends streams whose client does not read |
//!
//! ```
//! use plimsoll_stream::{Hub, LagPolicy, grpc::{Responses, gaps}};
//! use tonic::{Request, Response, Status};
//!
//! #[derive(Debug, Clone)]
//! struct Tick { price: u32 }
//!
//! struct Ticker { hub: Hub<Tick> }
//!
//! impl Ticker {
//!     /// A method of a service; its trait has `type WatchStream`, which is `Responses<Tick>`.
//!     async fn watch(&self, _: Request<()>) -> Result<Response<Responses<Tick>>, Status> {
//!         let subscriber = self.hub.subscriber().policy(LagPolicy::Disconnect).max_lag(500);
//!         let ticks = Responses::from_hub(subscriber.subscribe()?, gaps::data_loss);
//!         Ok(Response::new(ticks))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use futures_util::StreamExt;
//! let ticker = Ticker { hub: Hub::new(1_000)? };
//! let mut ticks = ticker.watch(Request::new(())).await?.into_inner();
//! ticker.hub.publish(Tick { price: 17 })?;
//! assert_eq!(ticks.next().await.unwrap()?.price, 17);
//! # Ok(()) }
//! ```
//!
//! # A client that reads nothing
//!
//! The server polls a response stream while the client's window has room. Without it:
//!
//! | what | holds at most |
//! |---|---|
//! | the client | the window of its stream: 2 MiB for tonic's client, less with [`Windows`] |
//! | the server, of each stream | two chunks of tonic's encoder, each 32 KiB and one message |
//! | the server, without its socket | what the window allows and the socket does not take, up to 400 KiB |
//! | a queue | its bounds: with [`QueuePolicy::Block`](crate::QueuePolicy::Block) the producer waits |
//! | a hub | nothing for this client: its lag grows, up to its bounds |
//!
//! The window is the client's own setting, so a server that must not depend on it uses
//! [`credited`]. A queue of another kind in front of the stream, such as a channel of tokio, adds
//! its capacity to the table.
//!
//! tonic's server cannot end a stream whose client reads nothing: the status waits behind the
//! messages. [`StreamServer`] resets it after a write deadline.

mod credited;
mod from_hub;
mod from_queue;
pub mod gaps;
mod in_flight;
mod responses;
mod server;
mod stop;
mod windows;
mod windows_builder;

pub use self::{
    credited::credited,
    from_queue::ResponseSender,
    in_flight::{InFlight, InvalidInFlight, in_flight},
    responses::Responses,
    server::{InvalidStreamServer, StreamServer, StreamServerBuilder, StreamServerHandle},
    windows::Windows,
    windows_builder::{InvalidWindows, WindowsBuilder},
};
