//! Reads `id:` and `retry:` of an event stream (WHATWG HTML, section 9.2).

use std::time::Duration;

/// Longest line that is read, in bytes. The rest of a longer line is skipped, so that a line without
/// an end takes no memory. 1 KiB: an id is sent back as a header.
/// `a_line_without_an_end_takes_no_memory` fails without it.
const LONGEST: usize = 1024;

/// The position in a stream of events.
#[derive(Debug, Default)]
pub(super) struct EventStream {
    line: Vec<u8>,
    /// The line is longer than what is read of it.
    is_cut: bool,
    /// A LF that follows is the second half of a line end.
    after_cr: bool,
    has_data: bool,
    /// The id of the event that is being read.
    next_id: Option<Vec<u8>>,
    id: Vec<u8>,
    retry: Option<Duration>,
}

impl EventStream {
    pub(super) fn id(&self) -> &[u8] {
        &self.id
    }

    pub(super) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    pub(super) fn set_id(&mut self, id: &[u8]) {
        if is_id(id) {
            self.id = id.to_vec();
        }
    }

    /// A new connection: an event that was not whole is discarded.
    pub(super) fn restart(&mut self) {
        *self = Self {
            id: std::mem::take(&mut self.id),
            retry: self.retry,
            ..Self::default()
        };
    }

    /// Returns how many events these bytes complete.
    pub(super) fn read(&mut self, bytes: &[u8]) -> usize {
        let mut events = 0;
        for byte in bytes {
            match byte {
                b'\n' if self.after_cr => self.after_cr = false,
                b'\n' | b'\r' => {
                    self.after_cr = *byte == b'\r';
                    events += usize::from(self.end_line());
                }
                byte => {
                    self.after_cr = false;
                    if self.line.len() < LONGEST {
                        self.line.push(*byte);
                    } else {
                        self.is_cut = true;
                    }
                }
            }
        }
        events
    }

    /// Returns whether the line completes an event.
    fn end_line(&mut self) -> bool {
        let line = std::mem::take(&mut self.line);
        let is_cut = std::mem::take(&mut self.is_cut);
        if line.is_empty() {
            if let Some(id) = self.next_id.take() {
                self.id = id;
            }
            return std::mem::take(&mut self.has_data);
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => self.has_data = true,
            b"id" if !is_cut && is_id(value) => self.next_id = Some(value.to_vec()),
            b"retry" if !is_cut => self.retry = millis(value).or(self.retry),
            _ => {}
        }
        // The buffer is used again.
        self.line = line;
        self.line.clear();
        false
    }
}

fn is_id(id: &[u8]) -> bool {
    id.len() <= LONGEST && !id.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
}

fn millis(value: &[u8]) -> Option<Duration> {
    if value.is_empty() || value.len() > 12 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u64, digit: &u8| sum * 10 + u64::from(digit - b'0');
    Some(Duration::from_millis(value.iter().fold(0, add)))
}
