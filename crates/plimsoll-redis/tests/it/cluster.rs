//! A cluster of three masters with one replica each.

use std::time::Duration;

use plimsoll_rate_limit::Quota;
use plimsoll_redis::{Disconnected, RedisHandle, RedisRateLimit, RedisServer};
use tokio::time::Instant;

use crate::{
    ask, ms,
    replicas::{self, Fleet, Leased, connected, shared_again},
    server::Server,
    until,
};

const MASTERS: usize = 3;
const SLOTS: usize = 16_384;
/// As in the docs: what the cluster needs (here a second to notice and about one to elect), the
/// longest back-off, and the delays of the test machine.
const SHARED_AGAIN: Duration = ms(10_000);

struct Cluster {
    /// The masters, then one replica of each.
    nodes: Vec<Server>,
}

impl Cluster {
    fn start(replicas: bool) -> Self {
        let count = if replicas { 2 * MASTERS } else { MASTERS };
        let more = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
        let nodes: Vec<Server> = (0..count).map(|_| Server::with(&more)).collect();
        for (n, node) in nodes.iter().enumerate() {
            let epoch = format!("CLUSTER SET-CONFIG-EPOCH {}", n + 1);
            assert_eq!(node.command(&epoch), "+OK");
            if n < MASTERS {
                let (first, last) = (n * SLOTS / MASTERS, (n + 1) * SLOTS / MASTERS - 1);
                let slots = format!("CLUSTER ADDSLOTSRANGE {first} {last}");
                assert_eq!(node.command(&slots), "+OK");
            }
            let meet = format!(
                "CLUSTER MEET 127.0.0.1 {} {}",
                nodes[0].port(),
                nodes[0].bus()
            );
            assert_eq!(node.command(&meet), "+OK");
        }
        for (n, node) in nodes.iter().enumerate().skip(MASTERS) {
            let master = nodes[n - MASTERS].command("CLUSTER MYID");
            node.wait_for("CLUSTER NODES", &format!("{master} 127.0.0.1"));
            node.wait_for(&format!("CLUSTER REPLICATE {master}"), "+OK");
        }
        for node in &nodes {
            node.wait_for("CLUSTER INFO", "cluster_state:ok");
            node.wait_for("CLUSTER INFO", &format!("cluster_known_nodes:{count}"));
        }
        for (n, node) in nodes.iter().enumerate().skip(MASTERS) {
            node.wait_for("INFO replication", "master_link_status:up");
            let master = &nodes[n - MASTERS];
            master.wait_for("CLUSTER NODES", &node.command("CLUSTER MYID"));
        }
        Self { nodes }
    }

    /// The address by two of the nodes. The others are found.
    fn server(&self) -> RedisServer {
        RedisServer::cluster([self.nodes[1].url(), self.nodes[2].url()]).expect("URLs")
    }

    /// The replica of the first master takes over, in coordination with it.
    fn fail_over(&self) {
        assert_eq!(self.nodes[MASTERS].command("CLUSTER FAILOVER"), "+OK");
        self.nodes[MASTERS].wait_for("INFO replication", "role:master");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_shared_through_all_nodes_and_exact_again_after_a_failover() {
    const COUNT: u32 = 20;
    let mut cluster = Cluster::start(true);
    let mut fleet = Fleet::connect(&cluster.server(), COUNT).await;
    fleet.wait_exact(50).await;
    for node in &cluster.nodes[..MASTERS] {
        assert_ne!(
            node.command("DBSIZE"),
            ":0",
            "each node has some of the keys"
        );
    }
    let load = fleet.load();

    cluster.fail_over();
    let start = Instant::now();
    fleet.wait_exact(50).await;
    let took = start.elapsed();
    shared_again("cluster, planned failover", took, SHARED_AGAIN);

    // The new master dies, and the first one takes over again.
    cluster.nodes[MASTERS].kill();
    let start = Instant::now();
    cluster.nodes[0].wait_for("INFO replication", "role:master");
    fleet.wait_exact(50).await;
    let took = start.elapsed();
    shared_again("cluster, master killed", took, SHARED_AGAIN);
    load.stop().await;
    fleet.wait_connected().await;

    // The scripts of one node are flushed, and loaded again.
    assert_eq!(cluster.nodes[1].command("SCRIPT FLUSH"), "+OK");
    let errors = fleet.sum(RedisHandle::errors);
    fleet.wait_exact(20).await;
    assert_eq!(fleet.sum(RedisHandle::errors), errors);
}

/// The documented bound holds when a master dies: what was granted and not yet replicated is
/// granted again, but not more than the leases may hold.
#[tokio::test(flavor = "multi_thread")]
async fn the_overshoot_of_leases_is_bounded_when_a_master_dies() {
    let mut cluster = Cluster::start(true);
    let leased = Leased::connect(&cluster.server(), 6, 3000).await;
    let admitted = leased.spend_all(|| {
        assert_ne!(cluster.nodes[0].command("DBSIZE"), ":0");
        cluster.nodes[0].kill();
    });
    for admitted in admitted.await {
        assert!(admitted <= 3000 + Leased::MOST, "{admitted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_a_cluster_is_rejected_as_a_single_server() {
    let cluster = Cluster::start(false);
    for node in &cluster.nodes {
        let server = RedisServer::new(node.url()).expect("a URL");
        let limit = RedisRateLimit::builder(server).quota(Quota::per_second(1));
        let handle = limit.connect().expect("valid").handle();
        until("the reason is reported", || async {
            handle.disconnected() == Some(Disconnected::ClusterNode)
        })
        .await;
        assert_eq!(handle.connected(), 0);
        assert_eq!(handle.lost(), 0, "it was never connected");
    }
}

#[tokio::test]
async fn a_single_server_is_rejected_as_a_cluster() {
    let single = Server::start();
    let server = RedisServer::cluster([single.url()]).expect("a URL");
    let limit = RedisRateLimit::builder(server).quota(Quota::per_second(1));
    let handle = limit.connect().expect("valid").handle();
    until("the reason is reported", || async {
        handle.disconnected() == Some(Disconnected::NotClusterNode)
    })
    .await;
    assert_eq!(handle.connected(), 0);
    assert!(RedisServer::cluster([""; 0]).is_err());
}

#[tokio::test]
async fn a_slot_that_moves_keeps_what_was_spent() {
    const COUNT: u32 = 30;
    let cluster = Cluster::start(false);
    let limit = replicas::builder(&cluster.server(), COUNT)
        .connections(1)
        .deadline(ms(1000))
        .connect()
        .expect("valid");
    let handle = limit.handle();
    connected(&handle).await;
    let spend = async |count| {
        for n in 0..count {
            assert!(
                ask(&limit, &mut 7).await.is_ok(),
                "{n} of {count}: {handle:?}"
            );
        }
    };
    spend(10).await;
    let mut owners = cluster.nodes.iter();
    let from = owners.find(|node| node.command("DBSIZE") == ":2");
    let from = from.expect("the two quotas of the key are in one slot");
    let to = cluster.nodes.iter().find(|node| node.port() != from.port());
    let to = to.expect("there are three");
    let key = from.command("RANDOMKEY");
    let name = key.rsplit_once(':').expect("a name").0;
    let slot = from.command(&format!("CLUSTER KEYSLOT {key}"));
    let slot = slot.trim_start_matches(':');
    let (from_id, to_id) = (from.command("CLUSTER MYID"), to.command("CLUSTER MYID"));
    let set_slot = |node: &Server, what: &str, id: &str| {
        let command = format!("CLUSTER SETSLOT {slot} {what} {id}");
        assert_eq!(node.command(&command), "+OK");
    };

    // It must load the scripts while other nodes do not have it as the owner of the slot.
    assert_eq!(to.command("SCRIPT FLUSH"), "+OK");
    set_slot(to, "IMPORTING", &from_id);
    set_slot(from, "MIGRATING", &to_id);
    spend(5).await;
    let migrate = format!(
        "MIGRATE 127.0.0.1 {} \"\" 0 5000 KEYS {name}:q {name}:r",
        to.port()
    );
    assert_eq!(from.command(&migrate), "+OK");
    // Answered with ASK.
    spend(5).await;
    set_slot(to, "NODE", &to_id);
    set_slot(from, "NODE", &to_id);
    // Answered with MOVED, once.
    spend(10).await;
    assert!(ask(&limit, &mut 7).await.is_err());
    assert_eq!((handle.admitted(), handle.local()), (30, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acl_user_needs_only_the_documented_commands() {
    let cluster = Cluster::start(false);
    let rules = "+evalsha +script|load +time +get +set +del +cluster|slots +ping +asking";
    for node in &cluster.nodes {
        let user = format!("ACL SETUSER limiter on >secret ~plimsoll:* {rules}");
        assert_eq!(node.command(&user), "+OK");
        assert_eq!(node.command("ACL SETUSER default resetpass"), "+OK");
    }
    let urls = |password: &str| {
        let nodes = cluster.nodes.iter();
        let hosts = nodes.map(|node| node.url().replace("redis://", ""));
        let urls: Vec<_> = hosts
            .map(|host| format!("redis://limiter:{password}@{host}"))
            .collect();
        RedisServer::cluster(urls).expect("URLs")
    };
    let server = urls("secret");
    assert!(!format!("{server:?}").contains("secret"));
    let mut fleet = Fleet::connect(&server, 10).await;
    fleet.wait_exact(20).await;

    let limit = RedisRateLimit::builder(urls("wrong")).quota(Quota::per_second(1));
    let handle = limit.connect().expect("valid").handle();
    until("the reason is reported", || async {
        handle.disconnected() == Some(Disconnected::Denied)
    })
    .await;
    assert_eq!(handle.connected(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_dies_is_noticed_without_traffic_and_found_again() {
    let mut cluster = Cluster::start(false);
    let mut fleet = Fleet::connect(&cluster.server(), 20).await;
    fleet.wait_exact(4).await;
    for node in &mut cluster.nodes {
        node.kill();
    }
    // One request per connection, and no more.
    for limit in &fleet.limits {
        for key in 0..8 {
            _ = ask(&**limit, &mut { key }).await;
        }
    }
    until("the loss is noticed", || async { fleet.connected() == 0 }).await;
    for node in &mut cluster.nodes {
        node.restart();
    }
    fleet.wait_connected().await;
    fleet.wait_exact(4).await;
}
