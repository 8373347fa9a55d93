//! Sentinels that name the master, and a master that dies.

use plimsoll_rate_limit::Quota;
use plimsoll_redis::{Disconnected, RedisRateLimit, RedisServer};
use tokio::time::Instant;

use crate::{
    ask, ms,
    replicas::{Fleet, connected, shared_again},
    server::{Server, free_port},
    until,
};

/// As in the docs: what Sentinel needs (here half a second to notice and about one to elect), the
/// longest back-off, and the delays of the test machine.
const SHARED_AGAIN: std::time::Duration = ms(10_000);

#[tokio::test(flavor = "multi_thread")]
async fn after_a_master_dies_decisions_are_shared_through_the_new_one() {
    const COUNT: u32 = 50;
    let mut master = Server::start();
    let replica = Server::replica_of(&master);
    let sentinel = Server::sentinel("limits", &master);
    sentinel.wait_for("INFO sentinel", "slaves=1");
    // One sentinel is dead, so the next one is asked.
    let dead = format!("redis://127.0.0.1:{}", free_port());
    let server = RedisServer::sentinel([dead, sentinel.url()], "limits").expect("URLs");
    let mut fleet = Fleet::connect(&server, COUNT).await;
    fleet.wait_exact(4).await;
    let load = fleet.load();

    master.kill();
    let start = Instant::now();
    until("the loss is noticed", || async { fleet.connected() == 0 }).await;
    assert!(fleet.limits[0].handle().disconnected().is_some());
    fleet.wait_exact(4).await;
    fleet.wait_connected().await;
    let took = start.elapsed();
    shared_again("sentinel, master killed", took, SHARED_AGAIN);
    load.stop().await;
    assert!(replica.command("INFO replication").contains("role:master"));
    assert!(replica.command("DBSIZE").trim_start_matches(':') != "0");
}

#[tokio::test]
async fn an_unknown_master_name_is_reported() {
    let master = Server::start();
    let sentinel = Server::sentinel("limits", &master);
    let server = RedisServer::sentinel([sentinel.url()], "others").expect("a URL");
    let limit = RedisRateLimit::builder(server).quota(Quota::per_second(1));
    let handle = limit.connect().expect("valid").handle();
    until("the reason is reported", || async {
        handle.disconnected() == Some(Disconnected::NoMaster)
    })
    .await;
    assert_eq!(handle.connected(), 0);
}

#[tokio::test]
async fn the_master_has_its_own_credentials() {
    // An ACL user with the documented commands.
    let rules = "~plimsoll:* +evalsha +script|load +time +get +set +del +select +role";
    let user = ["--user", "limiter", "on", ">pass"].into_iter();
    let user: Vec<_> = user.chain(rules.split(' ')).collect();
    let master = Server::with(&[&["--requirepass", "secret"], &user[..]].concat());
    let sentinel = Server::sentinel("limits", &master);
    let set = "SENTINEL SET limits auth-pass secret";
    assert_eq!(sentinel.command(set), "+OK");
    let server = RedisServer::sentinel([sentinel.url()], "limits").expect("a URL");
    let limit = |server| {
        let limit = RedisRateLimit::builder(server).deadline(ms(1000));
        limit.quota(Quota::per_second(1))
    };
    let without = limit(server.clone()).connect().expect("valid").handle();
    until("the reason is reported", || async {
        without.disconnected() == Some(Disconnected::Denied)
    })
    .await;
    let server = server
        .master_credentials("limiter", "pass")
        .expect("sentinels");
    assert!(!format!("{server:?}").contains("pass"));
    let with = limit(server.master_database(2).expect("sentinels"))
        .connect()
        .expect("valid");
    connected(&with.handle()).await;
    assert!(ask(&with, &mut ()).await.is_ok());
    assert_eq!(with.handle().admitted(), 1);

    let single = RedisServer::new("redis://127.0.0.1").expect("a URL");
    assert!(single.clone().master_credentials("a", "b").is_err());
    assert!(single.master_database(1).is_err());
    assert!(RedisServer::sentinel([""; 0], "limits").is_err());
}
