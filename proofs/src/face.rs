//! One slow client of a streaming protocol, beside a healthy one.

use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    chromium,
    client::{PACES, Pace},
    host::{self, Host},
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

/// In this time a stalled client is disconnected: its buffers fill, and then the deadline passes.
const DECISION: Duration = Duration::from_secs(8);

/// What a stalled client may take in all, in bytes: kernel and proxy on two ways. The reference is
/// 0.35 MiB; with the defaults of nginx it is 1 GiB, and of `HAProxy` 13 MiB.
pub const BOUND: u64 = 1 << 20;

/// A server of a streaming protocol, and its clients.
pub trait Face: Sized {
    /// What is spoken on the way.
    const WIRE: Wire;
    /// The ignored test that runs [`client_process`].
    const CLIENT: &'static str;

    /// Starts a server at this address, which sends [`SIZE`] bytes [`EVERY`] millisecond to each
    /// client. A message has the time since `start`.
    fn serve(ip: IpAddr, start: Instant) -> impl Future<Output = (Self, SocketAddr)>;

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

/// What a busy page may take: the same, and what the browser and its kernel take in its place, which
/// is no memory of the server.
const PAGE_BOUND: u64 = 8 << 20;

/// A slow client of each pace, one after the other, each beside a healthy one: what it takes is
/// bounded, its neighbour is not delayed, and if it has stalled, it is disconnected in time.
///
/// # Panics
///
/// One of this does not hold.
pub async fn slow_clients<F: Face>(kind: Kind) {
    for pace in PACES {
        let ends = !matches!(pace, Pace::Slow { .. });
        let slow = async |face: &F, addr| {
            let before = face.bytes_out();
            // Dropping the set ends the client.
            let mut slow = JoinSet::new();
            slow.spawn(F::slow(addr, pace));
            until("the slow client is connected", || face.open() == 1).await;
            (slow, before)
        };
        let what = format!("{kind:?}, {pace:?}");
        let ip = Ipv4Addr::LOCALHOST.into();
        beside::<F, _>(&what, kind, ip, BOUND, ends, slow).await;
    }
}

/// The same for a page in Chromium, `/page` of the server, whose script is busy from the first
/// message on.
///
/// # Panics
///
/// One of this does not hold.
pub async fn busy_page<F: Face>(kind: Kind) {
    let slow = async |face: &F, addr| {
        let before = face.bytes_out();
        let profile = tempfile::tempdir().unwrap();
        let browser = chromium::launch(profile.path(), &format!("http://{addr}/page"));
        until("the page follows", || face.open() == 1).await;
        ((browser, profile), before)
    };
    let what = format!("{kind:?}, busy page");
    let ip = Ipv4Addr::LOCALHOST.into();
    beside::<F, _>(&what, kind, ip, PAGE_BOUND, true, slow).await;
}

/// The same for a client whose host vanishes while it reads: no packet of it ever comes again.
///
/// It needs a network namespace, so only root can run it. A process that is stopped or killed is not
/// the same: its kernel still answers.
///
/// # Panics
///
/// One of this does not hold.
pub async fn half_open_client<F: Face>(kind: Kind) {
    let host = match Host::new() {
        Ok(host) => host,
        Err(error) => return println!("not run: {error}"),
    };
    let slow = async |face: &F, addr| {
        let (host, before) = (&host, face.bytes_out());
        let client = host.client(F::CLIENT, addr).unwrap();
        until("the client reads", || face.bytes_out() > before + BOUND).await;
        host.vanish().unwrap();
        (client, face.bytes_out())
    };
    let what = format!("{kind:?}, half-open");
    beside::<F, _>(&what, kind, host.near, BOUND, true, slow).await;
}

/// The client on the host, in a process of its own: it reads as fast as it can.
///
/// # Panics
///
/// It does not connect.
pub async fn client_process<F: Face>() {
    if let Some(addr) = host::server() {
        let (bytes, every) = (SIZE, Duration::ZERO);
        F::slow(addr, Pace::Slow { bytes, every }).await;
    }
}

/// What a slow client takes, and what it does to its neighbour.
///
/// `slow` connects it, and returns once it is slow: with what keeps it, and the bytes that are not
/// counted.
async fn beside<F: Face, S>(
    what: &str,
    kind: Kind,
    ip: IpAddr,
    bound: u64,
    ends: bool,
    slow: impl AsyncFnOnce(&F, SocketAddr) -> (S, u64),
) {
    let start = Instant::now();
    let (face, server) = F::serve(ip, start).await;
    let proxy = Proxy::start(kind, F::WIRE, server).await.expect("a proxy");
    let alone = F::follow(proxy.addr, start, Duration::from_secs(1)).await;
    until("the first client is gone", || face.open() == 0).await;

    let (slow, before) = slow(&face, proxy.addr).await;
    let since = Instant::now();
    let beside = F::follow(proxy.addr, start, Duration::from_secs(4)).await;
    let taken = (face.bytes_out() - before).saturating_sub(beside.bytes);
    let (alone, beside) = (alone.p99(), beside.p99());
    println!("{what}: {taken} bytes; p99 alone {alone:?}, beside {beside:?}");
    assert!(taken < bound, "{what}: {taken} bytes");
    // A slow machine delays both. A neighbour that waits for the slow client is seconds late.
    let limit = alone * 4 + Duration::from_millis(100);
    assert!(beside < limit, "{what}: {beside:?} of {limit:?}");
    face.check();
    if ends {
        until("the stalled client is gone", || face.open() == 0).await;
        let after = since.elapsed();
        assert!(after < DECISION, "{what}: gone after {after:?}");
    }
    drop(slow);
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
