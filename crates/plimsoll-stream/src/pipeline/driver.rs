//! What moves items through a stage.

use std::{
    collections::VecDeque,
    future::poll_fn,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use plimsoll_core::Instant;

use super::{
    error::BoxError,
    feed::{Feed, Outlet},
    metrics::Row,
    slots::Slots,
    work::Work,
};
use crate::{Items, clock};

/// One stage between two buffers.
struct Driver<'a, In, W: Work<In>> {
    row: &'a Arc<Row>,
    ordered: bool,
    /// Taken at the end.
    work: Option<W>,
    items: Items<In>,
    /// Whether the last item was received.
    ended: bool,
    slots: Slots<W::Call>,
    /// When the future of a slot was made.
    started: Vec<Instant>,
    /// The outputs of slots that are done.
    outputs: Vec<Option<W::Outputs>>,
    /// Slots in the order of their outputs: in flight and done, or only those that are done.
    outgoing: VecDeque<usize>,
    /// The slot whose outputs are being sent; none for what is left at the end.
    sending: Option<usize>,
    current: Option<W::Outputs>,
    held: Option<W::Out>,
    outlet: Outlet<'a, W::Out>,
    done: Vec<usize>,
}

/// Works on all items of a buffer.
pub(crate) async fn drive<In, W: Work<In>>(
    work: W,
    concurrency: usize,
    ordered: bool,
    from: Feed<In>,
    to: Feed<W::Out>,
) -> Result<(), BoxError> {
    {
        let mut driver = Driver {
            row: &from.row,
            ordered,
            work: Some(work),
            items: from.queue.items(),
            ended: false,
            slots: Slots::new(concurrency),
            started: Vec::new(),
            outputs: Vec::new(),
            outgoing: VecDeque::new(),
            sending: None,
            current: None,
            held: None,
            outlet: Outlet::new(&to),
            done: Vec::new(),
        };
        poll_fn(|cx| driver.poll(cx)).await?;
    }
    to.queue.close();
    Ok(())
}

impl<In, W: Work<In>> Driver<'_, In, W> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        loop {
            let finished = self.poll_calls(cx)?;
            let sent = self.send(cx)?;
            let started = self.start(cx);
            if finished || sent || started {
                continue;
            }
            let idle = self.slots.is_empty() && self.current.is_none() && self.held.is_none();
            if !self.ended || !idle {
                return Poll::Pending;
            }
            match self.work.take() {
                Some(work) => self.current = work.end()?,
                None => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Polls the futures that were woken. Returns whether one is done.
    fn poll_calls(&mut self, cx: &mut Context<'_>) -> Result<bool, BoxError> {
        let mut done = mem::take(&mut self.done);
        self.slots.poll_woken(cx.waker(), &mut done);
        let any = !done.is_empty();
        for index in done.drain(..) {
            if let Some(started) = self.started.get(index) {
                let time = clock::now().saturating_duration_since(*started);
                self.row.work(time);
            }
            let outputs = self.slots.take(index).transpose()?;
            if let Some(slot) = self.outputs.get_mut(index) {
                *slot = outputs;
            }
            if !self.ordered {
                self.outgoing.push_back(index);
            }
        }
        self.done = done;
        Ok(any)
    }

    /// Sends outputs while there is room. Returns whether something has moved.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<bool, BoxError> {
        let mut moved = false;
        loop {
            if self.held.is_none() {
                moved |= self.advance();
                if self.held.is_none() {
                    return Ok(moved);
                }
            }
            match self.outlet.poll_send(&mut self.held, cx)? {
                Poll::Ready(()) => self.row.send(),
                Poll::Pending => return Ok(moved),
            }
            moved = true;
        }
    }

    /// Takes the next output of the slot whose turn it is, and frees slots that have none left.
    /// Returns whether a slot was freed.
    fn advance(&mut self) -> bool {
        let mut freed = false;
        loop {
            if let Some(current) = &mut self.current {
                self.held = current.next();
                if self.held.is_some() {
                    return freed;
                }
                self.current = None;
                if let Some(index) = self.sending.take() {
                    self.slots.free(index);
                    self.row.release();
                    freed = true;
                }
            }
            let Some(index) = self.outgoing.front().copied() else {
                return freed;
            };
            let Some(outputs) = self.outputs.get_mut(index).and_then(Option::take) else {
                // In flight: outputs of later items wait for it.
                return freed;
            };
            self.outgoing.pop_front();
            self.sending = Some(index);
            self.current = Some(outputs);
        }
    }

    /// Takes items while there are free slots. Returns whether something has moved.
    fn start(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while !self.ended && self.slots.has_room() {
            let Poll::Ready(item) = Pin::new(&mut self.items).poll_next(cx) else {
                break;
            };
            moved = true;
            let (Some(item), Some(work)) = (item, &mut self.work) else {
                self.ended = true;
                break;
            };
            self.row.receive();
            let now = clock::now();
            let index = self.slots.start(work.call(item));
            if index == self.started.len() {
                self.started.push(now);
                self.outputs.push(None);
            } else if let Some(started) = self.started.get_mut(index) {
                *started = now;
            }
            if self.ordered {
                self.outgoing.push_back(index);
            }
        }
        moved
    }
}
