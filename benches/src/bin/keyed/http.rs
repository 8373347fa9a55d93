//! Rejections and accepts through an HTTP server on loopback, with one thread for the server and
//! one for the clients.

use std::{
    thread,
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use benches::cases::{
    Empty,
    bare::{API_KEY, HELLO},
    governor::{self, ApiKey},
    plimsoll,
};
use http::{Request, StatusCode, header::HOST};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use plimsoll_core::GateLayer;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, json};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Builder,
    task::JoinSet,
};
use tower_governor::key_extractor::GlobalKeyExtractor;

use crate::{
    Failed,
    report::{Bar, Limit, Report, median, rounded},
    scale::Scale,
};

/// Keep-alive connections that send requests at the same time.
const CONNECTIONS: usize = 4;
/// The path that returns the processor time of the server's thread.
const CPU: &str = "/cpu";

/// The limits: each has a route that accepts and a route that rejects.
const LIMITS: [&str; 5] = [
    "plimsoll/global",
    "plimsoll/announced",
    "plimsoll/keyed",
    "tower_governor/global",
    "tower_governor/keyed",
];

fn routes() -> Router {
    let mut router = Router::new().route("/bare/accept", get(hello));
    router = router.route(CPU, get(async || used().as_nanos().to_string()));
    for (what, quota, theirs) in [
        ("accept", plimsoll::AMPLE, governor::AMPLE),
        ("refuse", plimsoll::SPENT, governor::SPENT),
    ] {
        let path = |limit| format!("/{limit}/{what}");
        router = router
            .route(
                &path(LIMITS[0]),
                get(hello).layer(GateLayer::new(plimsoll::rate(quota))),
            )
            .route(
                &path(LIMITS[1]),
                get(hello).layer(GateLayer::new(plimsoll::announced(quota))),
            )
            .route(
                &path(LIMITS[2]),
                get(hello).layer(GateLayer::new(plimsoll::per_key(quota))),
            )
            .route(
                &path(LIMITS[3]),
                get(hello).layer(governor::layer(GlobalKeyExtractor, theirs)),
            )
            .route(
                &path(LIMITS[4]),
                get(hello).layer(governor::layer(ApiKey, theirs)),
            );
    }
    router
}

async fn hello() -> &'static str {
    HELLO
}

/// Processor time of this thread.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Nanoseconds per request of one turn.
#[derive(Debug, Clone, Copy)]
struct Turn {
    wall: f64,
    /// Processor time of the server's thread, with the kernel's part.
    cpu: f64,
}

struct Clients(Vec<SendRequest<Empty>>);

impl Clients {
    async fn connect(port: u16) -> Result<Self, Failed> {
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(("127.0.0.1", port)).await?;
            stream.set_nodelay(true)?;
            let (client, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            clients.push(client);
        }
        Ok(Self(clients))
    }

    /// Sends requests on all connections together, and checks their statuses.
    async fn turn(
        &mut self,
        path: &str,
        status: StatusCode,
        requests: usize,
    ) -> Result<Turn, Failed> {
        let each = requests.div_ceil(CONNECTIONS);
        let (cpu_before, begun, mut running) = (self.cpu().await?, Instant::now(), JoinSet::new());
        for mut client in self.0.drain(..) {
            let path = path.to_owned();
            running.spawn(async move {
                for _ in 0..each {
                    ask(&mut client, &path, status).await?;
                }
                Ok::<_, Failed>(client)
            });
        }
        for client in running.join_all().await {
            self.0.push(client?);
        }
        let wall = begun.elapsed();
        let cpu = self.cpu().await?.saturating_sub(cpu_before);
        let per_request = |time: Duration| time.as_nanos() as f64 / (each * CONNECTIONS) as f64;
        Ok(Turn {
            wall: per_request(wall),
            cpu: per_request(cpu),
        })
    }

    /// Sends one request that is accepted, and returns its body.
    async fn one(&mut self, path: &str) -> Result<Vec<u8>, Failed> {
        let client = self.0.first_mut().ok_or("no connections")?;
        ask(client, path, StatusCode::OK).await
    }

    async fn cpu(&mut self) -> Result<Duration, Failed> {
        let nanos = self.one(CPU).await?;
        Ok(Duration::from_nanos(std::str::from_utf8(&nanos)?.parse()?))
    }
}

async fn ask(
    client: &mut SendRequest<Empty>,
    path: &str,
    status: StatusCode,
) -> Result<Vec<u8>, Failed> {
    let request = Request::get(path)
        .header(HOST, "ads.example")
        .header(API_KEY, "publisher-0042")
        .body(Empty::default())?;
    client.ready().await?;
    let response = client.send_request(request).await?;
    if response.status() != status {
        return Err(format!("{path} answered {}, not {status}", response.status()).into());
    }
    Ok(response.into_body().collect().await?.to_bytes().into())
}

/// Turns of accepts and of rejections of one limit.
#[derive(Debug, Default)]
struct Rounds {
    accepts: Vec<Turn>,
    refusals: Vec<Turn>,
}

impl Rounds {
    /// The time of a rejection over that of an accept: the median of the rounds' ratios.
    fn ratio(&self, of: fn(&Turn) -> f64) -> f64 {
        let pairs = self.refusals.iter().zip(&self.accepts);
        median(
            pairs
                .map(|(refusal, accept)| of(refusal) / of(accept))
                .collect(),
        )
    }
}

fn middle(turns: &[Turn], of: fn(&Turn) -> f64) -> f64 {
    median(turns.iter().map(of).collect())
}

pub fn run(scale: Scale, report: &mut Report) -> Result<(), Failed> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let server = Builder::new_current_thread().enable_all().build()?;
    // The thread runs until the program ends.
    thread::spawn(move || {
        server.block_on(async { axum::serve(TcpListener::from_std(listener)?, routes()).await })
    });
    let clients = Builder::new_current_thread().enable_all().build()?;
    let (bare, rounds) = clients.block_on(measure(port, scale))?;
    show(&bare, &rounds, report);
    Ok(())
}

async fn measure(port: u16, scale: Scale) -> Result<(Vec<Turn>, [Rounds; LIMITS.len()]), Failed> {
    let mut clients = Clients::connect(port).await?;
    let (mut bare, mut rounds) = (Vec::new(), LIMITS.map(|_| Rounds::default()));
    for limit in LIMITS {
        // The only request within the quota.
        clients.one(&format!("/{limit}/refuse")).await?;
    }
    for _ in 0..scale.http {
        bare.push(
            clients
                .turn("/bare/accept", StatusCode::OK, scale.requests)
                .await?,
        );
        for (limit, rounds) in LIMITS.iter().zip(&mut rounds) {
            let (accept, refuse) = (format!("/{limit}/accept"), format!("/{limit}/refuse"));
            let turn = clients
                .turn(&accept, StatusCode::OK, scale.requests)
                .await?;
            rounds.accepts.push(turn);
            let turn = clients
                .turn(&refuse, StatusCode::TOO_MANY_REQUESTS, scale.requests)
                .await?;
            rounds.refusals.push(turn);
        }
    }
    Ok((bare, rounds))
}

fn show(bare: &[Turn], rounds: &[Rounds], report: &mut Report) {
    println!(
        "\nover HTTP on {CONNECTIONS} connections, median round: thousand answers per second, and microseconds of the server's processor\n{:<32}{:>10}{:>10}{:>10}{:>10}{:>14}{:>14}",
        "", "accepts/s", "refusals/s", "accept us", "refusal us", "ratio, cpu", "ratio, wall"
    );
    let wall = |turn: &Turn| turn.wall;
    let cpu = |turn: &Turn| turn.cpu;
    println!(
        "{:<32}{:>10.1}{:>10}{:>10.2}",
        "bare",
        1e6 / middle(bare, wall),
        "",
        middle(bare, cpu) / 1e3
    );
    let (mut figures, mut ours) = (Map::new(), Vec::new());
    for (limit, rounds) in LIMITS.iter().zip(rounds) {
        let (accepts, refusals) = (
            middle(&rounds.accepts, wall),
            middle(&rounds.refusals, wall),
        );
        let (accept, refusal) = (middle(&rounds.accepts, cpu), middle(&rounds.refusals, cpu));
        let (by_cpu, by_wall) = (rounds.ratio(cpu), rounds.ratio(wall));
        println!(
            "{limit:<32}{:>10.1}{:>10.1}{:>10.2}{:>10.2}{by_cpu:>14.2}{by_wall:>14.2}",
            1e6 / accepts,
            1e6 / refusals,
            accept / 1e3,
            refusal / 1e3
        );
        let entry = json!({
            "accepts_per_second": rounded(1e9 / accepts),
            "refusals_per_second": rounded(1e9 / refusals),
            "accept_cpu_ns": rounded(accept),
            "refusal_cpu_ns": rounded(refusal),
            "refusal_over_accept_cpu": rounded(by_cpu),
            "refusal_over_accept_wall": rounded(by_wall),
        });
        figures.insert((*limit).to_owned(), entry);
        if limit.starts_with("plimsoll/") {
            ours.push((format!("{limit}, server's processor"), by_cpu));
            ours.push((format!("{limit}, wall"), by_wall));
        }
    }
    report.figure("http", figures);
    report.bar(Bar {
        promise: "a refusal over HTTP, over an accept",
        limit: Limit::AtMost(1.5),
        cases: ours,
        floor: None,
    });
}
