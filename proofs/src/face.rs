//! One slow client of a streaming protocol, beside a healthy one.

use std::{future::Future, net::SocketAddr, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use crate::{
    client::{PACES, Pace},
    proxy::{Kind, Proxy, Wire},
};

/// Longer than anything takes that works, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Each client is sent one message in this time.
pub const EVERY: Duration = Duration::from_millis(1);

/// Bytes of a message. At 2 MB/s each slow client is behind at once.
pub const SIZE: usize = 2_000;

/// After this time a blocked write ends a connection.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(2);

/// What a stalled client may take in all, in bytes: kernel and proxy on two ways. The reference is
/// 0.35 MiB; with the defaults of nginx it is 1 GiB, and of `HAProxy` 13 MiB.
pub const BOUND: u64 = 1 << 20;

/// A server of a streaming protocol, and its clients.
pub trait Face: Sized {
    /// What is spoken on the way.
    const WIRE: Wire;
    /// Whether the server ends the connection of a client that reads nothing.
    const ENDS_STALLED: bool;

    /// Starts a server, which sends [`SIZE`] bytes [`EVERY`] millisecond to each client. A message
    /// has the time since `start`.
    fn serve(start: Instant) -> impl Future<Output = (Self, SocketAddr)>;

    /// Clients that are connected.
    fn open(&self) -> usize;

    /// Bytes that were taken for all clients.
    fn bytes_out(&self) -> u64;

    /// What else must hold after a slow client.
    fn check(&self) {}

    /// Reads messages for a while. Their numbers must be without a gap.
    fn follow(addr: SocketAddr, start: Instant, time: Duration) -> impl Future<Output = Followed>;

    /// Connects, and reads at this pace until the connection is closed.
    fn slow(addr: SocketAddr, pace: Pace) -> impl Future<Output = ()> + Send + 'static;
}

/// What a client has received that reads as fast as it can.
#[derive(Debug, Default)]
pub struct Followed {
    latencies: Vec<Duration>,
    /// Bytes of all messages.
    pub bytes: u64,
}

impl Followed {
    /// Adds a message that was sent this many microseconds after `start`.
    pub fn add(&mut self, start: Instant, micros: u64) {
        let sent = Duration::from_micros(micros);
        self.latencies.push(start.elapsed().saturating_sub(sent));
    }

    /// The latency that 99 % of the messages do not exceed.
    fn p99(&self) -> Duration {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        let index = latencies.len() * 99 / 100;
        latencies
            .get(index)
            .copied()
            .expect("messages were received")
    }
}

/// A slow client of each pace, one after the other, each beside a healthy one: what it takes is
/// bounded, its neighbour is not delayed, and it is disconnected in time.
///
/// # Panics
///
/// One of this does not hold.
pub async fn slow_clients<F: Face>(kind: Kind) {
    for pace in PACES {
        let start = Instant::now();
        let (face, server) = F::serve(start).await;
        let proxy = Proxy::start(kind, F::WIRE, server).await.expect("a proxy");
        let alone = F::follow(proxy.addr, start, Duration::from_secs(1)).await;
        until("the first client is gone", || face.open() == 0).await;
        let before = face.bytes_out();

        let slow = tokio::spawn(F::slow(proxy.addr, pace));
        until("the slow client is connected", || face.open() == 1).await;
        let beside = F::follow(proxy.addr, start, Duration::from_secs(4)).await;
        let taken = (face.bytes_out() - before).saturating_sub(beside.bytes);
        println!(
            "{kind:?}, {pace:?}: {taken} bytes; p99 alone {:?}, beside {:?}",
            alone.p99(),
            beside.p99()
        );
        assert!(taken < BOUND, "{kind:?}, {pace:?}: {taken} bytes");
        // A slow machine delays both. A neighbour that waits for the slow client is seconds late.
        let limit = alone.p99() * 4 + Duration::from_millis(100);
        assert!(beside.p99() < limit, "{:?} of {limit:?}", beside.p99());
        face.check();
        if F::ENDS_STALLED && !matches!(pace, Pace::Slow { .. }) {
            until("the stalled client is gone", || face.open() == 0).await;
        }
        slow.abort();
    }
}

/// Waits for a condition in real time, because of the sockets.
///
/// # Panics
///
/// It does not hold within [`PATIENCE`].
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let held = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(PATIENCE, held).await.is_ok(), "not in time: {what}");
}
