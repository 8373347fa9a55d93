//! The load generator: open loop, in a process of its own.
//!
//! Requests are sent when they are due, whether or not earlier ones were answered, and their latency
//! counts from then. So a stall of the server counts for each request that was due meanwhile (no
//! coordinated omission). The largest delay behind the schedule is part of the result.

mod arrivals;
mod client;
mod record;

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, interval_at, sleep_until},
};

use self::{
    arrivals::Dice,
    client::{Client, Want},
    record::Recorder,
};
use crate::{
    arrival::Arrival,
    proc::{self, Commands},
    settings::CLIENT_SOCKETS,
    tally::{Line, Load, Schedule},
};

/// Runs the loads of its commands in order. Prints a line per second and one at the end of a load.
pub(crate) async fn run(mut commands: Commands) -> io::Result<()> {
    proc::go_first();
    while let Some(command) = commands.next().await {
        let load = serde_json::from_str(&command)?;
        play(&load).await?;
    }
    Ok(())
}

async fn play(load: &Load) -> io::Result<()> {
    // A trace is read before the clock starts.
    let arrivals = arrivals::of(load)?;
    let recorder = Arc::new(Recorder::new());
    let start = Instant::now() + Duration::from_millis(20);
    let seconds = tokio::spawn(report_seconds(Arc::clone(&recorder), start));
    let stage = Stage {
        client: Arc::new(Client::new(load.target)),
        recorder: Arc::clone(&recorder),
        deadline: Duration::from_millis(load.deadline_ms),
    };
    match (&load.schedule, arrivals) {
        (Schedule::Closed { clients }, _) => stage.closed(start, load, *clients).await,
        (_, arrivals) => stage.open(start, arrivals, load).await,
    }
    seconds.abort();
    print(&Line::Total(
        recorder.total(Duration::from_secs_f64(load.seconds)),
    ))
}

/// State shared by all requests of a load.
#[derive(Clone)]
struct Stage {
    client: Arc<Client>,
    recorder: Arc<Recorder>,
    deadline: Duration,
}

impl Stage {
    /// Sends each request when it is due, and returns when all requests have ended.
    async fn open(&self, start: Instant, arrivals: impl Iterator<Item = Arrival>, load: &Load) {
        let sockets = Arc::new(Semaphore::new(CLIENT_SOCKETS));
        let mut dice = Dice::new(load.seed ^ 1);
        for arrival in arrivals {
            let due = start + arrival.at;
            sleep_until(due).await;
            let auction = Want::Auction {
                publisher: arrival.publisher,
                cost: arrival.cost,
            };
            self.send(&sockets, auction, due);
            if let Some(criticality) = dice.impression() {
                let publisher = arrival.publisher;
                self.send(
                    &sockets,
                    Want::Impression {
                        publisher,
                        criticality,
                    },
                    due,
                );
            }
        }
        sleep_until(start + Duration::from_secs_f64(load.seconds)).await;
        // With all sockets free no request is in flight. The deadline bounds this wait.
        _ = sockets.acquire_many(CLIENT_SOCKETS as u32).await;
    }

    fn send(&self, sockets: &Arc<Semaphore>, want: Want, due: Instant) {
        self.recorder.offered(want);
        let Ok(socket) = Arc::clone(sockets).try_acquire_owned() else {
            self.recorder.unsent(want);
            return;
        };
        let stage = self.clone();
        tokio::spawn(async move {
            // In the request's own task, so that the lag includes a shortage of processor time.
            stage.recorder.sending(due.elapsed());
            let ending = stage.client.call(want, due + stage.deadline).await;
            stage.recorder.ended(want, due.elapsed(), &ending);
            drop(socket);
        });
    }

    /// Runs this number of clients, with one request at a time each.
    async fn closed(&self, start: Instant, load: &Load, clients: usize) {
        let end = start + Duration::from_secs_f64(load.seconds);
        let mut tasks = JoinSet::new();
        for seed in 0..clients as u64 {
            let stage = self.clone();
            let mut dice = Dice::new(load.seed ^ (seed << 8));
            tasks.spawn(async move {
                sleep_until(start).await;
                while Instant::now() < end {
                    let due = Instant::now();
                    let want = Want::Auction {
                        publisher: dice.modest_publisher(),
                        cost: 1.0,
                    };
                    stage.recorder.offered(want);
                    let ending = stage.client.call(want, due + stage.deadline).await;
                    if Instant::now() < end {
                        stage.recorder.ended(want, due.elapsed(), &ending);
                    }
                }
            });
        }
        _ = tasks.join_all().await;
    }
}

/// Prints a line each second.
async fn report_seconds(recorder: Arc<Recorder>, start: Instant) {
    let second = Duration::from_secs(1);
    let mut ticks = interval_at(start + second, second);
    loop {
        ticks.tick().await;
        if print(&Line::Second(recorder.second(second))).is_err() {
            // The parent process has ended.
            std::process::exit(1);
        }
    }
}

fn print(line: &Line) -> io::Result<()> {
    writeln!(io::stdout(), "{}", serde_json::to_string(line)?)
}
