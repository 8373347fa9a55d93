//! The task that owns a connection: takes questions from a bounded queue, sends them in batches,
//! and connects again when it has to.

mod settle;

use std::{sync::Arc, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use redis::{RedisError, Value};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    Disconnected,
    connection::{Connection, open},
    counts::Counts,
    disconnected::Topology,
    job::{Ask, Change, Failed, GiveBack, Job},
    link_settings::LinkSettings,
    redis_clock::RedisClock,
    up::Up,
};

/// Questions in one pipeline. Larger ones would only make the first of them wait for the last.
const BATCH: usize = 128;
/// The first pause before connecting again, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));
/// A connection to a cluster ends after this many failures in a row, the last of them a stall after
/// the first (`a_cluster_that_dies_is_noticed_without_traffic`).
const STRIKES: u32 = 3;

pub(crate) struct Task {
    settings: Arc<LinkSettings>,
    jobs: mpsc::Receiver<Job>,
    up: Arc<Up>,
    clock: RedisClock,
    /// What came too late for those who had asked.
    returns: Vec<GiveBack>,
    changes: Vec<Change>,
    /// Whether this connection has given a good answer: only then the next pause is short again.
    proven: bool,
    /// Failures since the last good answer, and when the first of them came. Of a cluster.
    strikes: Option<(u32, Instant)>,
    /// Which probe is next.
    probe: usize,
}

/// Why a connection is given up.
enum End {
    /// It broke, stands still, or leads to a server that cannot decide.
    Lost(Disconnected),
    /// The limit was dropped.
    Dropped,
}

/// What is sent together. With nothing in it, it is a probe.
#[derive(Default)]
struct Batch {
    asks: Vec<Ask>,
    returns: Vec<GiveBack>,
    changes: Vec<Change>,
}

/// A batch and what came of it.
struct Done {
    batch: Batch,
    sent: Instant,
    values: Result<Vec<Value>, RedisError>,
}

impl Task {
    pub(crate) fn new(settings: Arc<LinkSettings>, jobs: mpsc::Receiver<Job>, up: Arc<Up>) -> Self {
        Self {
            settings,
            jobs,
            up,
            clock: RedisClock::new(),
            returns: Vec::new(),
            changes: Vec::new(),
            proven: false,
            strikes: None,
            probe: 0,
        }
    }

    pub(crate) async fn run(mut self) {
        let mut pause = BACKOFF.0;
        loop {
            let opened = tokio::select! {
                opened = open(&self.settings) => opened,
                () = reject_all(&mut self.jobs, &self.settings.counts) => return,
            };
            let why = match opened {
                Ok(opened) => {
                    self.clock = RedisClock::new();
                    if let Some((micros, asked)) = opened.clock {
                        self.clock.read(micros, asked);
                    }
                    (self.proven, self.strikes) = (false, None);
                    self.up.set(None);
                    let end = self.serve(&opened.connection).await;
                    let End::Lost(why) = end else { return };
                    self.settings.counts.lost.add();
                    if self.proven {
                        pause = BACKOFF.0;
                    }
                    why
                }
                Err(why) => why,
            };
            self.up.set(Some(why));
            self.settings.log(why);
            tokio::select! {
                () = sleep(pause) => {}
                () = reject_all(&mut self.jobs, &self.settings.counts) => return,
            }
            pause = (2 * pause).min(BACKOFF.1);
        }
    }

    async fn serve(&mut self, connection: &Connection) -> End {
        let mut in_flight = FuturesUnordered::new();
        let mut jobs = Vec::with_capacity(BATCH);
        let mut probe_at = None;
        loop {
            let (room, size) = connection.room(in_flight.len(), BATCH);
            let most = room.saturating_mul(size).min(BATCH);
            tokio::select! {
                biased;
                Some(done) = in_flight.next(), if !in_flight.is_empty() => {
                    let settled = match self.settle(done) {
                        Ok(settled) => settled,
                        Err(why) => return End::Lost(why),
                    };
                    // The scripts were flushed (`SCRIPT FLUSH`).
                    if settled.forgotten {
                        match connection.reload(&self.settings).await {
                            Ok(Some((micros, asked))) => self.clock.read(micros, asked),
                            Ok(None) => {}
                            Err(why) => return End::Lost(why),
                        }
                    }
                    for batch in self.batches(settled.again, size) {
                        in_flight.push(self.send(connection, batch));
                    }
                    let stall = self.settings.stall();
                    probe_at = self.strikes.and(probe_at.or(Some(Instant::now() + stall)));
                }
                // Whether any node answers must be known though no request asks.
                () = sleep_until(probe_at.unwrap_or_else(Instant::now)), if probe_at.is_some() => {
                    probe_at = None;
                    in_flight.push(self.send(connection, Batch::default()));
                }
                count = self.jobs.recv_many(&mut jobs, most), if most > 0 => {
                    if count == 0 {
                        return End::Dropped;
                    }
                    let asks = self.sort(&mut jobs);
                    for batch in self.batches(asks, size) {
                        in_flight.push(self.send(connection, batch));
                    }
                }
            }
        }
    }

    /// The questions that still have a waiting caller; the others are dropped.
    fn sort(&mut self, jobs: &mut Vec<Job>) -> Vec<Ask> {
        let mut asks = Vec::with_capacity(jobs.len());
        for job in jobs.drain(..) {
            match job {
                Job::Ask(ask) if !ask.asker.is_gone() => asks.push(ask),
                Job::Ask(_) => {}
                Job::GiveBack(give_back) => self.returns.push(give_back),
                Job::Change(change) => self.changes.push(change),
            }
        }
        asks
    }

    /// The questions and whatever else is to be sent: together, or each alone.
    fn batches(&mut self, asks: Vec<Ask>, size: usize) -> Vec<Batch> {
        let returns = std::mem::take(&mut self.returns);
        let changes = std::mem::take(&mut self.changes);
        let count = asks.len() + returns.len() + changes.len();
        if size > 1 || count <= 1 {
            let batch = Batch {
                asks,
                returns,
                changes,
            };
            return if count == 0 { Vec::new() } else { vec![batch] };
        }
        let mut batches = Vec::with_capacity(count);
        batches.extend(returns.into_iter().map(|back| Batch {
            returns: vec![back],
            ..Batch::default()
        }));
        batches.extend(asks.into_iter().map(|ask| Batch {
            asks: vec![ask],
            ..Batch::default()
        }));
        batches.extend(changes.into_iter().map(|change| Batch {
            changes: vec![change],
            ..Batch::default()
        }));
        batches
    }

    fn send(
        &mut self,
        connection: &Connection,
        batch: Batch,
    ) -> impl Future<Output = Done> + use<> {
        let LinkSettings {
            scripts, deadline, ..
        } = &*self.settings;
        let sent = Instant::now();
        let not_after = self.clock.not_after(sent, *deadline);
        let mut commands = Vec::with_capacity(batch.asks.len() + batch.returns.len());
        for ask in &batch.asks {
            commands.push(scripts.ask(ask.digest, ask.least, ask.most, not_after));
        }
        for back in &batch.returns {
            commands.push(scripts.give_back(back.digest, back.count, back.at));
        }
        for change in &batch.changes {
            commands.push(scripts.change(change.digest, change.tokens));
        }
        if commands.is_empty() {
            commands.push(scripts.probe(self.probe));
            self.probe = self.probe.wrapping_add(1);
        }
        let connection = connection.clone();
        async move {
            let values = connection.send(commands).await;
            Done {
                batch,
                sent,
                values,
            }
        }
    }

    fn topology(&self) -> Topology {
        self.settings.target.topology()
    }
}

/// Answers every question with a failure, until the link is dropped.
async fn reject_all(jobs: &mut mpsc::Receiver<Job>, counts: &Counts) {
    while let Some(job) = jobs.recv().await {
        match job {
            Job::Ask(ask) => _ = ask.asker.answer(Err(Failed::Lost)),
            Job::GiveBack(_) => counts.refunds_dropped.add(),
            Job::Change(change) => _ = change.sender.send(Err(Failed::Lost)),
        }
    }
}
