//! The bounds of the settings.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use axum::extract::ws::Message;

use super::{
    counters::Totals,
    error::InvalidWebSocket,
    limits::WebSocketLimits,
    sockets::WebSockets,
    weight::{OVERHEAD, weight},
};
use crate::{BoundedQueue, InvalidQueue};

/// The highest bound in bytes: 1 GiB, so that sums of bounds fit everywhere.
const MOST_BYTES: usize = 1 << 30;
const TIMES: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(86_400);

impl WebSocketLimits {
    /// Builds the shared state of all connections with these limits.
    ///
    /// # Errors
    ///
    /// The first setting that is out of bounds, with the bound.
    pub fn build(self) -> Result<WebSockets, InvalidWebSocket> {
        self.check()?;
        let totals = Arc::new(Totals::new());
        self.outbound(&totals)?;
        Ok(WebSockets::with(self, totals))
    }

    fn check(&self) -> Result<(), InvalidWebSocket> {
        if !(0.0 <= self.low && self.low < self.high && self.high <= 1.0) {
            let (low, high) = (self.low, self.high);
            return Err(InvalidWebSocket::Marks { low, high });
        }
        time("over_mark", self.over_mark)?;
        time("write_deadline", Some(self.write_deadline))?;
        time("close_deadline", Some(self.close_deadline))?;
        time("ping_every", self.ping_every)?;
        time("silence_limit", self.silence_limit)?;
        time("control_period", Some(self.control_period))?;
        time("retry_after", Some(self.retry_after))?;
        if let (Some(ping_every), Some(silence_limit)) = (self.ping_every, self.silence_limit) {
            if silence_limit <= ping_every {
                return Err(InvalidWebSocket::SilenceLimit {
                    ping_every,
                    silence_limit,
                });
            }
        }
        // A bound of 0 bytes is an error of the queue.
        size("max_bytes", self.max_bytes, 0..=MOST_BYTES)?;
        size(
            "hard_bytes",
            self.hard_bytes.unwrap_or(1),
            1..=self.max_bytes.max(1),
        )?;
        size("control_frames", self.control_frames as usize, 1..=1 << 20)?;
        size(
            "max_message_bytes",
            self.max_message_bytes,
            125..=MOST_BYTES / 2,
        )?;
        size("inbound_messages", self.inbound_messages, 1..=1 << 20)?;
        let largest = self.max_message_bytes + OVERHEAD;
        size("inbound_bytes", self.inbound_bytes, largest..=MOST_BYTES)?;
        size("read_buffer", self.read_buffer, 128..=1 << 24)?;
        size("write_buffer", self.write_buffer, 128..=1 << 24)?;
        size("max_connections", self.max_connections, 1..=1 << 20)?;
        match self.slow_code {
            1013 | 4000..=4999 => Ok(()),
            code => Err(InvalidWebSocket::SlowCode(code)),
        }
    }

    /// The queue of messages to one client.
    pub(super) fn outbound(
        &self,
        totals: &Arc<Totals>,
    ) -> Result<BoundedQueue<Message>, InvalidQueue> {
        let builder = BoundedQueue::builder(self.capacity).policy(self.policy);
        let builder = match &self.configure {
            Some(configure) => configure(builder),
            None => builder,
        };
        let totals = Arc::clone(totals);
        builder
            .max_bytes_by(self.max_bytes, weight)
            .on_drop(move |_, reason| totals.drop_message(reason))
            .build()
    }

    /// The queue of messages from one client.
    pub(super) fn inbound_queue(&self) -> Result<BoundedQueue<Message>, InvalidQueue> {
        BoundedQueue::builder(self.inbound_messages)
            .max_bytes_by(self.inbound_bytes, weight)
            .build()
    }
}

fn time(setting: &'static str, value: Option<Duration>) -> Result<(), InvalidWebSocket> {
    match value {
        Some(got) if !TIMES.contains(&got) => Err(InvalidWebSocket::Time { setting, got }),
        _ => Ok(()),
    }
}

fn size(
    setting: &'static str,
    got: usize,
    bounds: RangeInclusive<usize>,
) -> Result<(), InvalidWebSocket> {
    let (least, most) = bounds.into_inner();
    if (least..=most).contains(&got) {
        Ok(())
    } else {
        Err(InvalidWebSocket::Size {
            setting,
            least,
            most,
            got,
        })
    }
}
