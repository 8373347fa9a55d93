//! The task that writes, and ends the connection.

use std::{
    collections::VecDeque,
    future::{Future as _, poll_fn},
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
};

use axum::{body::Bytes, extract::ws::Message};
use futures_core::Stream as _;
use tokio::{
    task::JoinHandle,
    time::{Instant, Sleep, sleep_until, timeout_at},
};

use super::{
    failure::reason,
    flow,
    reason::{CloseReason, Closed},
    shared::Shared,
    socket::{Outgoing, Socket},
    weight::weight,
};
use crate::{Deliveries, Delivery, clock};

pub(super) struct Writer {
    socket: Arc<Socket>,
    shared: Arc<Shared>,
    deliveries: Deliveries<Message>,
    /// Messages that were taken from the queue and not handed to the socket.
    batch: VecDeque<Outgoing>,
    /// The handler's task, until it has returned.
    handler: Option<JoinHandle<()>>,
    timer: Pin<Box<Sleep>>,
    ping_at: Option<Instant>,
    /// When the flush that is in progress must have ended.
    flush_until: Option<Instant>,
    /// A close frame that came through the queue, to be sent after the batch.
    closing: Option<Closed>,
    /// When the queue must be empty after the handler has returned.
    drain_until: Option<Instant>,
}

impl Writer {
    pub(super) fn new(socket: Arc<Socket>, shared: Arc<Shared>, handler: JoinHandle<()>) -> Self {
        let now = clock::now();
        Self {
            socket,
            deliveries: shared.outbound.deliveries(),
            batch: VecDeque::new(),
            handler: Some(handler),
            timer: Box::pin(sleep_until(now)),
            ping_at: shared.limits.ping_every.map(|every| now + every),
            flush_until: None,
            closing: None,
            drain_until: None,
            shared,
        }
    }

    /// Writes until the connection is to be closed, and returns why.
    pub(super) async fn run(&mut self) -> Closed {
        loop {
            if let Err(closed) = poll_fn(|cx| self.poll_batch(cx)).await {
                return closed;
            }
            self.flush_until = Some(clock::now() + self.shared.limits.write_deadline);
            if let Err(closed) = poll_fn(|cx| self.poll_flush(cx)).await {
                return closed;
            }
            self.flush_until = None;
        }
    }

    /// Waits for the next messages to write.
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        loop {
            let now = clock::now();
            let (is_paused, wait_until) = match self.poll_end(now, cx) {
                Ok(open) => open,
                Err(closed) => return Poll::Ready(Err(closed)),
            };
            self.batch
                .extend(self.shared.flow_message().map(Outgoing::control));
            if self.ping_at.is_some_and(|at| at <= now) {
                let ping = Message::Ping(Bytes::new());
                self.batch.push_back(Outgoing::control(ping));
                self.ping_at = self.shared.limits.ping_every.map(|every| now + every);
            }
            if !is_paused && self.closing.is_none() {
                self.take_deliveries(cx);
            }
            if !self.batch.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if let Some(closed) = self.closing.take() {
                return Poll::Ready(Err(closed));
            }
            let wait_until = wait_until.into_iter().chain(self.ping_at).min();
            ready!(self.poll_timer(wait_until, cx));
        }
    }

    /// Takes messages up to the size of the write buffer, or to the end of the queue.
    fn take_deliveries(&mut self, cx: &mut Context<'_>) {
        let shared = &self.shared;
        let mut bytes = 0;
        while bytes < shared.limits.write_buffer && self.closing.is_none() {
            match Pin::new(&mut self.deliveries).poll_next(cx) {
                Poll::Ready(Some(Delivery::Item { item, .. })) => {
                    bytes += weight(&item);
                    if let Message::Close(frame) = item {
                        let reason = CloseReason::Application;
                        self.closing = Some(Closed { reason, frame });
                    } else {
                        self.batch.push_back(Outgoing::data(item));
                    }
                }
                Poll::Ready(Some(Delivery::Gap(gap))) => {
                    shared.totals.gaps.add();
                    if shared.limits.flow_messages {
                        self.batch.push_back(Outgoing::control(flow::gap(&gap)));
                    }
                }
                Poll::Ready(None) => {
                    self.closing = Some(Closed::by_server(CloseReason::Done, 0));
                }
                Poll::Pending => break,
            }
        }
        if bytes > 0 {
            shared.outbound_changed();
        }
    }

    /// Writes the batch, until the deadline.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        loop {
            let wait_until = match self.poll_end(clock::now(), cx) {
                Ok((_, wait_until)) => wait_until,
                Err(closed) => return Poll::Ready(Err(closed)),
            };
            if let Poll::Ready(sent) = self.poll_send(cx) {
                return Poll::Ready(sent);
            }
            ready!(self.poll_timer(wait_until, cx));
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let totals = &self.shared.totals;
        let sent = self.socket.poll_send(&mut self.batch, cx, |message| {
            totals.messages_out.add();
            totals.bytes_out.fetch_add(weight(message) as u64, Relaxed);
        });
        let slow_code = self.shared.limits.slow_code;
        sent.map_err(|error| Closed::by_server(reason(&error), slow_code))
    }

    /// Returns whether the client has asked for a pause, and when the next limit is reached.
    ///
    /// # Errors
    ///
    /// Why the connection is to be closed.
    fn poll_end(
        &mut self,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Result<(bool, Option<Instant>), Closed> {
        let shared = &self.shared;
        if let Some(handler) = &mut self.handler {
            if let Poll::Ready(ended) = Pin::new(handler).poll(cx) {
                self.handler = None;
                if ended.is_err() {
                    return Err(Closed::by_server(CloseReason::Panicked, 0));
                }
                shared.outbound.close();
                self.drain_until = Some(now + shared.limits.write_deadline);
            }
        }
        let view = shared.view(cx.waker());
        if let Some(closed) = view.close {
            return Err(closed);
        }
        let flush = self.flush_until.map(|at| (at, CloseReason::WriteDeadline));
        let drain = self.drain_until.map(|at| (at, CloseReason::Done));
        let limits = view.limit.into_iter().chain(flush).chain(drain);
        match limits.min_by_key(|(at, _)| *at) {
            Some((at, reason)) if at <= now => {
                Err(Closed::by_server(reason, shared.limits.slow_code))
            }
            next => Ok((view.is_paused, next.map(|(at, _)| at))),
        }
    }

    /// Ready at the time, or never.
    fn poll_timer(&mut self, at: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = at else {
            return Poll::Pending;
        };
        if self.timer.deadline() != at {
            self.timer.as_mut().reset(at);
        }
        self.timer.as_mut().poll(cx)
    }

    /// Ends the connection: the close frame, the client's answer, and then the socket is dropped,
    /// at the latest at the deadline for closes.
    pub(super) async fn close(mut self, closed: Closed, mut reader: JoinHandle<()>) {
        let shared = Arc::clone(&self.shared);
        shared.outbound.close();
        shared.inbound.close();
        let taken = self.batch.iter().filter(|outgoing| outgoing.is_data);
        let lost = shared.outbound.drain().len() + taken.count();
        shared.totals.undelivered.fetch_add(lost as u64, Relaxed);
        shared.totals.close(closed.reason);
        shared.close(closed.clone());
        shared.set_paused(false);
        shared.closed.send_replace(Some(closed.clone()));
        let until = clock::now() + shared.limits.close_deadline;
        self.batch.clear();
        if closed.sends_frame() {
            let close = Message::Close(closed.frame);
            self.batch.push_back(Outgoing::control(close));
        }
        if closed.reason != CloseReason::Lost {
            let sent = timeout_at(until, poll_fn(|cx| self.poll_last(cx))).await;
            if sent == Ok(true) {
                // Ends with the client's close frame, or with the connection.
                _ = timeout_at(until, &mut reader).await;
            }
        }
        reader.abort();
        // So that the socket is closed when this returns.
        if !reader.is_finished() {
            _ = reader.await;
        }
    }

    /// Writes the close frame, or the answer to the client's. Ready with whether that succeeded.
    fn poll_last(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let sent = self.socket.poll_send(&mut self.batch, cx, |_| ());
        sent.map(|sent| sent.is_ok())
    }
}
