//! Three replicas of an app share one limit in Redis. Shows what they do while Redis is paused.
//!
//! ```sh
//! cargo run --release -p redis-fleet
//! ```
//!
//! Runs for about ten seconds. The app to copy from is in `app.rs`.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

mod app;
mod driver;
mod redis;

use std::{error::Error, net::SocketAddr, process::ExitCode, time::Duration};

use plimsoll_redis::{RedisHandle, RedisServer};
use tokio::time::sleep;

use self::{
    app::{LEASE, QUOTA, REPLICAS, Replica},
    driver::{HttpClient, Seen},
    redis::Redis,
};

const PHASE: Duration = Duration::from_secs(2);
/// A pause until the bucket is full again, and the breaker probes Redis.
const REST: Duration = Duration::from_millis(700);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("redis-fleet: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let redis = Redis::find_or_start().await?;
    let server = match redis.url.split_once(',') {
        Some(_) => RedisServer::cluster(redis.url.split(','))?,
        None => RedisServer::new(redis.url.as_str())?,
    };
    let mut fleet = Vec::new();
    for _ in 0..REPLICAS {
        let replica = Replica::start(&server).await?;
        replica.connected().await?;
        fleet.push(replica);
    }
    let fleet = Fleet {
        addrs: fleet.iter().map(|replica| replica.addr).collect(),
        replicas: fleet,
        client: driver::client(),
    };
    println!(
        "{REPLICAS} replicas share {} requests per second, {} at once; callers send three times as many\n",
        QUOTA.count(),
        QUOTA.max_burst()
    );
    println!(
        "{:24}{:>22}{:>6}{:>8}{:>12}{:>8}{:>9}{:>12}",
        "", "admitted by replica", "sum", "limit", "by a lease", "local", "p99 ms", "slowest ms"
    );
    fleet.phase("exact", Route::Exact, 0).await?;
    if redis.pause(true) {
        // Each replica has its share of the burst, too.
        fleet.phase("exact, Redis paused", Route::Exact, 0).await?;
        redis.pause(false);
        sleep(REST).await;
        fleet.phase("exact, Redis back", Route::Exact, 0).await?;
    } else {
        println!("(Redis was not started by this program and is not paused: unset REDIS_URL)");
    }
    let most = u64::from(REPLICAS) * LEASE.most();
    fleet.phase("leased", Route::Leased, most).await?;
    println!(
        "\nlimit: the burst and {} s of the rate; leased: and what all replicas may hold ({most})",
        PHASE.as_secs()
    );
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Route {
    Exact,
    Leased,
}

struct Fleet {
    replicas: Vec<Replica>,
    addrs: Vec<SocketAddr>,
    client: HttpClient,
}

impl Fleet {
    /// Sends two seconds of traffic, and prints a line about it.
    async fn phase(&self, name: &str, route: Route, more: u64) -> Result<(), Box<dyn Error>> {
        sleep(REST).await;
        let before = (
            self.sum(route, RedisHandle::leased),
            self.sum(route, RedisHandle::local),
        );
        let path = match route {
            Route::Exact => "/exact",
            Route::Leased => "/leased",
        };
        let started = tokio::time::Instant::now();
        let seen = driver::drive(&self.client, &self.addrs, path, PHASE).await?;
        let took = started.elapsed().as_secs_f64();
        let leased = self.sum(route, RedisHandle::leased) - before.0;
        let local = self.sum(route, RedisHandle::local) - before.1;
        let limit = f64::from(QUOTA.max_burst()) + took * f64::from(QUOTA.count());
        line(name, &seen, limit as u64 + more, leased, local);
        Ok(())
    }

    fn sum(&self, route: Route, count: impl Fn(&RedisHandle) -> u64) -> u64 {
        let handles = self.replicas.iter().map(|replica| match route {
            Route::Exact => &replica.exact,
            Route::Leased => &replica.leased,
        });
        handles.map(count).sum()
    }
}

fn line(name: &str, seen: &Seen, limit: u64, leased: u64, local: u64) {
    let by_replica: Vec<_> = seen.admitted.iter().map(|n| format!("{n:>7}")).collect();
    let sum: u64 = seen.admitted.iter().sum();
    let millis = |share: f64| {
        let last = seen.latencies.len().saturating_sub(1);
        let at = seen.latencies.get((last as f64 * share) as usize);
        at.map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    };
    println!(
        "{name:24}{:>22}{sum:>6}{limit:>8}{leased:>12}{local:>8}{:>9.1}{:>12.1}",
        by_replica.concat(),
        millis(0.99),
        millis(1.0)
    );
}
