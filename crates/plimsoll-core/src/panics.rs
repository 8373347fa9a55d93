//! Keeps a panic of a user's code from losing what others hold.
//!
//! A panic while the thread unwinds already must not leave a destructor: that would abort the process.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `f` and drops its panic, which the panic hook has reported.
#[inline]
pub(crate) fn contain(f: impl FnOnce()) {
    _ = catch_unwind(AssertUnwindSafe(f));
}

/// Runs `f` in a destructor: its panic goes on, unless the thread unwinds already.
#[inline]
pub(crate) fn in_drop(f: impl FnOnce()) {
    if std::thread::panicking() {
        contain(f);
    } else {
        f();
    }
}
