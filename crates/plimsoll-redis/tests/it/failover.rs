//! Two servers behind one address. One takes over from the other.

use std::sync::{
    Arc,
    atomic::{AtomicU16, AtomicUsize, Ordering::SeqCst},
};

use plimsoll_redis::{Disconnected, RedisHandle, RedisServer};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    ask, ms,
    replicas::{Fleet, Leased, REPLICAS, shared_again},
    server::Server,
    until,
};

/// One address, and a server behind it that can be replaced. Existing connections stay with the old
/// server.
struct Address {
    url: String,
    port: Arc<AtomicU16>,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Address {
    async fn of(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("redis://{}", listener.local_addr().expect("bound"));
        let port = Arc::new(AtomicU16::new(server.port()));
        let accepted = Arc::new(AtomicUsize::new(0));
        let (to, count) = (Arc::clone(&port), Arc::clone(&accepted));
        let task = tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                count.fetch_add(1, SeqCst);
                let port = to.load(SeqCst);
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
                    copy_bidirectional(&mut caller, &mut server).await
                });
            }
        });
        Self {
            url,
            port,
            accepted,
            task,
        }
    }

    fn move_to(&self, server: &Server) {
        self.port.store(server.port(), SeqCst);
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The replica becomes the master, and the master its replica. Neither closes a connection.
fn swap(master: &Server, replica: &Server) {
    assert_eq!(replica.command("REPLICAOF NO ONE"), "+OK");
    let follow = format!("REPLICAOF 127.0.0.1 {}", replica.port());
    assert_eq!(master.command(&follow), "+OK");
    master.wait_for("INFO replication", "role:slave");
}

/// As in the docs: the longest back-off, and the delays of the test machine.
const SHARED_AGAIN: std::time::Duration = ms(3000);

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_becomes_a_replica_is_replaced_by_the_new_one() {
    const COUNT: u32 = 50;
    let old = Server::start();
    let new = Server::replica_of(&old);
    let address = Address::of(&old).await;
    let server = RedisServer::new(&address.url).expect("a URL");
    let mut fleet = Fleet::connect(&server, COUNT).await;
    fleet.wait_exact(1).await;
    let load = fleet.load();

    address.move_to(&new);
    swap(&old, &new);
    let start = Instant::now();
    fleet.wait_exact(4).await;
    fleet.wait_connected().await;
    let took = start.elapsed();
    shared_again("one address", took, SHARED_AGAIN);
    load.stop().await;
    assert_eq!(fleet.limits[0].handle().disconnected(), None);
    assert!(fleet.sum(RedisHandle::lost) >= 2 * u64::from(REPLICAS));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_a_replica_gets_no_connection_and_few_attempts() {
    let old = Server::start();
    let new = Server::replica_of(&old);
    let address = Address::of(&old).await;
    let server = RedisServer::new(&address.url).expect("a URL");
    let mut fleet = Fleet::connect(&server, 50).await;
    // The address still leads to the old master.
    swap(&old, &new);
    let limit = Arc::clone(&fleet.limits[0]);
    let handle = limit.handle();
    let key = AtomicUsize::new(0);
    until("both connections are down", || async {
        // Each of the two connections has some of the keys.
        _ = ask(&*limit, &mut (key.fetch_add(1, SeqCst) as u64)).await;
        handle.connected() == 0
    })
    .await;
    assert_eq!(handle.disconnected(), Some(Disconnected::NotWritable));
    let (accepted, start) = (address.accepted.load(SeqCst), Instant::now());
    while start.elapsed() < ms(1500) {
        assert_eq!(handle.connected(), 0, "a replica does not count");
        assert_eq!(handle.disconnected(), Some(Disconnected::NotWritable));
        sleep(ms(1)).await;
    }
    // Back-off: 20, 40, ... 500 ms.
    let accepted = address.accepted.load(SeqCst) - accepted;
    assert!((2..=18).contains(&accepted), "{accepted} connections");

    address.move_to(&new);
    let took = fleet.wait_exact(4).await;
    assert!(took < SHARED_AGAIN, "{took:?}");
    until("it is connected", || async {
        handle.disconnected().is_none()
    })
    .await;
}

/// A planned failover loses nothing: not even the size of the leases is admitted on top.
#[tokio::test(flavor = "multi_thread")]
async fn leases_admit_no_more_than_the_quota_through_a_planned_failover() {
    const COUNT: u32 = 2000;
    let old = Server::start();
    let new = Server::replica_of(&old);
    let address = Address::of(&old).await;
    let server = RedisServer::new(&address.url).expect("a URL");
    let leased = Leased::connect(&server, 4, COUNT).await;
    let admitted = leased.spend_all(|| {
        let hand_over = format!("FAILOVER TO 127.0.0.1 {}", new.port());
        assert_eq!(old.command(&hand_over), "+OK");
        old.wait_for("INFO replication", "role:slave");
        address.move_to(&new);
    });
    for admitted in admitted.await {
        assert!(admitted <= COUNT.into(), "{admitted}");
        assert!(admitted >= u64::from(COUNT) - Leased::MOST, "{admitted}");
    }
}
