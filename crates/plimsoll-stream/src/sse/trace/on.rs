//! What an event keeps, and what is emitted.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tokio::time::Instant;
use tracing::{Level, Span, debug, debug_span, enabled, field::Empty, trace};

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

/// One event on its way to one client: a span from when it is written to when it is acknowledged,
/// or to when the connection ends.
#[derive(Debug)]
pub(crate) struct Delivery {
    origin: Origin,
    span: Option<Span>,
}

impl Delivery {
    /// Opens the span, if the event has an origin. Called without a lock: it runs the subscriber.
    pub(crate) fn open(Name(topic): &Name, seq: u64, origin: Origin) -> Self {
        let span = origin.0.and_then(|published| {
            let age = clock::now().saturating_duration_since(published.at);
            let age_seconds = age.as_secs_f64();
            contain(|| {
                Some(debug_span!(
                    target: TARGET, "delivery", topic = &**topic, seq, age_seconds,
                    span = published.span, acknowledged = Empty,
                ))
            })
        });
        Self { origin, span }
    }

    /// Closes the span.
    fn acknowledged(mut self) {
        if let Some(span) = self.span.take() {
            contain(|| {
                span.record("acknowledged", true);
                drop(span);
            });
        }
    }
}

/// Closes the span of an event that was not acknowledged.
impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(span) = self.span.take() {
            contain(|| drop(span));
        }
    }
}

/// The origin of the oldest of several events, and their numbers. Events without an origin are left
/// out.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    range: Option<Range>,
    /// Acknowledged ones, whose spans are still open.
    deliveries: Vec<Delivery>,
}

#[derive(Debug)]
struct Range {
    from: u64,
    to: u64,
    oldest: Published,
}

impl Batch {
    pub(crate) fn add(&mut self, seq: u64, origin: Origin) {
        let Some(published) = origin.0 else { return };
        match &mut self.range {
            Some(range) => {
                range.to = seq;
                if published.at < range.oldest.at {
                    range.oldest = published;
                }
            }
            None => {
                self.range = Some(Range {
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

    /// Emits that a client has acknowledged the events, and closes their spans.
    pub(crate) fn acknowledged(mut self, Name(topic): &Name) {
        self.emit(|Range { from, to, oldest }, age_seconds| {
            debug!(
                target: TARGET, topic = &**topic, from, to, age_seconds, span = oldest.span,
                "acknowledged"
            );
        });
        self.deliveries.drain(..).for_each(Delivery::acknowledged);
    }

    fn emit(&self, emit: impl FnOnce(&Range, f64)) {
        if let Some(range) = &self.range {
            let age = clock::now().saturating_duration_since(range.oldest.at);
            contain(|| emit(range, age.as_secs_f64()));
        }
    }
}

/// The events that were sent to a client and not acknowledged: at most its window.
#[derive(Debug, Default)]
pub(crate) struct Unacknowledged(VecDeque<(u64, Delivery)>);

impl Unacknowledged {
    pub(crate) fn sent(&mut self, seq: u64, delivery: Delivery) {
        if delivery.origin.0.is_some() {
            self.0.push_back((seq, delivery));
        }
    }

    /// Removes the events up to this number. Their spans are closed with the batch, so that the
    /// subscriber does not run under the lock of the caller.
    pub(crate) fn take(&mut self, seq: u64) -> Batch {
        let mut batch = Batch::default();
        while self.0.front().is_some_and(|(first, _)| *first <= seq) {
            let Some((first, delivery)) = self.0.pop_front() else {
                break;
            };
            batch.add(first, delivery.origin);
            batch.deliveries.push(delivery);
        }
        batch
    }
}

/// Runs code of the subscriber. A panic in it is caught, so that it fails no stream; the panic hook
/// has reported it.
fn contain<R: Default>(run: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The docs of the module `sse` state these sizes.
    #[test]
    fn an_event_keeps_few_bytes() {
        assert_eq!(size_of::<Origin>(), 32);
        assert_eq!(size_of::<(u64, Delivery)>(), 80);
    }
}
