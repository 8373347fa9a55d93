//! Where the events of a stream come from: the hub, through token buckets or not.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use crate::{
    hub::Subscription,
    queue::{Delivery, Weight},
    sse::event::SseEvent,
    throttle::{Throttle, Throttled},
};

pub(crate) enum Source {
    Plain(Subscription<SseEvent>),
    Throttled(Pin<Box<Throttled<Subscription<SseEvent>>>>),
}

impl Source {
    pub(crate) fn new(subscription: Subscription<SseEvent>, throttle: Option<&Throttle>) -> Self {
        match throttle {
            None => Self::Plain(subscription),
            Some(throttle) => {
                let stream = throttle.stream_by(subscription, weight);
                Self::Throttled(Box::pin(stream))
            }
        }
    }

    pub(crate) fn subscription(&self) -> &Subscription<SseEvent> {
        match self {
            Self::Plain(subscription) => subscription,
            Self::Throttled(stream) => stream.get_ref(),
        }
    }

    /// Polls until there is an event or a gap, and takes none.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Plain(subscription) => subscription.poll_ready(cx),
            Self::Throttled(stream) => stream.as_mut().get_pin_mut().get_mut().poll_ready(cx),
        }
    }

    /// The next event or gap, or `None` at the end. With `wait`, a pending result registers the
    /// waker.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        wait: bool,
    ) -> Poll<Option<Delivery<SseEvent>>> {
        match self {
            Self::Plain(subscription) => match subscription.try_recv() {
                Ok(Some(delivery)) => Poll::Ready(Some(delivery)),
                // The task yields when its socket has taken enough, so only a wait uses its budget.
                Ok(None) if wait => subscription.poll_recv(cx).map(Result::ok),
                Ok(None) => Poll::Pending,
                Err(_) => Poll::Ready(None),
            },
            Self::Throttled(stream) => stream.as_mut().poll_next(cx),
        }
    }
}

fn weight(delivery: &Delivery<SseEvent>) -> usize {
    match delivery {
        Delivery::Item { item, .. } => item.weight(),
        Delivery::Gap(_) => 0,
    }
}
