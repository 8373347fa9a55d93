//! Answers go to those who asked, and say something about the connection.

use redis::{ServerError, Value};
use tokio::time::Instant;

use super::{Batch, Done, STRIKES, Task};
use crate::{
    Disconnected,
    disconnected::Topology,
    job::{Ask, Change, Failed, GiveBack},
    script::Reply,
};

/// What is left to do after answers were given out.
#[derive(Default)]
pub(super) struct Settled {
    /// Questions that Redis answered with `NOSCRIPT`. They are sent once more, as are releases and
    /// changes, which are put aside.
    pub(super) again: Vec<Ask>,
    /// Whether there was any such answer.
    pub(super) forgotten: bool,
}

impl Task {
    /// Answers the questions and changes. An error when the connection is of no use any more.
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
                    Topology::Cluster => self.strike(why).map(|()| Settled::default()),
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
        for ask in batch.asks {
            let value = values.next().unwrap_or_default();
            self.settle_ask(ask, &value, sent, &mut settled);
        }
        for back in batch.returns {
            self.settle_return(back, values.next().unwrap_or_default(), &mut settled);
        }
        for change in batch.changes {
            self.settle_change(change, values.next().unwrap_or_default(), &mut settled);
        }
        if let Some(why) = down {
            self.lose(Batch {
                asks: settled.again,
                ..Batch::default()
            });
            return Err(why);
        }
        if good {
            self.strikes = None;
            if !self.proven {
                self.proven = true;
                self.settings.log_recovery();
            }
        } else if self.topology() == Topology::Cluster {
            self.strike(Disconnected::Unreachable)?;
        }
        Ok(settled)
    }

    fn settle_ask(&mut self, mut ask: Ask, value: &Value, sent: Instant, settled: &mut Settled) {
        let answer = match value {
            Value::ServerError(error) if is_forgotten(error) && !ask.again => {
                (ask.again, settled.forgotten) = (true, true);
                settled.again.push(ask);
                return;
            }
            Value::ServerError(_) => Err(Failed::Error),
            _ => self
                .settings
                .scripts
                .read(value, ask.least, ask.most)
                .ok_or(Failed::Nonsense),
        };
        if let Ok(reply) = &answer {
            self.read_clock(reply, sent);
        }
        let digest = ask.digest;
        if let Some((count, at)) = ask.asker.answer(answer) {
            self.settings.counts.came_late.add();
            if self.returns.len() < self.settings.queue {
                self.returns.push(GiveBack {
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

    fn settle_return(&mut self, mut back: GiveBack, value: Value, settled: &mut Settled) {
        match value {
            Value::Int(_) => {}
            Value::ServerError(error) if is_forgotten(&error) && !back.again => {
                (back.again, settled.forgotten) = (true, true);
                self.returns.push(back);
            }
            _ => self.settings.counts.refunds_dropped.add(),
        }
    }

    fn settle_change(&mut self, mut change: Change, value: Value, settled: &mut Settled) {
        let answer = match value {
            Value::ServerError(error) if is_forgotten(&error) && !change.again => {
                (change.again, settled.forgotten) = (true, true);
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
            // Some node's clock. An answer that took long says little about when it was made.
            Topology::Cluster if sent.elapsed() <= self.settings.deadline => {
                self.clock.read_ahead(reply.at(), sent);
            }
            Topology::Cluster => {}
        }
    }

    /// No answer came, or none will. Redis may have read what was sent all the same.
    fn lose(&self, batch: Batch) {
        for ask in batch.asks {
            ask.asker.answer(Err(Failed::Lost));
        }
        for change in batch.changes {
            _ = change.sender.send(Err(Failed::Lost));
        }
        for _ in batch.returns {
            self.settings.counts.refunds_dropped.add();
        }
    }

    /// One node of a cluster has failed. An error when no node has answered for a while.
    fn strike(&mut self, why: Disconnected) -> Result<(), Disconnected> {
        let now = Instant::now();
        let (count, first) = self.strikes.unwrap_or((0, now));
        self.strikes = Some((count + 1, first));
        if count + 1 >= STRIKES && now.duration_since(first) >= self.settings.stall() {
            return Err(why);
        }
        Ok(())
    }
}

fn is_forgotten(error: &ServerError) -> bool {
    error.code() == "NOSCRIPT"
}
