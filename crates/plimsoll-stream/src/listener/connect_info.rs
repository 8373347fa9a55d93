//! The figures of a connection for axum's handlers.

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::net::TcpStream;

use super::{connection::Connection, tcp::BackpressureListener};

impl<L: Listener<Io = TcpStream>> Connected<IncomingStream<'_, BackpressureListener<L>>>
    for Connection
{
    fn connect_info(stream: IncomingStream<'_, BackpressureListener<L>>) -> Self {
        stream.io().connection().clone()
    }
}
