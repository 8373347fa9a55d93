//! The load: a closed loop that measures the capacity, and an open loop at a fixed rate.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use benches::cases::Empty;
use http::{HeaderName, Request, StatusCode, header::HOST, request};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use plimsoll_core::{Criticality, support::grpc_timeout, wire::CRITICALITY};
use tokio::{
    net::TcpStream,
    runtime::Builder,
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};

use crate::{
    Failed,
    server::{Server, Work},
};

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// Bound of requests in flight: further ones count as failed and are not sent.
const MOST: usize = 4000;
/// Time before a measurement, so that connections and limits are settled.
const WARM_UP: Duration = Duration::from_secs(1);
/// How long the capacity is measured.
const CAPACITY: Duration = Duration::from_millis(600);
/// Priorities of the requests: one in four is more important than the others.
const CALLERS: [Criticality; 4] = [
    Criticality::CriticalPlus,
    Criticality::Critical,
    Criticality::Critical,
    Criticality::Critical,
];

/// The results of the requests of an open loop.
#[derive(Debug, Default)]
pub struct Seen {
    pub sent: u64,
    /// How long the server's thread waited for a processor.
    pub away: Duration,
    /// Latencies in milliseconds of the requests answered in time, sorted.
    pub in_time: Vec<f64>,
    pub refused: u64,
    pub late: u64,
    pub failed: u64,
}

enum End {
    InTime(f64),
    Refused,
    Late,
    Failed,
}

impl Seen {
    fn count(&mut self, end: &End) {
        self.sent += 1;
        match end {
            End::InTime(millis) => self.in_time.push(*millis),
            End::Refused => self.refused += 1,
            End::Late => self.late += 1,
            End::Failed => self.failed += 1,
        }
    }

    pub fn quantile(&self, at: f64) -> f64 {
        let last = self.in_time.len().saturating_sub(1);
        let millis = self.in_time.get((last as f64 * at) as usize);
        millis.copied().unwrap_or(f64::NAN)
    }
}

/// Answers per second of a closed loop with `slots` clients.
pub fn capacity(server: &Server, work: Work) -> Result<f64, Failed> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut clients = JoinSet::new();
        let from = Instant::now() + WARM_UP / 5;
        let (addr, to) = (server.addr, from + CAPACITY);
        for _ in 0..work.slots() {
            clients.spawn(async move {
                let (mut client, mut answered) = (connect(addr).await?, 0_u64);
                while Instant::now() < to {
                    ask(&mut client, work.deadline(), Criticality::Critical).await?;
                    answered += u64::from((from..to).contains(&Instant::now()));
                }
                Ok::<_, Failed>(answered)
            });
        }
        sleep_until(from).await;
        let before = server.away();
        sleep_until(to).await;
        let away = server.away().saturating_sub(before);
        let mut answered = 0;
        for count in clients.join_all().await {
            answered += count?;
        }
        Ok(answered as f64 / work.possible(CAPACITY, away).as_secs_f64())
    })
}

/// Sends `rate` requests per second for `turns` turns of `time`, without a pause, independent of
/// the answers. Arrivals are a Poisson process, as of many callers. Each request is dropped at its
/// deadline, which counts from when it was due.
pub fn open_loop(
    server: &Server,
    rate: f64,
    turns: usize,
    time: Duration,
    deadline: Duration,
) -> Result<Vec<Seen>, Failed> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut turns: Vec<_> = (0..turns).map(|_| Seen::default()).collect();
    runtime.block_on(async {
        let (addr, idle) = (server.addr, Idle::default());
        let (mut calls, mut random) = (JoinSet::new(), fastrand::Rng::with_seed(1));
        let mut due = Instant::now();
        let mut from = due + WARM_UP;
        while due < from {
            sleep_until(due).await;
            calls.spawn(call(
                addr,
                idle.clone(),
                Criticality::Critical,
                due,
                deadline,
            ));
            due += apart(rate, &mut random);
        }
        for turn in 0..turns.len() {
            let (away, end) = (server.away(), from + time);
            while due < end {
                sleep_until(due).await;
                let caller = CALLERS[random.usize(..CALLERS.len())];
                if calls.len() < MOST {
                    calls.spawn(call(addr, idle.clone(), caller, due, deadline));
                } else {
                    turns[turn].count(&End::Failed);
                }
                while let Some(Ok((due, end))) = calls.try_join_next() {
                    // Counted in the turn in which it was due, or in the one before: later is not
                    // possible.
                    match due.checked_duration_since(from) {
                        Some(_) => turns[turn].count(&end),
                        None if turn > 0 => turns[turn - 1].count(&end),
                        None => {}
                    }
                }
                due += apart(rate, &mut random);
            }
            turns[turn].away = server.away().saturating_sub(away);
            from = end;
        }
        while let Some(Ok((_, end))) = calls.join_next().await {
            if let Some(last) = turns.last_mut() {
                last.count(&end);
            }
        }
    });
    for turn in &mut turns {
        turn.in_time.sort_by(f64::total_cmp);
    }
    Ok(turns)
}

/// The time to the next request.
fn apart(rate: f64, random: &mut fastrand::Rng) -> Duration {
    Duration::from_secs_f64(-(1.0 - random.f64()).ln() / rate)
}

/// Connections without a request.
#[derive(Clone, Default)]
struct Idle(Arc<Mutex<Vec<SendRequest<Empty>>>>);

impl Idle {
    fn with<R>(&self, act: impl FnOnce(&mut Vec<SendRequest<Empty>>) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Sends a request; returns when it was due, and its end.
async fn call(
    addr: SocketAddr,
    idle: Idle,
    caller: Criticality,
    due: Instant,
    deadline: Duration,
) -> (Instant, End) {
    let asked = timeout_at(due + deadline, async {
        let mut client = match idle.with(Vec::pop) {
            Some(client) if client.is_ready() => client,
            _ => connect(addr).await?,
        };
        let left = deadline.saturating_sub(due.elapsed());
        let status = ask(&mut client, left, caller).await?;
        idle.with(|idle| idle.push(client));
        Ok::<_, Failed>(status)
    });
    let end = match asked.await {
        Ok(Ok(StatusCode::OK)) => End::InTime(due.elapsed().as_secs_f64() * 1e3),
        // 504: the remaining time would not have been enough.
        Ok(Ok(StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)) => End::Refused,
        Ok(_) => End::Failed,
        Err(_) => End::Late,
    };
    (due, end)
}

pub async fn connect(addr: SocketAddr) -> Result<SendRequest<Empty>, Failed> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let (client, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Sends a request with its deadline and its priority in headers.
async fn ask(
    client: &mut SendRequest<Empty>,
    left: Duration,
    caller: Criticality,
) -> Result<StatusCode, Failed> {
    let mut request = Request::get("/").header(CRITICALITY, caller.as_str());
    if let Some(timeout) = grpc_timeout(left) {
        request = request.header(GRPC_TIMEOUT, timeout);
    }
    send(client, request).await.map(|(status, _)| status)
}

pub async fn ask_for(
    client: &mut SendRequest<Empty>,
    path: &str,
) -> Result<(StatusCode, Vec<u8>), Failed> {
    send(client, Request::get(path)).await
}

async fn send(
    client: &mut SendRequest<Empty>,
    request: request::Builder,
) -> Result<(StatusCode, Vec<u8>), Failed> {
    let request = request.header(HOST, "ads.example").body(Empty::default())?;
    client.ready().await?;
    let response = client.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, body.into()))
}
