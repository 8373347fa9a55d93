//! Futures in flight, each polled only when it was woken.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Waker},
};

use super::wakes::{SlotWake, Wakes};

/// Futures of one type, at most `capacity`, in slots that are used again.
///
/// Performance: a box for each slot and none for each future; and a wake of one of a thousand
/// futures polls one of them.
pub(crate) struct Slots<F: Future> {
    all: Vec<Slot<F>>,
    free: Vec<usize>,
    capacity: usize,
    wakes: Arc<Wakes>,
    woken: Vec<usize>,
}

struct Slot<F: Future> {
    future: Pin<Box<Option<F>>>,
    output: Option<F::Output>,
    wake: Arc<SlotWake>,
    waker: Waker,
}

impl<F: Future> Slots<F> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            all: Vec::new(),
            free: Vec::new(),
            capacity,
            wakes: Arc::new(Wakes::new()),
            woken: Vec::new(),
        }
    }

    /// Whether a future can be added.
    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty() || self.all.len() < self.capacity
    }

    /// Whether no slot is in use.
    pub(crate) fn is_empty(&self) -> bool {
        self.free.len() == self.all.len()
    }

    /// Puts a future into a free slot, and returns the slot. It is polled by the next
    /// [`poll_woken`](Self::poll_woken).
    pub(crate) fn start(&mut self, future: F) -> usize {
        let index = self.free.pop().unwrap_or(self.all.len());
        if index == self.all.len() {
            let wake = Arc::new(SlotWake::new(index, &self.wakes));
            self.all.push(Slot {
                future: Box::pin(None),
                output: None,
                waker: Waker::from(Arc::clone(&wake)),
                wake,
            });
        }
        if let Some(slot) = self.all.get_mut(index) {
            slot.future.set(Some(future));
            slot.wake.mark();
        }
        index
    }

    /// Registers the task, and polls the futures that were woken. Adds the slots of those that are
    /// done to `done`.
    pub(crate) fn poll_woken(&mut self, task: &Waker, done: &mut Vec<usize>) {
        self.wakes.register(task);
        let mut woken = mem::take(&mut self.woken);
        self.wakes.take(&mut woken);
        for index in woken.drain(..) {
            let Some(slot) = self.all.get_mut(index) else {
                continue;
            };
            slot.wake.clear();
            // The wake of a future that was in the slot before may come late.
            let Some(future) = slot.future.as_mut().as_pin_mut() else {
                continue;
            };
            if let std::task::Poll::Ready(output) =
                future.poll(&mut Context::from_waker(&slot.waker))
            {
                slot.future.set(None);
                slot.output = Some(output);
                done.push(index);
            }
        }
        self.woken = woken;
    }

    /// Takes the output of a slot. The slot stays in use.
    pub(crate) fn take(&mut self, index: usize) -> Option<F::Output> {
        self.all.get_mut(index)?.output.take()
    }

    /// Frees a slot.
    pub(crate) fn free(&mut self, index: usize) {
        self.free.push(index);
    }
}
