//! The clock of a world: this program replaces libc's functions that read the time and that wait
//! for it.
//!
//! tokio's paused clock has a resolution of 1 ms, and most peers read `std::time::Instant`, which
//! it does not control. So the lab works below both: [`clock_gettime`] returns the time of the
//! [world] that this thread simulates, and [`epoll_wait`], where an idle tokio runtime parks,
//! advances that time to the next event and returns. The dynamic linker prefers a program's own
//! symbols to libc's, so all crates in the program use this clock.
//!
//! Threads without a world use the real clock, through the system call.
#![allow(unsafe_code)]

use std::ffi::c_int;

use libc::{SYS_clock_gettime, SYS_epoll_pwait, clockid_t, epoll_event, syscall, timespec};

use crate::world;

/// Start of virtual time in seconds: far enough from zero for subtractions.
const EPOCH_SECONDS: u64 = 1_000_000;

/// The real time, for the lab's own progress output.
pub(crate) fn real_seconds() -> f64 {
    let mut now = timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the system call writes a timespec to a valid place.
    unsafe { syscall(SYS_clock_gettime, libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Reads the time: that of the world on a thread that has one.
///
/// # Safety
///
/// As in libc: `time` is valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    let Some(nanos) = world::now_if_any() else {
        // SAFETY: forwards the caller's arguments.
        return unsafe { syscall(SYS_clock_gettime, clock, time) } as c_int;
    };
    let now = timespec {
        tv_sec: (EPOCH_SECONDS + nanos / 1_000_000_000).cast_signed(),
        tv_nsec: (nanos % 1_000_000_000).cast_signed(),
    };
    // SAFETY: valid by the contract of this function.
    unsafe { time.write(now) };
    0
}

/// Waits. In a world it advances the time to the next event or to the end of the wait, whichever is
/// first.
///
/// # Safety
///
/// As in libc: `events` is valid for `capacity` events.
#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_wait(
    epoll: c_int,
    events: *mut epoll_event,
    capacity: c_int,
    timeout: c_int,
) -> c_int {
    if world::now_if_any().is_none() {
        let no_mask = std::ptr::null::<libc::sigset_t>();
        // SAFETY: forwards the caller's arguments.
        let ready = unsafe {
            syscall(
                SYS_epoll_pwait,
                epoll,
                events,
                capacity,
                timeout,
                no_mask,
                8,
            )
        };
        return ready as c_int;
    }
    if timeout != 0 {
        let millis = u64::try_from(timeout).ok();
        world::advance(millis.map(|millis| millis * 1_000_000));
    }
    0
}
