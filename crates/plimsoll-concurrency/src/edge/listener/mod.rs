//! A listener that bounds the number of open connections.

mod error;
mod figures;
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
pub use self::{error::InvalidListener, guarded::Guarded, handle::ListenerHandle};

/// Bounds the open connections, in total and per address, for [`axum::serve()`].
///
/// While the total is reached it does not accept: further connections wait in the kernel's backlog,
/// and are accepted in turn as others close. Once the backlog is full, new connections are delayed
/// or fail at the client. A connection from an address that has reached its limit is accepted and
/// closed at once, so that it does not block others, and is counted.
///
/// This bounds memory and file descriptors; the limits behind it bound work. An idle connection
/// takes no slot of a [`ConcurrencyLimit`](crate::ConcurrencyLimit), and one HTTP/2 connection may
/// carry a hundred requests. Set the limit well above the number of requests that are served at a
/// time.
///
/// It wraps any [`Listener`]. Wrap the innermost one: the TCP listener rather than one that does
/// TLS. Servers that use hyper-util directly call [`Listener::accept`] and put the [`Guarded`] IO
/// into a `TokioIo`. The place of a connection is released when its IO is dropped, also in the task
/// of an upgraded socket.
///
/// A cancelled accept has taken no place. The inner listener handles errors: axum's own listeners
/// retry, at once when the connection failed, and after one second when the system failed, as when
/// file descriptors run out.
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
/// let handle = listener.handle(); // reads counters, and changes the limits
/// // axum supports `ConnectInfo` for a tapped listener, whatever it wraps.
/// let listener = listener.tap_io(|io| _ = io.get_ref().set_nodelay(true));
/// let service = app.into_make_service_with_connect_info::<SocketAddr>();
/// axum::serve(listener, service).await?;
/// # drop(handle);
/// # Ok(())
/// # }
/// ```
#[doc(alias("max connections"))]
#[derive(Debug)]
pub struct BoundedListener<L: Listener> {
    listener: L,
    /// Returns the address by which connections are counted, if they are.
    address: Option<fn(&L::Addr) -> IpAddr>,
    places: Arc<Places>,
}

impl<L: Listener> BoundedListener<L> {
    /// Bounds the open connections to `connections`.
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

    /// Returns a handle that reads and changes the limits at run time.
    pub fn handle(&self) -> ListenerHandle {
        ListenerHandle::new(Arc::clone(&self.places))
    }

    /// Returns the inner listener.
    pub fn get_ref(&self) -> &L {
        &self.listener
    }
}

impl<L: Listener<Addr = SocketAddr>> BoundedListener<L> {
    /// Bounds the open connections from one address.
    ///
    /// An address is one IPv4 address, or one /64 network of IPv6, which is what one client owns.
    /// Behind a proxy all connections are from the proxy's address.
    ///
    /// Memory: one map entry for each address with an open connection.
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
