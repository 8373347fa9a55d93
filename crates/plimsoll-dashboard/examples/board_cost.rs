//! What a board costs: `cargo run --release -p plimsoll-dashboard --example board_cost`.
//!
//! The verdict is processor time, which other programs on the machine hardly change: what the board
//! of 50 gates and its 20 viewers, with the clients that read it, use each second, as a share of all
//! cores. An app that keeps all cores busy loses that share of its throughput. The reading and the
//! encoding are timed while the app answers requests, since caches are then cold.
//!
//! Before it, the throughput itself: pairs of turns of a second without a board, and with a board and
//! its 20 viewers, in changing order. Printed are the mean ratio of the pairs and its interval of
//! 95 %, for requests per second and for processor time per request. The interval shows what the
//! machine permits: with other work on it, it is wider than the bar.
//! `board_cost PAIRS` sets their number.
#![allow(
    clippy::print_stdout,
    reason = "the output of this program is its result"
)]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Router, routing::get};
use plimsoll_concurrency::ConcurrencyLimit;
use plimsoll_core::{Class, GateLayer, Observe, Outcome};
use plimsoll_dashboard::dashboard;
use plimsoll_metrics::Metrics;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

const GATES: usize = 50;
const VIEWERS: usize = 20;
/// The length of a turn: the board has one reading in it.
const TURN: Duration = Duration::from_secs(1);

type Failure = Box<dyn std::error::Error>;

/// The service with 50 gates, each with a limit and some traffic.
async fn serve(with_board: bool) -> Result<(SocketAddr, Metrics), Failure> {
    let metrics = Metrics::new();
    for gate in 1..GATES {
        let name = format!("gate {gate}");
        metrics.watch(name.clone(), ConcurrencyLimit::new(100)?.handle())?;
        let gate = metrics.gate(name);
        // Latencies from 1 to 500 ms fill about a thousand buckets.
        for micros in (1_000..500_000).step_by(317) {
            gate.admitted("gate", Duration::ZERO);
            let latency = Duration::from_micros(micros);
            let ended = Instant::now();
            gate.finished("gate", &Outcome::new(Class::Success, latency, ended));
        }
    }
    let limit = ConcurrencyLimit::adaptive();
    metrics.watch("edge", limit.handle())?;
    let gate = GateLayer::builder(limit)
        .observe(metrics.gate("edge"))
        .build();
    let mut app = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(gate);
    if with_board {
        app = app.nest("/plimsoll", dashboard(&metrics));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok((addr, metrics))
}

/// Sends requests one after another.
async fn client(addr: SocketAddr, running: Arc<AtomicBool>, answers: Arc<AtomicU64>) {
    let Ok(mut socket) = TcpStream::connect(addr).await else {
        return;
    };
    let mut buffer = [0; 1024];
    while running.load(Relaxed) {
        let sent = socket.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        if sent.is_err() || !matches!(socket.read(&mut buffer).await, Ok(1..)) {
            return;
        }
        answers.fetch_add(1, Relaxed);
    }
}

/// Reads updates and counts their bytes.
async fn viewer(addr: SocketAddr, bytes: Arc<AtomicU64>) {
    let Ok(mut socket) = TcpStream::connect(addr).await else {
        return;
    };
    let request = b"GET /plimsoll/updates HTTP/1.1\r\nhost: a\r\n\r\n";
    if socket.write_all(request).await.is_err() {
        return;
    }
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = socket.read(&mut buffer).await {
        bytes.fetch_add(read as u64, Relaxed);
    }
}

/// Answers per second, and microseconds of processor time for each.
async fn throughput(addr: SocketAddr, length: Duration) -> Result<(f64, f64), Failure> {
    let running = Arc::new(AtomicBool::new(true));
    let answers = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        clients.spawn(client(addr, Arc::clone(&running), Arc::clone(&answers)));
    }
    // Until connections and caches are warm.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = answers.load(Relaxed);
    let (start, busy) = (Instant::now(), cpu_seconds()?);
    tokio::time::sleep(length).await;
    let answers = (answers.load(Relaxed) - before) as f64;
    let rate = answers / start.elapsed().as_secs_f64();
    let cpu = (cpu_seconds()? - busy) / answers * 1e6;
    running.store(false, Relaxed);
    clients.join_all().await;
    Ok((rate, cpu))
}

async fn snapshot(addr: SocketAddr) -> Result<serde_json::Value, Failure> {
    let mut socket = TcpStream::connect(addr).await?;
    socket
        .write_all(b"GET /plimsoll/snapshot.json HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok(serde_json::from_str(body)?)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let pairs = std::env::args()
        .nth(1)
        .map_or(Ok(30), |pairs| pairs.parse())?;
    direct(pairs)?;

    let busy = idle(true).await? - idle(false).await?;
    let (reading, encoding, bytes) = work(true).await?;
    let (quiet_reading, quiet_encoding, _) = work(false).await?;
    println!(
        "{GATES} gates: {reading} us to read and {encoding} us to encode each second under load,"
    );
    println!(
        "  {quiet_reading} and {quiet_encoding} us without; {bytes} bytes per update, encoded once"
    );
    println!(
        "{VIEWERS} viewers: {:.0} us of processor time each second for all, with their clients",
        busy * 1e6
    );
    let cores = std::thread::available_parallelism()?.get() as f64;
    // The idle measurement has the work once: it is replaced by the work under load.
    let more = (reading + encoding - quiet_reading - quiet_encoding).max(0.0) / 1e6;
    let lost = 100.0 * (busy + more) / cores;
    let status = if lost < 1.0 { "holds" } else { "MISSED" };
    println!(
        "{status:<8} an app that uses {cores} cores loses less than 1 % of its throughput: {lost:.2} %"
    );
    Ok(())
}

/// Seconds of processor time that the idle app uses each second, without or with its board, the
/// viewers, and their clients.
async fn idle(with_board: bool) -> Result<f64, Failure> {
    let (addr, _metrics) = serve(with_board).await?;
    let bytes = Arc::new(AtomicU64::new(0));
    let mut viewers = JoinSet::new();
    for _ in 0..if with_board { VIEWERS } else { 0 } {
        viewers.spawn(viewer(addr, Arc::clone(&bytes)));
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (start, busy) = (Instant::now(), cpu_seconds()?);
    tokio::time::sleep(Duration::from_secs(40)).await;
    Ok((cpu_seconds()? - busy) / start.elapsed().as_secs_f64())
}

/// Microseconds to read and to encode each second, and the bytes of an update, with or without
/// requests to the app.
async fn work(loaded: bool) -> Result<(f64, f64, f64), Failure> {
    let (addr, _metrics) = serve(true).await?;
    let running = Arc::new(AtomicBool::new(true));
    let mut clients = JoinSet::new();
    for _ in 0..if loaded { 8 } else { 0 } {
        clients.spawn(client(addr, Arc::clone(&running), Arc::default()));
    }
    clients.spawn(viewer(addr, Arc::default()));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut costs = [const { Vec::new() }; 3];
    for _ in 0..15 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let cost = snapshot(addr).await?["cost"].clone();
        for (all, name) in costs.iter_mut().zip(["sample_us", "update_us", "bytes"]) {
            all.push(cost[name].as_f64().unwrap_or(f64::NAN));
        }
    }
    running.store(false, Relaxed);
    let [reading, encoding, bytes] = costs.map(median);
    Ok((reading, encoding, bytes))
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The time that this process has spent on a core.
fn cpu_seconds() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: Vec<f64> = ticks.map(str::parse).collect::<Result<_, _>>()?;
    // Linux counts in hundredths of a second.
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

/// Prints the ratios of pairs of turns with a board and its viewers, and without.
fn direct(pairs: usize) -> Result<(), Failure> {
    let (mut rates, mut times) = (Vec::new(), Vec::new());
    // The first pair warms up.
    for pair in 0..=pairs {
        let mut both = [(0.0, 0.0); 2];
        for at in [pair % 2, 1 - pair % 2] {
            let turn = std::thread::spawn(move || turn(at == 1));
            both[at] = turn.join().map_err(|_| "a turn panicked")??;
        }
        let [without, with] = both;
        if pair > 0 {
            rates.push(with.0 / without.0);
            times.push(with.1 / without.1);
        }
    }
    println!(
        "with a board and {VIEWERS} viewers over without, {pairs} pairs of turns of {TURN:?}:"
    );
    for (name, ratios, worse) in [
        ("requests per second", rates, -1.0),
        ("processor time per request", times, 1.0),
    ] {
        let (mean, half) = interval(&ratios);
        let [low, mean, high] = [mean - half, mean, mean + half].map(|of| 100.0 * (of - 1.0));
        let worst = f64::max(low * worse, high * worse);
        let verdict = if worst < 1.0 {
            "excludes"
        } else {
            "does not exclude"
        };
        println!(
            "  {name:28} {mean:+6.2} %, interval of 95 %: {low:+.2} to {high:+.2} %, which {verdict} a loss of 1 %"
        );
    }
    Ok(())
}

/// The mean, and half of its interval of 95 % (normal: for 30 pairs and more).
fn interval(of: &[f64]) -> (f64, f64) {
    let count = of.len() as f64;
    let mean = of.iter().sum::<f64>() / count;
    let squares = of.iter().map(|one| (one - mean).powi(2)).sum::<f64>();
    (mean, 1.96 * (squares / (count - 1.0) / count).sqrt())
}

/// One turn, in a runtime of its own.
fn turn(with_board: bool) -> Result<(f64, f64), String> {
    let run = async {
        let (addr, _metrics) = serve(with_board).await?;
        let bytes = Arc::new(AtomicU64::new(0));
        for _ in 0..if with_board { VIEWERS } else { 0 } {
            tokio::spawn(viewer(addr, Arc::clone(&bytes)));
        }
        throughput(addr, TURN).await
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(run).map_err(|error| error.to_string())
}
