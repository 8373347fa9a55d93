//! The app, to copy from. Every replica of the fleet runs it.

use std::{error::Error, io, net::SocketAddr};

use axum::{Router, routing::get};
use plimsoll_core::{GateLayer, HeaderKey, Missing};
use plimsoll_rate_limit::Quota;
use plimsoll_redis::{LeaseSettings, RedisHandle, RedisRateLimit, RedisServer};
use tokio::net::TcpListener;

pub(crate) const REPLICAS: u32 = 3;
/// The quota of a caller, over all replicas.
pub(crate) const QUOTA: Quota = Quota::per_second(200).burst(20).named("per-key");
/// Tokens that a replica takes in advance, on the leased route.
pub(crate) const LEASE: LeaseSettings = LeaseSettings::new(6).low_water(3);

/// One replica, and its handles.
pub(crate) struct Replica {
    pub(crate) addr: SocketAddr,
    pub(crate) exact: RedisHandle,
    pub(crate) leased: RedisHandle,
}

impl Replica {
    /// Serves on a free port of the loopback until the process ends.
    pub(crate) async fn start(redis: &RedisServer) -> Result<Self, Box<dyn Error>> {
        let key = || HeaderKey::from_static("x-api-key");
        let limit = |prefix| {
            RedisRateLimit::builder(redis.clone())
                .quota(QUOTA)
                .per_key(key(), Missing::Share, 100_000)
                .prefix(prefix)
                // While Redis is down, each replica has a third.
                .replicas(REPLICAS)
        };
        let exact = limit("fleet-exact").connect()?;
        let leased = limit("fleet-leased").lease(LEASE)?;
        let handles = (exact.handle(), leased.handle());

        let app = Router::new()
            .route("/exact", get(hello).layer(GateLayer::new(exact)))
            .route("/leased", get(hello).layer(GateLayer::new(leased)));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, app).await });
        let (exact, leased) = handles;
        Ok(Self {
            addr,
            exact,
            leased,
        })
    }

    /// Waits until both limits are connected. An app need not wait: it decides without Redis until
    /// then.
    pub(crate) async fn connected(&self) -> io::Result<()> {
        let both = async {
            self.exact.wait_connected().await;
            self.leased.wait_connected().await;
        };
        let patience = std::time::Duration::from_secs(3);
        tokio::time::timeout(patience, both).await?;
        Ok(())
    }
}

async fn hello() -> &'static str {
    "hello"
}
