//! A metastable failure (`HotOS` 2021, OSDI 2022): a server for 300 requests per second, offered 280,
//! freezes for ten seconds. Its clients time out after a second.

use std::{
    io,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use plimsoll_client::{Backoff, ReplayBody, RetryBudget, RetryLayer};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _, service_fn};

const PER_SECOND: f64 = 300.0;
const OFFERED: f64 = 280.0;
const FROZEN: std::ops::Range<f64> = 60.0..70.0;
/// Long enough for the slowest recovery, and a half more.
const END: f64 = 270.0;
/// The share of the offered load that counts as recovered.
const RECOVERED: f64 = 0.93;

/// A first-in first-out server with an unbounded queue, which works for clients that have left.
#[derive(Default)]
struct Server {
    /// When the last of the queue is done, in seconds.
    busy_until: f64,
    /// Requests received in each second.
    received: Vec<u32>,
}

impl Server {
    /// Queues a request. Returns when it is done.
    fn accept(&mut self, now: f64) -> f64 {
        count(&mut self.received, now);
        let start = self.busy_until.max(now);
        let start = if FROZEN.contains(&start) {
            FROZEN.end
        } else {
            start
        };
        let mut done = start + 1.0 / PER_SECOND;
        if FROZEN.contains(&done) {
            done += FROZEN.end - FROZEN.start;
        }
        self.busy_until = done;
        done
    }
}

fn count(seconds: &mut Vec<u32>, at: f64) {
    let second = at as usize;
    if seconds.len() <= second {
        seconds.resize(second + 1, 0);
    }
    seconds[second] += 1;
}

/// What a run shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Seconds from the end of the freeze to a goodput of 93 % of the load; `None` for never.
    pub(crate) recovery: Option<u32>,
    /// Requests per second in the last minute, at the server and answered in time.
    pub(crate) load: f64,
    pub(crate) goodput: f64,
}

/// The client's policy: a name, the attempts, and the budget.
pub(crate) type Policy = (&'static str, u32, fn() -> RetryBudget);

/// More retries than any run makes.
fn unlimited() -> RetryBudget {
    RetryBudget::share_of_requests(1.0, 1_000_000).unwrap_or_default()
}

pub(crate) const POLICIES: [Policy; 7] = [
    ("no retry", 1, RetryBudget::default),
    ("1 retry, unlimited", 2, unlimited),
    ("3 retries, unlimited", 4, unlimited),
    ("20 % of requests", 2, || {
        RetryBudget::share_of_requests(0.2, 100).unwrap_or_default()
    }),
    ("10 % of requests", 2, || {
        RetryBudget::share_of_requests(0.1, 100).unwrap_or_default()
    }),
    ("gRPC A6 (10, 0.1)", 2, || {
        RetryBudget::grpc(10, 0.1).unwrap_or_default()
    }),
    ("10 % of successes (the default)", 3, RetryBudget::default),
];

/// Runs one policy on a paused clock.
pub(crate) fn run((_, attempts, budget): Policy, seed: u64) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without sockets");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, simulate(attempts, budget(), seed))
}

async fn simulate(attempts: u32, budget: RetryBudget, seed: u64) -> Run {
    let start = Instant::now();
    let server = Arc::new(Mutex::new(Server::default()));
    let serving = Arc::clone(&server);
    let callee = service_fn(move |_: Request<ReplayBody<Empty<Bytes>>>| {
        let now = start.elapsed().as_secs_f64();
        let done = match serving.lock() {
            Ok(mut server) => Ok(server.accept(now)),
            Err(_) => Err(io::Error::other("poisoned")),
        };
        async move {
            let done = done?;
            tokio::time::sleep_until(start + Duration::from_secs_f64(done)).await;
            Ok::<_, io::Error>(Response::new(Full::<Bytes>::default()))
        }
    });
    let millisecond = Duration::from_millis(1);
    let layer = RetryLayer::builder()
        .max_attempts(attempts)
        .backoff(Backoff::new(millisecond, millisecond).unwrap_or_default())
        .attempt_timeout(Duration::from_secs(1))
        .budget(budget)
        .build()
        .expect("settings in bounds");
    let client = layer.layer(callee);
    let answered = Rc::new(std::cell::RefCell::new(Vec::new()));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut at = 0.0;
    while at < END {
        // Poisson arrivals.
        at += -(1.0 - random.f64()).ln() / OFFERED;
        tokio::time::sleep_until(start + Duration::from_secs_f64(at)).await;
        let (client, answered) = (client.clone(), Rc::clone(&answered));
        tokio::task::spawn_local(async move {
            if client.oneshot(Request::new(Empty::new())).await.is_ok() {
                count(&mut answered.borrow_mut(), start.elapsed().as_secs_f64());
            }
        });
    }
    let last_minute = |seconds: &[u32]| {
        let (from, to) = (END as usize - 60, END as usize);
        let sum: u32 = seconds.iter().take(to).skip(from).sum();
        f64::from(sum) / 60.0
    };
    let answered = answered.borrow();
    let load = server
        .lock()
        .map_or(0.0, |server| last_minute(&server.received));
    Run {
        recovery: recovery(&answered),
        load,
        goodput: last_minute(&answered),
    }
}

/// The first second after the freeze from which five seconds together reach the share.
fn recovery(answered: &[u32]) -> Option<u32> {
    let end = FROZEN.end as usize;
    let enough = 5.0 * RECOVERED * OFFERED;
    let seconds = answered.get(end..END as usize)?;
    let second = seconds
        .windows(5)
        .position(|five| f64::from(five.iter().sum::<u32>()) >= enough);
    second.map(|second| second as u32)
}

#[allow(dead_code)] // The tests print nothing.
pub(crate) fn print() {
    println!("metastable stall: 300/s server, 280/s offered, frozen for 10 s, timeout 1 s");
    println!(
        "{:<34}{:>22}{:>14}{:>16}",
        "policy of the client", "seconds to 93 %", "load at end", "goodput at end"
    );
    for policy in POLICIES {
        let runs: Vec<_> = (0..4).map(|seed| run(policy, seed)).collect();
        let seconds = |run: &Run| run.recovery.map_or("never".to_owned(), |s| s.to_string());
        let seconds: Vec<_> = runs.iter().map(seconds).collect();
        let mean = |of: fn(&Run) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
        println!(
            "{:<34}{:>22}{:>14.0}{:>16.0}",
            policy.0,
            seconds.join(" "),
            mean(|run| run.load),
            mean(|run| run.goodput)
        );
    }
}
