//! WebSocket connections.

use plimsoll_core::figures::{self, Figure, Figures};

use crate::{DropReason, websocket::WebSockets};

/// Connections, the highest fill level of their queues, messages and losses.
impl Figures for WebSockets {
    fn policy(&self) -> &'static str {
        "websockets"
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(&figures::CLIENTS, self.open() as f64);
        each(&figures::LOAD, self.buffer_utilization());
        each(&figures::SENT, self.messages_out() as f64);
        let dropped: u64 = DropReason::ALL.iter().map(|why| self.dropped(*why)).sum();
        each(&figures::DROPPED, (dropped + self.undelivered()) as f64);
        each(&figures::REJECTED, self.rejected() as f64);
    }
}
