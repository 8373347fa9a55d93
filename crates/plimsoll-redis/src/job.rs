//! What the tasks are asked to do, and how they answer.

use std::{fmt, sync::Arc};

use tokio::sync::oneshot;

use crate::{digest::Digest, lease::Lease, script::Reply};

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The connection broke, or there is none.
    Lost,
    /// Redis answered with an error.
    Error,
    /// Redis answered what no script of ours answers.
    Nonsense,
    /// The deadline passed.
    Timeout,
    /// The queue is full.
    Full,
    /// The breaker is open.
    Open,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "no connection",
            Self::Error => "its answer is an error",
            Self::Nonsense => "its answer makes no sense",
            Self::Timeout => "no answer in time",
            Self::Full => "the queue of the connection is full",
            Self::Open => "the circuit breaker is open",
        })
    }
}

pub(crate) type Answer = Result<Reply, Failed>;

#[derive(Debug)]
pub(crate) enum Job {
    Ask(Ask),
    GiveBack(GiveBack),
    Change(Change),
}

/// One question.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) digest: Digest,
    pub(crate) least: u32,
    pub(crate) most: u32,
    pub(crate) asker: Asker,
    /// Asked again after Redis had forgotten the scripts.
    pub(crate) again: bool,
}

/// Tokens that nobody used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GiveBack {
    pub(crate) digest: Digest,
    pub(crate) count: u32,
    /// When they were taken, by the clock of Redis.
    pub(crate) at: u64,
    /// Sent again after Redis had forgotten the scripts.
    pub(crate) again: bool,
}

/// What an operator changes about one key.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) digest: Digest,
    /// Requests that are granted; `None` resets the key.
    pub(crate) tokens: Option<u32>,
    /// The answer says whether there was anything to change.
    pub(crate) sender: oneshot::Sender<Result<bool, Failed>>,
    /// Sent again after Redis had forgotten the scripts.
    pub(crate) again: bool,
}

/// Who wants to know.
#[derive(Debug)]
pub(crate) enum Asker {
    /// A request.
    Request(oneshot::Sender<Answer>),
    /// A lease that is being filled.
    Lease(ForLease),
}

/// A question that a lease has, or one of its requests.
#[derive(Debug)]
pub(crate) struct ForLease {
    pub(crate) lease: Arc<Lease>,
    pub(crate) generation: u64,
    /// Whether it fetches a batch; no other does until this is gone.
    pub(crate) fills: bool,
    /// A request that waits for its share.
    pub(crate) request: Option<(u32, oneshot::Sender<Answer>)>,
}

impl Asker {
    /// Whether nobody waits any more.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::Request(sender) => sender.is_closed(),
            Self::Lease(asked) => asked
                .request
                .as_ref()
                .is_some_and(|(_, sender)| sender.is_closed()),
        }
    }

    /// Answers. What nobody took comes back: so many tokens, taken then.
    pub(crate) fn answer(self, answer: Answer) -> Option<(u32, u64)> {
        match self {
            Self::Request(sender) => match sender.send(answer) {
                Err(Ok(Reply::Granted { count, at, .. })) => Some((count, at)),
                _ => None,
            },
            Self::Lease(asked) => asked.answer(answer),
        }
    }
}
