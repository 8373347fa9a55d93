//! The future of a pipeline.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    control::Control,
    error::{PipelineEnd, PipelineError, message},
    handle::PipelineHandle,
    metrics::Row,
    stage::Drive,
};

/// The future of a [`Pipeline`](crate::Pipeline): all of its stages.
///
/// Ready when the last item has left the pipeline, or when it was aborted or has failed.
///
/// # Cancellation
///
/// Dropping it drops everything in the pipeline, and counts it as
/// [discarded](PipelineHandle::discarded). It is as an abort, without a report.
#[must_use = "a future does nothing until it is polled"]
pub struct PipelineRun<'a> {
    /// From the source to the sink; none once it is done.
    drivers: Vec<Option<Drive<'a>>>,
    /// In the same order.
    rows: Arc<[Arc<Row>]>,
    control: Arc<Control>,
    ended: bool,
}

impl<'a> PipelineRun<'a> {
    pub(super) fn new(drivers: Vec<Drive<'a>>, rows: Vec<Arc<Row>>, control: Arc<Control>) -> Self {
        Self {
            drivers: drivers.into_iter().map(Some).collect(),
            rows: rows.into(),
            control,
            ended: false,
        }
    }

    /// Returns a handle, which ends the pipeline and reads its figures.
    pub fn handle(&self) -> PipelineHandle {
        PipelineHandle::new(Arc::clone(&self.control), Arc::clone(&self.rows))
    }

    /// Drops everything, and counts it.
    fn discard(&mut self) -> u64 {
        self.ended = true;
        let discarded = self.rows.iter().map(|row| row.discard()).sum();
        self.control.discard(discarded);
        for driver in self.drivers.drain(..) {
            // A panic in the destructor of an item. The panic hook has reported it.
            _ = catch_unwind(AssertUnwindSafe(|| drop(driver)));
        }
        discarded
    }

    /// Polls one driver. Returns the end of the pipeline if it has failed.
    fn poll_driver(&mut self, index: usize, cx: &mut Context<'_>) -> Option<PipelineError> {
        let (slot, row) = (self.drivers.get_mut(index)?, self.rows.get(index)?);
        let stage = row.name();
        let driver = slot.as_mut()?;
        let polled = catch_unwind(AssertUnwindSafe(|| driver.as_mut().poll(cx)));
        let failed = match polled {
            Ok(Poll::Pending) => return None,
            Ok(Poll::Ready(Ok(()))) => {
                let done = slot.take();
                // As above.
                _ = catch_unwind(AssertUnwindSafe(|| drop(done)));
                return None;
            }
            Ok(Poll::Ready(Err(error))) => Ok(error),
            Err(panic) => Err(message(&*panic)),
        };
        row.fail();
        let discarded = self.discard();
        Some(match failed {
            Ok(error) => PipelineError::Failed {
                stage,
                error,
                discarded,
            },
            Err(message) => PipelineError::Panicked {
                stage,
                message,
                discarded,
            },
        })
    }
}

impl Future for PipelineRun<'_> {
    type Output = Result<PipelineEnd, PipelineError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.ended {
            return Poll::Pending;
        }
        this.control.register(cx.waker());
        if this.control.is_aborted() {
            let discarded = this.discard();
            return Poll::Ready(Ok(PipelineEnd::Aborted { discarded }));
        }
        for index in 0..this.drivers.len() {
            if let Some(error) = this.poll_driver(index, cx) {
                return Poll::Ready(Err(error));
            }
        }
        if this.drivers.iter().any(Option::is_some) {
            return Poll::Pending;
        }
        this.ended = true;
        Poll::Ready(Ok(if this.control.was_cut() {
            PipelineEnd::Drained
        } else {
            PipelineEnd::Completed
        }))
    }
}

impl Drop for PipelineRun<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.discard();
        }
    }
}

impl fmt::Debug for PipelineRun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineRun")
            .field("handle", &self.handle())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
