//! A subscriber as a response stream.

use std::task::{Context, Poll, ready};

use tonic::{Status, metadata::MetadataValue};

use crate::{
    grpc::{
        responses::Responses,
        stop::{Stop, insert_cursor},
    },
    hub::{Ended, Reset, ResetReason, Resumed, Subscription},
    queue::{Delivery, DropReason, Gap},
};

/// Why the client's cursor was of no use.
const RESET: &str = "plimsoll-reset";

impl<M: 'static> Responses<M> {
    /// Sends what a hub publishes.
    ///
    /// `write` makes a message of each item, and decides about gaps: [`gaps`](crate::grpc::gaps)
    /// has functions for it. A client that reads nothing stops the stream when its window is full;
    /// from then on its lag grows up to the bounds of the [`Subscriber`](crate::Subscriber), and
    /// neither the hub nor another client waits for it.
    ///
    /// | the stream ends with | when |
    /// |---|---|
    /// | `OK` | the hub was closed and all was sent |
    /// | what `write` returns | a gap, for example |
    /// | `RESOURCE_EXHAUSTED`, with `google.rpc.RetryInfo`, `grpc-retry-pushback-ms` and `plimsoll-lag` | the policy is [`LagPolicy::Disconnect`](crate::LagPolicy::Disconnect), and the client was too slow |
    /// | `ABORTED`, with `plimsoll-reset` | the subscription began with a cursor that is [not of this hub](ResetReason) |
    ///
    /// A cursor that is too old begins with a gap. Each status has the cursor of what was sent
    /// before it in `plimsoll-cursor`: a client that has received the status has all up to there,
    /// and continues with [`Subscriber::after`](crate::Subscriber::after).
    ///
    /// A status is read behind the messages that were sent before it. So a client that never reads
    /// keeps its places, of
    /// [`max_concurrent_streams`](crate::grpc::WindowsBuilder::max_concurrent_streams) and of
    /// [`max_subscribers`](crate::HubBuilder::max_subscribers), until its connection ends; but no
    /// more memory than its window and one segment of the hub.
    pub fn from_hub<T: Clone + Send + Sync + 'static>(
        subscription: Subscription<T>,
        mut write: impl FnMut(Delivery<T>) -> Result<M, Status> + Send + 'static,
    ) -> Self {
        let reset = match subscription.resumed() {
            Resumed::Reset(reset) => Some(reset),
            _ => None,
        };
        let mut source = FromHub {
            subscription,
            reset,
        };
        Self::new(move |cx| {
            let Some(next) = ready!(source.poll_next(cx)) else {
                return Poll::Ready(None);
            };
            let written = next.and_then(|delivery| write(delivery).map_err(Stop::from));
            Poll::Ready(Some(written.map_err(|stop| source.with_cursor(stop))))
        })
    }
}

struct FromHub<T> {
    subscription: Subscription<T>,
    /// How the subscription began, until it is sent.
    reset: Option<Reset>,
}

impl<T: Clone> FromHub<T> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Delivery<T>, Stop>>> {
        if let Some(reset) = self.reset.take() {
            return Poll::Ready(Some(began(reset)));
        }
        Poll::Ready(match ready!(self.subscription.poll_recv(cx)) {
            Ok(delivery) => Some(Ok(delivery)),
            Err(Ended::Closed) => None,
            Err(Ended::Slow { lag }) => Some(Err(Stop::Slow { lag, cursor: None })),
        })
    }

    fn with_cursor(&self, mut stop: Stop) -> Stop {
        let now = self.subscription.cursor();
        match &mut stop {
            Stop::Status(status) => insert_cursor(status, now),
            Stop::Slow { cursor, .. } => *cursor = Some(now),
        }
        stop
    }
}

/// What the client sees instead of the items that it asked for.
fn began<T>(reset: Reset) -> Result<Delivery<T>, Stop> {
    // Numbers of another hub do not make a gap of this one.
    if reset.reason == ResetReason::TooOld {
        return Ok(Delivery::Gap(Gap {
            from: reset.from + 1,
            to: reset.to,
            // For their number, their bytes or their age.
            reason: DropReason::Several,
        }));
    }
    let reason = reset.reason.name();
    let mut status = Status::aborted(format!("the cursor is of no use: {reason}"));
    let metadata = status.metadata_mut();
    metadata.insert(RESET, MetadataValue::from_static(reason));
    Err(status.into())
}
