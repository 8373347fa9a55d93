//! Measures decisions per second compared with a bare loop of EVALSHA, and leased decisions
//! compared with local ones: `cargo run --release -p plimsoll-redis --example throughput [-- --json
//! PATH]`.
//!
//! Starts its own `redis-server` on the loopback. Both sides use the same client library, script,
//! arguments, keys, number of connections and number of concurrent requests. They take turns, and
//! the ratio is the median of the rounds. About 15 seconds.
#![allow(clippy::print_stdout, reason = "a program that prints its results")]

#[path = "../tests/it/server.rs"]
#[allow(dead_code, unreachable_pub)]
mod server;

use std::{
    error::Error,
    fs,
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::Request;
use plimsoll_core::{HeaderKey, Missing, Policy, policy::Verdict};
use plimsoll_rate_limit::{Quota, RateLimit};
use plimsoll_redis::{LeaseSettings, LeasedRateLimit, RedisRateLimit, RedisServer};
use redis::{Cmd, aio::MultiplexedConnection};
use serde_json::json;
use tokio::time::Instant;

use crate::server::Server;

const CONNECTIONS: usize = 2;
/// Concurrent requests, on all connections together.
const DEPTH: usize = 128;
const KEYS: usize = 64;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(1);
/// No request is rejected: one request per microsecond, and a very large burst.
const QUOTA: Quota = Quota::new(1_000_000, Duration::from_secs(1)).burst(1_000_000_000);
const SCRIPT: &str = concat!(
    include_str!("../src/scripts/clock.lua"),
    include_str!("../src/scripts/kinds.lua"),
    include_str!("../src/scripts/gcra.lua"),
    include_str!("../src/scripts/decide.lua"),
);

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// One round of one side.
#[derive(Debug, Clone, Copy)]
struct Round {
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome<()> {
    let server = Server::start();
    let (bare, ours, without_redis) = through_redis(&server).await?;
    let ratio = |n: usize| ours[n].per_second / bare[n].per_second;
    let ratio = median((0..ROUNDS).map(ratio).collect());
    println!(
        "through Redis: {CONNECTIONS} connections, {DEPTH} concurrent requests, {KEYS} keys, {ROUNDS} rounds"
    );
    for (name, rounds) in [("bare EVALSHA", &bare), ("RedisRateLimit", &ours)] {
        let (rate, p50, p99) = middle(rounds);
        println!("  {name:15} {rate:9.0} decisions/s   p50 {p50:?}   p99 {p99:?}");
    }
    println!("  ratio {ratio:.2} (goal: 0.8); decided without Redis: {without_redis}");

    let (local, leased, fetched) = in_hand(&server).await?;
    let lease_ratio = median(leased.iter().zip(&local).map(|(a, b)| a / b).collect());
    let (local, leased) = (median(local), median(leased));
    println!("in hand: one thread, {KEYS} keys, {ROUNDS} rounds");
    println!("  keyed RateLimit {local:7.1} ns per decision");
    println!("  LeasedRateLimit {leased:7.1} ns per decision; {fetched} batches fetched");
    println!("  ratio {lease_ratio:.2} (goal: at most 2)");

    let mut arguments = std::env::args().skip(1);
    if let (Some("--json"), Some(path)) = (arguments.next().as_deref(), arguments.next()) {
        let side = |rounds: &[Round]| {
            let (rate, p50, p99) = middle(rounds);
            json!({ "per_second": rate, "p50_us": p50.as_micros(), "p99_us": p99.as_micros() })
        };
        let figures = json!({
            "connections": CONNECTIONS, "depth": DEPTH, "keys": KEYS, "rounds": ROUNDS,
            "bare": side(&bare), "redis_rate_limit": side(&ours), "ratio": ratio,
            "decided_without_redis": without_redis,
            "local_ns": local, "leased_ns": leased, "lease_ratio": lease_ratio,
        });
        fs::write(path, serde_json::to_string_pretty(&figures)?)?;
    }
    Ok(())
}

/// Runs the bare loop and the policy in turns. Also returns how often the policy decided without
/// Redis.
async fn through_redis(server: &Server) -> Outcome<(Vec<Round>, Vec<Round>, u64)> {
    let client = redis::Client::open(server.url())?;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(client.get_multiplexed_async_connection().await?);
    }
    let hash: String = redis::cmd("SCRIPT")
        .arg("LOAD")
        .arg(SCRIPT)
        .query_async(&mut connections[0])
        .await?;
    let limit = RedisRateLimit::builder(RedisServer::new(server.url())?)
        .quota(QUOTA.named("per-key"))
        .per_key(|key: &usize| Some(*key), Missing::Share, 10_000)
        .connections(CONNECTIONS)
        // All decisions through Redis, also on a busy machine.
        .deadline(Duration::from_secs(5))
        .connect()?;
    let limit = Arc::new(limit);
    limit.handle().wait_connected().await;

    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(
            round(|n| {
                let (connection, hash) = (connections[n % CONNECTIONS].clone(), hash.clone());
                move |key| evalsha(connection.clone(), hash.clone(), key)
            })
            .await?,
        );
        ours.push(
            round(|_| {
                let limit = Arc::clone(&limit);
                move |key| decide(Arc::clone(&limit), key)
            })
            .await?,
        );
    }
    Ok((bare, ours, limit.handle().local()))
}

/// The simplest loop: one command, one answer.
async fn evalsha(mut connection: MultiplexedConnection, hash: String, key: usize) -> bool {
    let mut cmd = Cmd::new();
    cmd.arg("EVALSHA").arg(hash).arg(1);
    // As long as the policy's keys.
    cmd.arg(format!("plimsoll:{{{key:032x}}}:per-key"));
    cmd.arg(1).arg(1).arg(0);
    cmd.arg("g").arg(1).arg(1_000_000_000).arg(0);
    let answer: Result<Vec<i64>, _> = cmd.query_async(&mut connection).await;
    answer.is_ok_and(|answer| answer.first() == Some(&1))
}

async fn decide<K, P: Policy<K>>(policy: P, mut key: K) -> bool {
    match policy.admit(&mut key, Instant::now()) {
        Verdict::Admit(_) => true,
        Verdict::Reject(_) => false,
        Verdict::Wait(wait) => {
            let mut wait = pin!(wait);
            let poll = |cx: &mut Context<'_>| {
                policy.poll_wait(wait.as_mut(), &mut key, Instant::now(), cx)
            };
            poll_fn(poll).await.is_ok()
        }
    }
}

/// Keeps `DEPTH` requests running for a round.
async fn round<D, F>(decider: impl Fn(usize) -> D) -> Outcome<Round>
where
    D: Fn(usize) -> F + Send + 'static,
    F: Future<Output = bool> + Send,
{
    let start = Instant::now();
    let tasks: Vec<_> = (0..DEPTH)
        .map(|n| {
            let decide = decider(n);
            tokio::spawn(async move {
                let (mut latencies, mut key) = (Vec::with_capacity(4096), n);
                while start.elapsed() < ROUND {
                    let asked = Instant::now();
                    if !decide(key % KEYS).await {
                        return Err("rejected");
                    }
                    latencies.push(asked.elapsed());
                    key += 1;
                }
                Ok(latencies)
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let took = start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    Ok(Round {
        per_second: latencies.len() as f64 / took,
        p50: at(0.5),
        p99: at(0.99),
    })
}

/// Nanoseconds per decision, local and leased, in turns. Also returns how many batches were
/// fetched.
async fn in_hand(server: &Server) -> Outcome<(Vec<f64>, Vec<f64>, u64)> {
    const DECISIONS: u32 = 2_000_000;
    let key = || HeaderKey::from_static("x-api-key");
    let local = RateLimit::new(QUOTA)?.per_key(key(), Missing::Share, 1024)?;
    let leased: LeasedRateLimit<HeaderKey> =
        RedisRateLimit::builder(RedisServer::new(server.url())?)
            .quota(Quota::per_second(1_000_000_000).fixed_window().named("all"))
            .per_key(key(), Missing::Share, 10_000)
            .prefix("leased")
            .lease(LeaseSettings::new(20_000))?;
    leased.handle().wait_connected().await;
    let mut requests: Vec<Request<()>> = (0..KEYS)
        .map(|n| {
            Request::builder()
                .header("x-api-key", format!("key-{n:08}"))
                .body(())
        })
        .collect::<Result<_, _>>()?;
    let (mut local_ns, mut leased_ns) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        local_ns.push(tokio::task::block_in_place(|| {
            each(&local, &mut requests, DECISIONS)
        }));
        leased_ns.push(tokio::task::block_in_place(|| {
            each(&leased, &mut requests, DECISIONS)
        }));
    }
    let handle = leased.handle();
    let asked = handle.admitted();
    Ok((local_ns, leased_ns, asked))
}

/// Decides one request after the other, on this thread. Some have to wait.
fn each<P: Policy<Request<()>>>(policy: &P, requests: &mut [Request<()>], count: u32) -> f64 {
    let start = Instant::now();
    let outcome = plimsoll_core::Outcome::new(plimsoll_core::Class::Success, Duration::ZERO, start);
    for n in 0..count as usize {
        let request = &mut requests[n % KEYS];
        // As in a gate: one clock read per request, and the end of the permit.
        let permit = match policy.admit(request, Instant::now()) {
            Verdict::Admit(permit) => Some(permit),
            Verdict::Reject(_) => None,
            Verdict::Wait(wait) => {
                let mut wait = pin!(wait);
                let mut cx = Context::from_waker(Waker::noop());
                loop {
                    let polled = policy.poll_wait(wait.as_mut(), request, Instant::now(), &mut cx);
                    if let Poll::Ready(result) = polled {
                        break result.ok();
                    }
                    std::thread::yield_now();
                }
            }
        };
        policy.finish(permit.expect("no request is rejected"), &outcome);
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(count)
}

fn middle(rounds: &[Round]) -> (f64, Duration, Duration) {
    let mut rounds = rounds.to_vec();
    rounds.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    let Round {
        per_second,
        p50,
        p99,
    } = rounds[rounds.len() / 2];
    (per_second, p50, p99)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
