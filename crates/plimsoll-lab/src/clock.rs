//! The clock of a world: this program supplies the functions of libc that tell the time and that wait for it.
//!
//! tokio's paused clock ticks in milliseconds, and most peers read `std::time::Instant`, which it does not move. So the
//! lab goes one floor down: [`clock_gettime`] answers with the time of the [world] that this thread
//! simulates, and [`epoll_wait`], where a tokio runtime parks when nothing is left to do, moves that time to the next
//! event and returns. The dynamic linker prefers a program's own symbols to libc's, so all crates in it see this clock.
//!
//! Threads without a world get the real ones, through the system call.
#![allow(unsafe_code)]

use std::ffi::c_int;

use libc::{SYS_clock_gettime, SYS_epoll_pwait, clockid_t, epoll_event, syscall, timespec};

use crate::world;

/// Where virtual time begins: far enough from zero for those who subtract.
const EPOCH_SECONDS: u64 = 1_000_000;

/// The real time, for the lab's own progress reports.
pub(crate) fn real_seconds() -> f64 {
    let mut now = timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the system call writes a timespec to a valid place.
    unsafe { syscall(SYS_clock_gettime, libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Tells the time: the world's on a thread that has one.
///
/// # Safety
///
/// As in libc: `time` is valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    let Some(nanos) = world::now_if_any() else {
        // SAFETY: passed on as it came.
        return unsafe { syscall(SYS_clock_gettime, clock, time) } as c_int;
    };
    let now = timespec {
        tv_sec: (EPOCH_SECONDS + nanos / 1_000_000_000).cast_signed(),
        tv_nsec: (nanos % 1_000_000_000).cast_signed(),
    };
    // SAFETY: the caller says that it is valid.
    unsafe { time.write(now) };
    0
}

/// Waits: in a world, by moving its time to the next event or to the end of the wait, whichever is first.
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
        // SAFETY: passed on as it came.
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
