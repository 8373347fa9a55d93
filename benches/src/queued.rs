//! The time that other threads take from a thread.

use std::{fs::File, os::unix::fs::FileExt as _, time::Duration};

/// Measures how long this thread is ready to run without running.
#[derive(Debug)]
pub struct Queued {
    file: Option<File>,
    last: u64,
}

impl Default for Queued {
    fn default() -> Self {
        Self::new()
    }
}

impl Queued {
    /// Starts measuring now.
    pub fn new() -> Self {
        let mut queued = Self {
            file: File::open("/proc/thread-self/schedstat").ok(),
            last: 0,
        };
        queued.since();
        queued
    }

    /// The time since the last call. Zero where the system does not report it.
    pub fn since(&mut self) -> Duration {
        let mut text = [0; 96];
        let length = self
            .file
            .as_ref()
            .and_then(|file| file.read_at(&mut text, 0).ok());
        let text = str::from_utf8(&text[..length.unwrap_or(0)]).unwrap_or_default();
        // Nanoseconds on a processor, nanoseconds in the queue for one, turns.
        let nanos = text
            .split_whitespace()
            .nth(1)
            .and_then(|nanos| nanos.parse().ok());
        let (last, now) = (self.last, nanos.unwrap_or(self.last));
        self.last = now;
        Duration::from_nanos(now.saturating_sub(last))
    }
}
