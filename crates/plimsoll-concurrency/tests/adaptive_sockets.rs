//! The adaptive limit over real sockets: callers that hang up, 404s, and a flood after idle time.
//!
//! Real time. Each test judges a ratio within its own run, so that a slow machine slows both sides.
//! They are a program of their own and run one after the other: with both processors busy, callers
//! come late, and the figures are those of the machine.
#![cfg(not(loom))]

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use plimsoll_concurrency::ConcurrencyLimit;
use plimsoll_core::GateLayer;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

/// Held by the test that runs.
static ALONE: Semaphore = Semaphore::const_new(1);

const MS: Duration = Duration::from_millis(1);
/// Longer than any request takes.
const PATIENCE: Duration = Duration::from_secs(60);
const WORKERS: usize = 20;
/// Run time of a request.
const SERVICE: Duration = Duration::from_millis(30);
/// Capacity in requests per second.
const CAPACITY: f64 = WORKERS as f64 / 0.03;

/// A pool of workers behind the adaptive limit.
#[derive(Clone)]
struct Server {
    addr: SocketAddr,
    workers: Arc<Semaphore>,
    /// Keep-alive connections without a request.
    idle: Arc<Mutex<Vec<Client>>>,
    /// Responses by [`Answer`].
    answers: Arc<[AtomicU32; 3]>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    Done,
    Rejected,
    Other,
}

impl Server {
    /// Starts a server with `workers`, which answers `not_found` of ten requests with 404.
    async fn start(workers: usize, not_found: u32) -> Self {
        let pool = Arc::new(Semaphore::new(workers));
        let (shared, number) = (Arc::clone(&pool), Arc::new(AtomicU32::new(0)));
        let work = move || {
            let (pool, number) = (Arc::clone(&shared), Arc::clone(&number));
            async move {
                let _worker = pool.acquire().await;
                sleep(SERVICE).await;
                // Steps of 7 mix the two statuses.
                if number.fetch_add(7, Relaxed) % 10 < not_found {
                    StatusCode::NOT_FOUND
                } else {
                    StatusCode::OK
                }
            }
        };
        let app = Router::new()
            .route("/", get(work))
            .layer(GateLayer::new(ConcurrencyLimit::adaptive()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            addr,
            workers: pool,
            idle: Arc::default(),
            answers: Arc::default(),
        }
    }

    /// Sends one request over a kept connection, or a new one.
    async fn call(&self) -> Answer {
        let idle = self.idle.lock().unwrap().pop();
        let mut client = match idle {
            Some(client) => client,
            None => Client::connect(self.addr).await.unwrap(),
        };
        let answer = match timeout(PATIENCE, client.status())
            .await
            .expect("an answer")
            .unwrap()
        {
            200 | 404 => Answer::Done,
            503 => Answer::Rejected,
            _ => Answer::Other,
        };
        self.idle.lock().unwrap().push(client);
        self.answers[answer as usize].fetch_add(1, Relaxed);
        answer
    }

    /// Sends requests at a steady rate, whether or not the earlier ones were answered.
    async fn offer(&self, per_second: f64, time: Duration) {
        let mut ticks = interval(Duration::from_secs_f64(1.0 / per_second));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let since = Instant::now();
        while since.elapsed() < time {
            ticks.tick().await;
            let server = self.clone();
            tokio::spawn(async move { server.call().await });
        }
    }

    /// The share of the workers that were busy in this time.
    async fn busy(&self, time: Duration) -> f64 {
        let (since, mut busy, mut looks) = (Instant::now(), 0.0, 0.0);
        while since.elapsed() < time {
            let free = self.workers.available_permits() as f64;
            busy += 1.0 - free / WORKERS as f64;
            looks += 1.0;
            sleep(2 * MS).await;
        }
        busy / looks
    }

    /// Responses so far, by [`Answer`].
    fn answers(&self) -> [u32; 3] {
        std::array::from_fn(|kind| self.answers[kind].load(Relaxed))
    }

    fn answers_since(&self, before: [u32; 3]) -> [u32; 3] {
        let answers = self.answers();
        std::array::from_fn(|kind| answers[kind] - before[kind])
    }
}

/// One HTTP/1.1 connection.
struct Client(TcpStream);

impl Client {
    async fn connect(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    async fn send(&mut self) -> io::Result<()> {
        self.0.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await
    }

    /// Sends a request and reads the whole response; returns its status.
    async fn status(&mut self) -> io::Result<u16> {
        self.send().await?;
        let mut bytes = Vec::new();
        while self.0.read_buf(&mut bytes).await? > 0 {
            if let Some(status) = whole_response(&bytes) {
                return Ok(status);
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// The status of a response, once all of its body is there.
fn whole_response(bytes: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    });
    let whole = body.len() == length?.parse::<usize>().ok()?;
    whole.then(|| head[9..12].parse().ok())?
}

/// The steady callers run alone for half a second, then both for two seconds.
///
/// Fails when cancelled calls are drops whatever they waited for, and their work counts as none.
#[tokio::test]
async fn steady_callers_are_served_while_as_many_others_hang_up() {
    const CALLERS: usize = 40;
    let _alone = ALONE.acquire().await.unwrap();
    // A worker for each caller: the service has no capacity limit of its own.
    let server = Server::start(2 * CALLERS, 0).await;
    for _ in 0..CALLERS {
        let server = server.clone();
        tokio::spawn(async move {
            loop {
                if server.call().await != Answer::Done {
                    sleep(SERVICE).await;
                }
            }
        });
    }
    sleep(Duration::from_millis(500)).await;
    for _ in 0..CALLERS {
        let server = server.clone();
        tokio::spawn(async move {
            loop {
                let mut client = Client::connect(server.addr).await.unwrap();
                client.send().await.unwrap();
                _ = timeout(SERVICE / 4, client.0.readable()).await;
            }
        });
    }
    let before = server.answers();
    sleep(Duration::from_secs(2)).await;
    let [done, rejected, other] = server.answers_since(before);
    let served = f64::from(done) / f64::from(done + rejected + other);
    assert!(
        done > 500 && served >= 0.98,
        "{done} done, {rejected} rejected"
    );
}

#[tokio::test]
async fn a_service_with_more_404s_than_successes_stays_busy() {
    let _alone = ALONE.acquire().await.unwrap();
    let server = Server::start(WORKERS, 6).await;
    let load = server.offer(2.0 * CAPACITY, Duration::from_millis(2_900));
    let busy = async {
        // The first probe of a cold limit leaves a fourth of the workers idle for up to 0.5 s.
        sleep(Duration::from_millis(1_500)).await;
        server.busy(Duration::from_millis(1_400)).await
    };
    let ((), busy) = tokio::join!(load, busy);
    let [_, rejected, other] = server.answers();
    assert!(busy >= 0.95, "{busy} of the workers were busy");
    assert!(
        rejected > 0 && other == 0,
        "{rejected} rejected, {other} other"
    );
}

/// Fails when a window that holds both loads is taken for one of the flood, and when it is tracked.
#[tokio::test]
async fn the_first_second_of_a_flood_after_idle_time_is_served() {
    let _alone = ALONE.acquire().await.unwrap();
    let server = Server::start(WORKERS, 0).await;
    // 1.1 in flight: too many for an idle limit, whose window would start again with the flood. The
    // second window is nearly full when the flood begins, and holds mostly the time before it.
    server.offer(38.0, Duration::from_millis(1_600)).await;
    let before = server.answers();
    server.offer(0.8 * CAPACITY, Duration::from_secs(1)).await;
    sleep(4 * SERVICE).await;
    let [done, rejected, other] = server.answers_since(before);
    let served = f64::from(done) / f64::from(done + rejected + other);
    assert!(
        served >= 0.85,
        "{done} done, {rejected} rejected, {other} other"
    );
    assert!(f64::from(done) > 0.5 * CAPACITY, "{done} done");
}
