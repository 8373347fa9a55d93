//! The task of each HTTP/2 stream, with a deadline while it waits for the client's window.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};

use super::{
    handle::Counters,
    progress::{self, Progress},
};
use crate::clock;

/// Spawns the task of each stream on the runtime of tokio.
#[derive(Debug, Clone)]
pub(super) struct StreamExecutor {
    pub(super) deadline: Duration,
    pub(super) counters: Arc<Counters>,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, stream: F) {
        tokio::spawn(Deadlined {
            stream: Some(stream),
            deadline: self.deadline,
            timer: None,
            blocked: Blocked {
                is: false,
                counters: Arc::clone(&self.counters),
            },
        });
    }
}

pin_project! {
    /// Ends with its stream, or drops the stream when the client's window stays closed.
    ///
    /// A dropped stream is reset by h2, which discards what waits to be sent.
    struct Deadlined<F> {
        #[pin]
        stream: Option<F>,
        deadline: Duration,
        // Allocated when the window is closed for the first time.
        timer: Option<Pin<Box<Sleep>>>,
        blocked: Blocked,
    }
}

impl<F: Future<Output = ()>> Future for Deadlined<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(stream) = this.stream.as_mut().as_pin_mut() else {
            return Poll::Ready(());
        };
        let (polled, progress) = progress::observe(|| stream.poll(cx));
        if polled.is_ready() {
            return Poll::Ready(());
        }
        match progress {
            Progress::None => {}
            Progress::Pending => this.blocked.set(false),
            Progress::Frame => {
                this.blocked.set(true);
                let deadline = *this.deadline;
                let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(deadline)));
                timer.as_mut().reset(clock::now() + deadline);
            }
        }
        let timer = this.timer.as_mut().filter(|_| this.blocked.is);
        if timer.is_some_and(|timer| timer.as_mut().poll(cx).is_ready()) {
            this.blocked.counters.ended.add();
            this.stream.set(None);
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

/// Whether a stream waits for its window, as counted.
struct Blocked {
    is: bool,
    counters: Arc<Counters>,
}

impl Blocked {
    fn set(&mut self, blocked: bool) {
        if self.is != blocked {
            self.is = blocked;
            self.counters.block(blocked);
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        self.set(false);
    }
}
