//! The task that owns a connection: sends questions from a bounded queue in batches, and
//! reconnects.

mod settle;
mod state;

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};

pub(crate) use self::state::Task;
use self::state::{Batch, Done};
use crate::{
    Disconnected,
    connection::{Connection, open},
    counts::Counts,
    failed::Failed,
    job::{Job, Question},
    link_settings::LinkSettings,
    redis_clock::RedisClock,
};

/// Questions in one pipeline. With larger ones the first question would wait for the last.
const BATCH: usize = 128;
/// The first and the longest pause before reconnecting.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));
/// Why a connection is closed.
enum End {
    /// It broke, stalled, or leads to a server that cannot decide.
    Lost(Disconnected),
    /// The limit was dropped.
    Dropped,
}

impl Task {
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
                    (self.proven, self.failures) = (false, None);
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
                    if settled.flushed {
                        match connection.reload(&self.settings).await {
                            Ok(Some((micros, asked))) => self.clock.read(micros, asked),
                            Ok(None) => {}
                            Err(why) => return End::Lost(why),
                        }
                    }
                    for batch in self.batches(settled.retry, size) {
                        in_flight.push(self.send(connection, batch));
                    }
                    let stall = self.settings.stall();
                    probe_at = self.failures.and(probe_at.or(Some(Instant::now() + stall)));
                }
                // Without traffic, a probe checks whether any node answers.
                () = sleep_until(probe_at.unwrap_or_else(Instant::now)), if probe_at.is_some() => {
                    probe_at = None;
                    in_flight.push(self.send(connection, Batch::default()));
                }
                count = self.jobs.recv_many(&mut jobs, most), if most > 0 => {
                    if count == 0 {
                        return End::Dropped;
                    }
                    let questions = self.sort(&mut jobs);
                    for batch in self.batches(questions, size) {
                        in_flight.push(self.send(connection, batch));
                    }
                }
            }
        }
    }

    /// Returns the questions whose request still waits, and collects refunds and changes.
    fn sort(&mut self, jobs: &mut Vec<Job>) -> Vec<Question> {
        let mut questions = Vec::with_capacity(jobs.len());
        for job in jobs.drain(..) {
            match job {
                Job::Question(question) if !question.recipient.is_cancelled() => {
                    questions.push(question);
                }
                Job::Question(_) => {}
                Job::Refund(refund) => self.refunds.push(refund),
                Job::Change(change) => self.changes.push(change),
            }
        }
        questions
    }

    /// Distributes all jobs to batches: one batch, or one per job.
    fn batches(&mut self, questions: Vec<Question>, size: usize) -> Vec<Batch> {
        let refunds = std::mem::take(&mut self.refunds);
        let changes = std::mem::take(&mut self.changes);
        let count = questions.len() + refunds.len() + changes.len();
        if size > 1 || count <= 1 {
            let batch = Batch {
                questions,
                refunds,
                changes,
            };
            return if count == 0 { Vec::new() } else { vec![batch] };
        }
        let mut batches = Vec::with_capacity(count);
        batches.extend(refunds.into_iter().map(|refund| Batch {
            refunds: vec![refund],
            ..Batch::default()
        }));
        batches.extend(questions.into_iter().map(|question| Batch {
            questions: vec![question],
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
        let mut commands = Vec::with_capacity(batch.questions.len() + batch.refunds.len());
        for question in &batch.questions {
            commands.push(scripts.ask(question.digest, question.least, question.most, not_after));
        }
        for refund in &batch.refunds {
            commands.push(scripts.refund(refund.digest, refund.count, refund.at));
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
}

/// Answers every question with a failure, until the link is dropped.
async fn reject_all(jobs: &mut mpsc::Receiver<Job>, counts: &Counts) {
    while let Some(job) = jobs.recv().await {
        match job {
            Job::Question(question) => _ = question.recipient.answer(Err(Failed::Lost)),
            Job::Refund(_) => counts.refunds_dropped.add(),
            Job::Change(change) => _ = change.sender.send(Err(Failed::Lost)),
        }
    }
}
