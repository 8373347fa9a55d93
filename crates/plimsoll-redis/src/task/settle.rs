//! Delivers answers, and evaluates the state of the connection.

use redis::{ServerError, Value};
use tokio::time::Instant;

use super::state::{Batch, Done, Task};
use crate::{
    Disconnected,
    disconnected::Topology,
    failed::Failed,
    job::{Change, Question, Refund},
    script::Reply,
};

/// A connection to a cluster is closed after this many failures in a row, the last at least one
/// stall time after the first (`a_cluster_that_dies_is_noticed_without_traffic`).
const MAX_FAILURES: u32 = 3;

/// What is left to do after answers were delivered.
#[derive(Default)]
pub(super) struct Settled {
    /// Questions that Redis answered with `NOSCRIPT`, to be sent once more. Such refunds and
    /// changes are collected in the task.
    pub(super) retry: Vec<Question>,
    /// Whether there was any such answer.
    pub(super) flushed: bool,
}

impl Task {
    /// Answers the questions and changes. Returns an error when the connection must be closed.
    pub(super) fn settle(&mut self, done: Done) -> Result<Settled, Disconnected> {
        let Done {
            batch,
            sent,
            values,
        } = done;
        let values = match values {
            Ok(values) => values,
            Err(error) => {
                let why = Disconnected::because(error, self.topology());
                self.lose(batch);
                return match self.topology() {
                    Topology::One => Err(why),
                    Topology::Cluster => self.count_failure(why).map(|()| Settled::default()),
                };
            }
        };
        let mut down = None;
        for value in &values {
            if let Value::ServerError(error) = value {
                down = down.or_else(|| Disconnected::by(error, self.topology()));
            }
        }
        let good = values
            .iter()
            .any(|value| !matches!(value, Value::ServerError(_)));
        let mut settled = Settled::default();
        let mut values = values.into_iter();
        for question in batch.questions {
            let value = values.next().unwrap_or_default();
            self.settle_question(question, &value, sent, &mut settled);
        }
        for refund in batch.refunds {
            self.settle_refund(refund, values.next().unwrap_or_default(), &mut settled);
        }
        for change in batch.changes {
            self.settle_change(change, values.next().unwrap_or_default(), &mut settled);
        }
        if let Some(why) = down {
            self.lose(Batch {
                questions: settled.retry,
                ..Batch::default()
            });
            return Err(why);
        }
        if good {
            self.failures = None;
            if !self.proven {
                self.proven = true;
                self.settings.log_recovery();
            }
        } else if self.topology() == Topology::Cluster {
            self.count_failure(Disconnected::Unreachable)?;
        }
        Ok(settled)
    }

    fn settle_question(
        &mut self,
        mut question: Question,
        value: &Value,
        sent: Instant,
        settled: &mut Settled,
    ) {
        let answer = match value {
            Value::ServerError(error) if is_flushed(error) && !question.again => {
                (question.again, settled.flushed) = (true, true);
                settled.retry.push(question);
                return;
            }
            Value::ServerError(_) => Err(Failed::Error),
            _ => self
                .settings
                .scripts
                .read(value, question.least, question.most)
                .ok_or(Failed::Nonsense),
        };
        if let Ok(reply) = &answer {
            self.read_clock(reply, sent);
        }
        let digest = question.digest;
        if let Some((count, at)) = question.recipient.answer(answer) {
            self.settings.counts.came_late.add();
            if self.refunds.len() < self.settings.queue {
                self.refunds.push(Refund {
                    digest,
                    count,
                    at,
                    again: false,
                });
            } else {
                self.settings.counts.refunds_dropped.add();
            }
        }
    }

    fn settle_refund(&mut self, mut refund: Refund, value: Value, settled: &mut Settled) {
        match value {
            Value::Int(_) => {}
            Value::ServerError(error) if is_flushed(&error) && !refund.again => {
                (refund.again, settled.flushed) = (true, true);
                self.refunds.push(refund);
            }
            _ => self.settings.counts.refunds_dropped.add(),
        }
    }

    fn settle_change(&mut self, mut change: Change, value: Value, settled: &mut Settled) {
        let answer = match value {
            Value::ServerError(error) if is_flushed(&error) && !change.again => {
                (change.again, settled.flushed) = (true, true);
                self.changes.push(change);
                return;
            }
            Value::Int(found @ (0 | 1)) => Ok(found == 1),
            Value::ServerError(_) => Err(Failed::Error),
            _ => Err(Failed::Nonsense),
        };
        _ = change.sender.send(answer);
    }

    fn read_clock(&mut self, reply: &Reply, sent: Instant) {
        match self.topology() {
            Topology::One => self.clock.read(reply.at(), sent),
            // The clock of any node. The time at which a slow answer was made is uncertain.
            Topology::Cluster if sent.elapsed() <= self.settings.deadline => {
                self.clock.read_ahead(reply.at(), sent);
            }
            Topology::Cluster => {}
        }
    }

    /// Reports failure for a batch without answers. Redis may have executed it nevertheless.
    fn lose(&self, batch: Batch) {
        for question in batch.questions {
            question.recipient.answer(Err(Failed::Lost));
        }
        for change in batch.changes {
            _ = change.sender.send(Err(Failed::Lost));
        }
        for _ in batch.refunds {
            self.settings.counts.refunds_dropped.add();
        }
    }

    /// Counts a failure of one node of a cluster. Returns an error when no node has answered for a
    /// while.
    fn count_failure(&mut self, why: Disconnected) -> Result<(), Disconnected> {
        let now = Instant::now();
        let (count, first) = self.failures.unwrap_or((0, now));
        self.failures = Some((count + 1, first));
        if count + 1 >= MAX_FAILURES && now.duration_since(first) >= self.settings.stall() {
            return Err(why);
        }
        Ok(())
    }
}

fn is_flushed(error: &ServerError) -> bool {
    error.code() == "NOSCRIPT"
}
