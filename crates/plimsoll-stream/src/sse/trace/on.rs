//! What an event keeps, and what is emitted.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tokio::time::Instant;
use tracing::{Level, Span, debug, enabled, trace};

use crate::clock;

const TARGET: &str = "plimsoll_stream::sse";

/// Where an event comes from; `None` while no subscriber is interested.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Origin(Option<Published>);

#[derive(Debug, Clone, Copy)]
struct Published {
    at: Instant,
    /// The id of the span, which the subscriber may give to another one once it is closed.
    span: Option<u64>,
}

/// Not a part of the event's value.
impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

impl Origin {
    /// The time and the span now, if what is emitted about the event is enabled.
    pub(crate) fn now(acknowledged: bool) -> Self {
        Self(contain(|| {
            let is_enabled = if acknowledged {
                enabled!(target: TARGET, Level::DEBUG)
            } else {
                enabled!(target: TARGET, Level::TRACE)
            };
            is_enabled.then(|| Published {
                at: clock::now(),
                span: Span::current().id().map(|id| id.into_u64()),
            })
        }))
    }
}

/// The name of a topic.
#[derive(Debug, Clone)]
pub(crate) struct Name(pub(crate) Arc<str>);

impl Default for Name {
    fn default() -> Self {
        Self("topic".into())
    }
}

/// The origin of the oldest of several events, and their numbers. Events without an origin are left
/// out.
#[derive(Debug, Default)]
pub(crate) struct Batch(Option<Range>);

#[derive(Debug)]
struct Range {
    from: u64,
    to: u64,
    oldest: Published,
}

impl Batch {
    pub(crate) fn add(&mut self, seq: u64, origin: Origin) {
        let Some(published) = origin.0 else { return };
        match &mut self.0 {
            Some(range) => {
                range.to = seq;
                if published.at < range.oldest.at {
                    range.oldest = published;
                }
            }
            None => {
                self.0 = Some(Range {
                    from: seq,
                    to: seq,
                    oldest: published,
                });
            }
        }
    }

    /// Emits that the events were written into a response.
    pub(crate) fn written(&self, Name(topic): &Name) {
        self.emit(|Range { from, to, oldest }, age_seconds| {
            trace!(
                target: TARGET, topic = &**topic, from, to, age_seconds, span = oldest.span,
                "written"
            );
        });
    }

    /// Emits that a client has acknowledged the events.
    pub(crate) fn acknowledged(&self, Name(topic): &Name) {
        self.emit(|Range { from, to, oldest }, age_seconds| {
            debug!(
                target: TARGET, topic = &**topic, from, to, age_seconds, span = oldest.span,
                "acknowledged"
            );
        });
    }

    fn emit(&self, emit: impl FnOnce(&Range, f64)) {
        if let Some(range) = &self.0 {
            let age = clock::now().saturating_duration_since(range.oldest.at);
            contain(|| emit(range, age.as_secs_f64()));
        }
    }
}

/// The origins of the events that were sent to a client and not acknowledged: at most its window.
#[derive(Debug, Default)]
pub(crate) struct Unacknowledged(VecDeque<(u64, Origin)>);

impl Unacknowledged {
    pub(crate) fn sent(&mut self, seq: u64, origin: Origin) {
        if origin.0.is_some() {
            self.0.push_back((seq, origin));
        }
    }

    /// Removes the events up to this number.
    pub(crate) fn take(&mut self, seq: u64) -> Batch {
        let mut batch = Batch::default();
        while let Some((first, origin)) = self.0.front().copied() {
            if first > seq {
                break;
            }
            batch.add(first, origin);
            self.0.pop_front();
        }
        batch
    }
}

/// Runs code of the subscriber. A panic in it is caught, so that it fails no stream; the panic hook
/// has reported it.
fn contain<R: Default>(run: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_default()
}
