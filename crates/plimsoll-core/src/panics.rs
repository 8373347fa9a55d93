//! Containment of panics in user code, so that a panic loses no permit.
//!
//! A panic in a destructor while the thread is unwinding aborts the process, so it is caught there.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Runs `f` and catches its panic. The panic hook has reported it.
#[inline]
pub(crate) fn contain(f: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(f)) {
        discard(panic);
    }
}

/// Performance: out of line, since dropping the payload takes registers that every caller would
/// save (`instructions`, `gate-metrics@accept`).
#[cold]
#[inline(never)]
fn discard(panic: Box<dyn Any + Send>) {
    drop(panic);
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
