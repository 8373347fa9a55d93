//! The jobs of a connection's task, and how they are answered.

use tokio::sync::oneshot;

use crate::{
    answer::Answer, digest::Digest, failed::Failed, lease_question::LeaseQuestion, script::Reply,
};

#[derive(Debug)]
pub(crate) enum Job {
    Question(Question),
    Refund(Refund),
    Change(Change),
}

/// A question for tokens.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) digest: Digest,
    pub(crate) least: u32,
    pub(crate) most: u32,
    pub(crate) recipient: Recipient,
    /// Sent again after Redis had dropped the scripts.
    pub(crate) again: bool,
}

/// Tokens to refund.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refund {
    pub(crate) digest: Digest,
    pub(crate) count: u32,
    /// When they were taken, by the clock of Redis.
    pub(crate) at: u64,
    /// Sent again after Redis had dropped the scripts.
    pub(crate) again: bool,
}

/// A change of one key by an operator.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) digest: Digest,
    /// Tokens to grant; `None` resets the key.
    pub(crate) tokens: Option<u32>,
    /// The answer is whether Redis had the key.
    pub(crate) sender: oneshot::Sender<Result<bool, Failed>>,
    /// Sent again after Redis had dropped the scripts.
    pub(crate) again: bool,
}

/// The recipient of an answer.
#[derive(Debug)]
pub(crate) enum Recipient {
    /// A request.
    Request(oneshot::Sender<Answer>),
    /// A lease that is being filled.
    Lease(LeaseQuestion),
}

impl Recipient {
    /// Whether the request that waits was cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        match self {
            Self::Request(sender) => sender.is_closed(),
            Self::Lease(question) => question
                .request
                .as_ref()
                .is_some_and(|(_, sender)| sender.is_closed()),
        }
    }

    /// Delivers an answer. Returns tokens that were not taken, and when they were granted.
    pub(crate) fn answer(self, answer: Answer) -> Option<(u32, u64)> {
        match self {
            Self::Request(sender) => match sender.send(answer) {
                Err(Ok(Reply::Granted { count, at, .. })) => Some((count, at)),
                _ => None,
            },
            Self::Lease(question) => question.answer(answer),
        }
    }
}
