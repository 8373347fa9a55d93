//! One connection and the task that owns it: takes questions from a bounded queue, sends them as pipelines, and
//! connects again when it has to.

use std::{sync::Arc, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use redis::{AsyncConnectionConfig, RedisError, Value, aio::MultiplexedConnection};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use crate::{
    counts::Counts,
    job::{Ask, Change, Failed, GiveBack, Job},
    redis_clock::RedisClock,
    script::Scripts,
    up::Up,
};

/// Questions in one pipeline. Larger ones would only make the first of them wait for the last.
const BATCH: usize = 128;
/// Pipelines on their way at a time: while Redis works on one, the next is being written.
const IN_FLIGHT: usize = 2;
/// The first pause before connecting again, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// What the owner of a link sees of it.
#[derive(Debug)]
pub(crate) struct Link {
    jobs: mpsc::Sender<Job>,
    up: Arc<Up>,
}

/// What a link needs to know.
#[derive(Debug)]
pub(crate) struct LinkSettings {
    pub(crate) client: redis::Client,
    pub(crate) scripts: Arc<Scripts>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) deadline: Duration,
    pub(crate) queue: usize,
}

impl Link {
    /// Spawns the task, which ends when the link is dropped.
    pub(crate) fn spawn(settings: Arc<LinkSettings>) -> Self {
        let (sender, jobs) = mpsc::channel(settings.queue);
        let up = Arc::new(Up::default());
        let task = Task {
            returns: Vec::new(),
            changes: Vec::new(),
            clock: RedisClock::new(),
            up: Arc::clone(&up),
            settings,
            jobs,
        };
        tokio::spawn(task.run());
        Self { jobs: sender, up }
    }

    /// Whether there is a connection, as far as is known.
    pub(crate) fn is_up(&self) -> bool {
        self.up.is_set()
    }

    /// Waits until there is a connection.
    pub(crate) async fn wait_up(&self) {
        self.up.wait().await;
    }

    /// Queues a job, or gives it back when the queue is full.
    pub(crate) fn send(&self, job: Job) -> Result<(), Job> {
        self.jobs
            .try_send(job)
            .map_err(mpsc::error::TrySendError::into_inner)
    }
}

struct Task {
    settings: Arc<LinkSettings>,
    jobs: mpsc::Receiver<Job>,
    up: Arc<Up>,
    clock: RedisClock,
    /// What came too late for those who had asked.
    returns: Vec<GiveBack>,
    changes: Vec<Change>,
}

/// Why a connection is given up.
enum End {
    /// It broke, or stands still.
    Lost,
    /// Nobody will ask any more.
    Dropped,
}

/// A pipeline and what came of it.
struct Done {
    asks: Vec<Ask>,
    returns: Vec<GiveBack>,
    changes: Vec<Change>,
    sent: Instant,
    values: Result<Vec<Value>, RedisError>,
}

impl Task {
    async fn run(mut self) {
        let mut pause = BACKOFF.0;
        loop {
            let connected = tokio::select! {
                connected = connect(&self.settings) => connected,
                () = refuse_all(&mut self.jobs, &self.settings.counts) => return,
            };
            if let Some((connection, now)) = connected {
                pause = BACKOFF.0;
                self.clock.read(now.0, now.1);
                self.up.set(true);
                let end = self.serve(&connection).await;
                self.up.set(false);
                self.clock = RedisClock::new();
                if let End::Dropped = end {
                    return;
                }
                self.settings.counts.lost.add();
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = refuse_all(&mut self.jobs, &self.settings.counts) => return,
            }
            pause = (2 * pause).min(BACKOFF.1);
        }
    }

    async fn serve(&mut self, connection: &MultiplexedConnection) -> End {
        let mut in_flight = FuturesUnordered::new();
        let mut jobs = Vec::with_capacity(BATCH);
        loop {
            let free = in_flight.len() < IN_FLIGHT;
            tokio::select! {
                biased;
                Some(done) = in_flight.next(), if !in_flight.is_empty() => {
                    let Some((again, forgotten)) = self.settle(done) else { return End::Lost };
                    // Somebody told Redis to forget its scripts.
                    if forgotten && self.load(connection).await.is_none() {
                        return End::Lost;
                    }
                    if !again.is_empty() || self.has_more() {
                        in_flight.push(self.pipeline(connection, again));
                    }
                }
                count = self.jobs.recv_many(&mut jobs, BATCH), if free => {
                    if count == 0 {
                        return End::Dropped;
                    }
                    let asks = self.sort(&mut jobs);
                    if !asks.is_empty() || self.has_more() {
                        in_flight.push(self.pipeline(connection, asks));
                    }
                }
            }
        }
    }

    /// Whether there is anything to send besides questions.
    fn has_more(&self) -> bool {
        !self.returns.is_empty() || !self.changes.is_empty()
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

    /// Sends the questions, and whatever is to be given back, as one pipeline.
    fn pipeline(
        &mut self,
        connection: &MultiplexedConnection,
        asks: Vec<Ask>,
    ) -> impl Future<Output = Done> + use<> {
        let LinkSettings {
            scripts, deadline, ..
        } = &*self.settings;
        let sent = Instant::now();
        let not_after = self.clock.not_after(sent, *deadline);
        let returns = std::mem::take(&mut self.returns);
        let changes = std::mem::take(&mut self.changes);
        let mut pipeline = redis::Pipeline::with_capacity(asks.len() + returns.len());
        for ask in &asks {
            pipeline.add_command(scripts.ask(ask.digest, ask.least, ask.most, not_after));
        }
        for back in &returns {
            pipeline.add_command(scripts.give_back(back.digest, back.count, back.at));
        }
        for change in &changes {
            pipeline.add_command(scripts.change(change.digest, change.tokens));
        }
        let mut connection = connection.clone();
        async move {
            let count = pipeline.len();
            let values = connection.send_packed_commands(&pipeline, 0, count).await;
            Done {
                asks,
                returns,
                changes,
                sent,
                values,
            }
        }
    }

    /// Answers the questions and changes; `None` when the connection is of no use any more.
    /// Commands that Redis answered with `NOSCRIPT` are sent once more: the questions are returned,
    /// the others put aside, and whether there were any.
    fn settle(&mut self, done: Done) -> Option<(Vec<Ask>, bool)> {
        let Done {
            asks,
            returns,
            changes,
            sent,
            values,
        } = done;
        let counts = &self.settings.counts;
        let Ok(values) = values else {
            for ask in asks {
                ask.asker.answer(Err(Failed::Lost));
            }
            for change in changes {
                _ = change.sender.send(Err(Failed::Lost));
            }
            // Perhaps they were read all the same.
            for _ in returns {
                counts.refunds_dropped.add();
            }
            return None;
        };
        let (mut again, mut values) = (Vec::new(), values.into_iter());
        let mut forgotten = false;
        for mut ask in asks {
            let value = values.next().unwrap_or_default();
            let answer = match &value {
                Value::ServerError(error) if error.code() == "NOSCRIPT" && !ask.again => {
                    (ask.again, forgotten) = (true, true);
                    again.push(ask);
                    continue;
                }
                Value::ServerError(_) => Err(Failed::Error),
                _ => self
                    .settings
                    .scripts
                    .read(&value, ask.least, ask.most)
                    .ok_or(Failed::Nonsense),
            };
            if let Ok(reply) = &answer {
                self.clock.read(reply.at(), sent);
            }
            let digest = ask.digest;
            if let Some((count, at)) = ask.asker.answer(answer) {
                counts.came_late.add();
                if self.returns.len() < self.settings.queue {
                    self.returns.push(GiveBack {
                        digest,
                        count,
                        at,
                        again: false,
                    });
                } else {
                    counts.refunds_dropped.add();
                }
            }
        }
        for mut back in returns {
            match values.next() {
                Some(Value::Int(_)) => {}
                Some(Value::ServerError(error)) if error.code() == "NOSCRIPT" && !back.again => {
                    (back.again, forgotten) = (true, true);
                    self.returns.push(back);
                }
                _ => counts.refunds_dropped.add(),
            }
        }
        for mut change in changes {
            let answer = match values.next().unwrap_or_default() {
                Value::ServerError(error) if error.code() == "NOSCRIPT" && !change.again => {
                    (change.again, forgotten) = (true, true);
                    self.changes.push(change);
                    continue;
                }
                Value::Int(found @ (0 | 1)) => Ok(found == 1),
                Value::ServerError(_) => Err(Failed::Error),
                _ => Err(Failed::Nonsense),
            };
            _ = change.sender.send(answer);
        }
        Some((again, forgotten))
    }

    async fn load(&mut self, connection: &MultiplexedConnection) -> Option<()> {
        let (micros, asked) = load(&self.settings, connection.clone()).await?;
        self.clock.read(micros, asked);
        Some(())
    }
}

/// Answers every question with a failure, until the link is dropped.
async fn refuse_all(jobs: &mut mpsc::Receiver<Job>, counts: &Counts) {
    while let Some(job) = jobs.recv().await {
        match job {
            Job::Ask(ask) => _ = ask.asker.answer(Err(Failed::Lost)),
            Job::GiveBack(_) => counts.refunds_dropped.add(),
            Job::Change(change) => _ = change.sender.send(Err(Failed::Lost)),
        }
    }
}

/// A connection on which the scripts are known, and the time by Redis' clock.
async fn connect(settings: &LinkSettings) -> Option<(MultiplexedConnection, (u64, Instant))> {
    let stall = settings.stall();
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(settings.patience()))
        .set_response_timeout(Some(stall))
        .set_pipeline_buffer_size(IN_FLIGHT + 1);
    let connecting = settings
        .client
        .get_multiplexed_async_connection_with_config(&config);
    let connection = timeout(settings.patience(), connecting).await.ok()?.ok()?;
    let now = load(settings, connection.clone()).await?;
    Some((connection, now))
}

/// Loads the scripts and reads the time.
async fn load(
    settings: &LinkSettings,
    mut connection: MultiplexedConnection,
) -> Option<(u64, Instant)> {
    let asked = Instant::now();
    let pipeline = settings.scripts.load();
    let loaded = connection.send_packed_commands(&pipeline, 0, pipeline.len());
    let values = timeout(settings.patience(), loaded).await.ok()?.ok()?;
    let [
        Value::BulkString(_),
        Value::BulkString(_),
        Value::BulkString(_),
        Value::Array(time),
    ] = &values[..]
    else {
        return None;
    };
    let [Value::BulkString(seconds), Value::BulkString(micros)] = &time[..] else {
        return None;
    };
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<u64>().ok();
    let seconds = number(seconds)?.checked_mul(1_000_000)?;
    Some((seconds.checked_add(number(micros)?)?, asked))
}

impl LinkSettings {
    /// How long a pipeline may stand still before the connection is given up. Longer than any request waits: an answer
    /// that comes late is better than none, since its tokens can be given back.
    fn stall(&self) -> Duration {
        (10 * self.deadline).max(Duration::from_millis(250))
    }

    /// How long connecting may take. Nobody waits for it.
    fn patience(&self) -> Duration {
        self.stall().max(Duration::from_secs(1))
    }
}
