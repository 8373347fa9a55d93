//! The server: its own thread, and work with a known capacity.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use axum::Router;
use benches::queued::Queued;
use rustix::time::{ClockId, clock_gettime};
use tokio::{net::TcpListener, runtime::Builder, sync::Semaphore, task::yield_now, time::sleep};

use crate::Failed;

/// The work of a handler.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    /// Waits for one of `slots` places, as in a connection pool, and holds it for `time`.
    Sleeps { slots: usize, time: Duration },
    /// Uses the processor, and yields after each slice.
    Spins { slices: u32, slice: Duration },
}

impl Work {
    pub const SLEEPS: Self = Self::Sleeps {
        slots: 8,
        time: Duration::from_millis(20),
    };
    pub const SPINS: Self = Self::Spins {
        slices: 20,
        slice: Duration::from_micros(100),
    };

    pub const fn name(self) -> &'static str {
        match self {
            Self::Sleeps { .. } => "8 places for 20 ms each",
            Self::Spins { .. } => "2 ms of one processor",
        }
    }

    /// How many requests run at a time: the limit to set by hand.
    pub const fn slots(self) -> usize {
        match self {
            Self::Sleeps { slots, .. } => slots,
            Self::Spins { .. } => 4,
        }
    }

    /// The part of `time` in which work was possible, when the server's thread waited for a
    /// processor for `away`. Sleeps continue meanwhile, processor work does not.
    pub fn possible(self, time: Duration, away: Duration) -> Duration {
        match self {
            Self::Sleeps { .. } => time,
            Self::Spins { .. } => time.saturating_sub(away),
        }
    }

    /// Deadline of callers: ten times the latency with all slots in use.
    pub fn deadline(self) -> Duration {
        10 * match self {
            Self::Sleeps { time, .. } => time,
            Self::Spins { slices, slice } => self.slots() as u32 * slices * slice,
        }
    }
}

/// Does the work.
#[derive(Debug)]
pub struct Worker {
    work: Work,
    places: Semaphore,
}

impl Worker {
    pub fn new(work: Work) -> Self {
        Self {
            work,
            places: Semaphore::new(work.slots()),
        }
    }

    pub async fn work(&self) {
        match self.work {
            Work::Sleeps { time, .. } => {
                let _place = self.places.acquire().await;
                sleep(time).await;
            }
            Work::Spins { slices, slice } => {
                for _ in 0..slices {
                    let start = used();
                    while used().saturating_sub(start) < slice {}
                    yield_now().await;
                }
            }
        }
    }
}

/// Processor time of this thread: time of other threads is not work.
pub fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A server on its own thread, until the program ends.
pub struct Server {
    pub addr: SocketAddr,
    away: Arc<AtomicU64>,
}

impl Server {
    pub fn start(router: Router) -> Result<Self, Failed> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let server = Builder::new_current_thread().enable_all().build()?;
        let away = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&away);
        thread::spawn(move || {
            server.block_on(async {
                tokio::spawn(async move {
                    let mut queued = Queued::new();
                    loop {
                        told.fetch_add(queued.since().as_nanos() as u64, Relaxed);
                        sleep(Duration::from_millis(5)).await;
                    }
                });
                axum::serve(TcpListener::from_std(listener)?, router).await
            })
        });
        Ok(Self { addr, away })
    }

    /// How long its thread has waited for a processor, up to a few milliseconds ago.
    pub fn away(&self) -> Duration {
        Duration::from_nanos(self.away.load(Relaxed))
    }
}
