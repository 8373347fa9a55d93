//! WebSocket connections.

use plimsoll_metrics::{InvalidMetric, Metrics};

use super::{
    export::{Export, Series},
    families::{CLIENTS, DROPPED, GAPS, RECEIVED, RETRY, SLOW, UTILIZATION},
    losses::losses,
};
use crate::{
    DropReason,
    websocket::{CloseReason, WebSockets},
};

/// Connections, messages, losses, slow clients, and the
/// [highest fill level](WebSockets::buffer_utilization) of their queues.
///
/// Losses have the policy of the limits as a label; `other` for reasons that occur only after
/// [`set_policy`](crate::websocket::ClientSender::set_policy). The reason `undelivered` is the end
/// of the connection.
impl Export for WebSockets {
    fn export(&self, metrics: &Metrics, name: &str) -> Result<(), InvalidMetric> {
        let series = Series::new(metrics, "websockets", name);
        let sockets = self.clone();
        series.size(CLIENTS, &[], move || sockets.open())?;
        let sockets = self.clone();
        series.gauge(UTILIZATION, &[], move || sockets.buffer_utilization())?;
        let sockets = self.clone();
        series.counter(RECEIVED, &[], move || sockets.messages_out())?;
        let policy = self.policy().name();
        for reason in DropReason::ALL {
            let occurs = losses(|_| true).any(|loss| loss == (policy, reason));
            let policy = if occurs { policy } else { "other" };
            let labels = [("policy", policy), ("reason", reason.name())];
            let sockets = self.clone();
            series.counter(DROPPED, &labels, move || sockets.dropped(reason))?;
        }
        let labels = [("policy", policy), ("reason", "undelivered")];
        let sockets = self.clone();
        series.counter(DROPPED, &labels, move || sockets.undelivered())?;
        let sockets = self.clone();
        series.counter(GAPS, &[], move || sockets.gaps())?;
        for reason in CloseReason::ALL.iter().filter(|reason| reason.is_slow()) {
            let sockets = self.clone();
            series.counter(SLOW, &[("reason", reason.name())], move || {
                sockets.closed(*reason)
            })?;
        }
        let sockets = self.clone();
        series.counter(RETRY, &[("status", "503")], move || sockets.rejected())
    }
}
