//! A bounded accept: connections are a resource like any other.

mod guarded;
mod handle;
mod places;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::serve::Listener;

use self::places::Places;
pub use self::{guarded::Guarded, handle::ListenerHandle};

/// A listener is to be bounded by a number that bounds nothing, or by what it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidListener {
    /// No connection at all, or more than can be kept account of.
    #[error("connection limit is {0}, but must be 1 to 2^20")]
    Connections(usize),
    /// No connection at all, or more than can be kept account of.
    #[error("connection limit per address is {0}, but must be 1 to 2^20")]
    PerAddress(usize),
    /// Its connections are not counted by address from the start, and those that are open cannot be counted now.
    #[error(
        "the listener does not count by address: set a limit with `BoundedListener::per_address` first"
    )]
    NotCounted,
}

/// Lets so many connections be open at a time, in all and from one address: for [`axum::serve()`].
///
/// While as many are open as may be, it does not accept: further connections wait in the kernel's backlog, and once
/// that is full as well, those who call feel it. They are served in turn as others close. A connection from an address
/// that has its share is accepted and closed at once, so that it holds up nobody else, and is counted.
///
/// This bounds memory and file descriptors, where the limits behind it bound work: a connection that says nothing costs
/// no slot of a [`ConcurrencyLimit`](crate::ConcurrencyLimit), and one of HTTP/2 brings a hundred requests. Let it be well above
/// what is served at a time.
///
/// It wraps any [`Listener`], as far inside as it can: around the TCP listener, rather than around one that
/// does TLS. Whoever serves with hyper-util calls [`Listener::accept`] and puts the [`Guarded`] IO into a `TokioIo`.
/// The place of a connection is free again when its IO is dropped, be that in an upgraded socket's task.
///
/// An accept that is dropped has taken nothing. Errors are left to the inner listener: axum's own try again, at once when
/// it was the connection that failed, and after a second when it was the system, as when file descriptors run out.
///
/// # Example
///
/// ```no_run
/// use std::net::SocketAddr;
/// use axum::{Router, serve::ListenerExt as _};
/// use plimsoll_concurrency::BoundedListener;
/// use tokio::net::TcpListener;
///
/// # async fn run(app: Router) -> Result<(), Box<dyn std::error::Error>> {
/// let listener = TcpListener::bind("0.0.0.0:3000").await?;
/// let listener = BoundedListener::new(listener, 10_000)?.per_address(100)?;
/// let handle = listener.handle(); // counts, and changes the limits
/// // axum knows the `ConnectInfo` of a tapped listener, whatever it is that is tapped.
/// let listener = listener.tap_io(|io| _ = io.get_ref().set_nodelay(true));
/// let service = app.into_make_service_with_connect_info::<SocketAddr>();
/// axum::serve(listener, service).await?;
/// # drop(handle);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BoundedListener<L: Listener> {
    listener: L,
    /// Tells the address that connections are counted by, where they are.
    address: Option<fn(&L::Addr) -> IpAddr>,
    places: Arc<Places>,
}

impl<L: Listener> BoundedListener<L> {
    /// Lets `connections` be open at a time.
    ///
    /// # Errors
    ///
    /// When `connections` is 0 or more than 2^20.
    pub fn new(listener: L, connections: usize) -> Result<Self, InvalidListener> {
        Ok(Self {
            listener,
            address: None,
            places: Arc::new(Places::new(connections)?),
        })
    }

    /// Reads and changes the limits while connections come and go.
    pub fn handle(&self) -> ListenerHandle {
        ListenerHandle::new(Arc::clone(&self.places))
    }

    /// The listener within.
    pub fn get_ref(&self) -> &L {
        &self.listener
    }
}

impl<L: Listener<Addr = SocketAddr>> BoundedListener<L> {
    /// Lets `connections` of these be from one address: one IPv4 address, or one /64 network of IPv6, since that is what
    /// one client owns. Behind a proxy all connections are from the proxy's address.
    ///
    /// The account holds an entry for each address that has a connection open.
    ///
    /// # Errors
    ///
    /// When `connections` is 0 or more than 2^20.
    pub fn per_address(mut self, connections: usize) -> Result<Self, InvalidListener> {
        self.places.count_addresses(connections)?;
        self.address = Some(SocketAddr::ip);
        Ok(self)
    }
}

impl<L: Listener> Listener for BoundedListener<L> {
    type Io = Guarded<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, L::Addr) {
        loop {
            self.places.room().await;
            let (io, addr) = self.listener.accept().await;
            let from = self.address.map(|address| address(&addr));
            if let Some(place) = Places::take(&self.places, from) {
                return (Guarded::new(io, place), addr);
            }
        }
    }

    fn local_addr(&self) -> io::Result<L::Addr> {
        self.listener.local_addr()
    }
}
