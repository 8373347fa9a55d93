//! What the poll of a stream's task did with the response body.

use std::cell::Cell;

/// The last result of the response body in a poll of its stream's task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The body was not polled: the handler still runs, or the last frame waits for the window.
    None,
    /// A frame came out last. hyper polls a body again at once unless the frame has to wait for the
    /// client's window, so now it waits.
    Frame,
    /// The body had nothing to send, so the client has room.
    Pending,
}

thread_local! {
    // hyper polls the body inside of the poll of its stream's task, so one cell for each thread is
    // enough to bring the result from the body to the task.
    static PROGRESS: Cell<Progress> = const { Cell::new(Progress::None) };
}

pub(super) fn report(progress: Progress) {
    PROGRESS.set(progress);
}

/// Calls `poll` and returns what it did with the body, too.
pub(super) fn observe<T>(poll: impl FnOnce() -> T) -> (T, Progress) {
    PROGRESS.set(Progress::None);
    let polled = poll();
    (polled, PROGRESS.get())
}
