//! Containment of panics in user code, so that a panic loses no permit.
//!
//! A panic in a destructor while the thread is unwinding aborts the process, so it is caught there.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `f` and catches its panic. The panic hook has reported it.
#[inline]
pub(crate) fn contain(f: impl FnOnce()) {
    _ = catch_unwind(AssertUnwindSafe(f));
}

/// Runs `f` in a destructor. A panic continues, except while the thread is unwinding.
#[inline]
pub(crate) fn in_drop(f: impl FnOnce()) {
    if std::thread::panicking() {
        contain(f);
    } else {
        f();
    }
}
