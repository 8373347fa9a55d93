//! The connections of a listener.

use plimsoll_core::figures::{self, Figure, Figures};

use crate::listener::{BackpressureHandle, SlowDisconnect};

/// Connections, those that are blocked, slow clients, and bytes.
///
/// [`unsent`](BackpressureHandle::unsent) is not among them: to ask the kernel may take some
/// milliseconds.
impl Figures for BackpressureHandle {
    fn policy(&self) -> &'static str {
        "listener"
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(&figures::CLIENTS, self.open() as f64);
        each(&BLOCKED, self.blocked() as f64);
        each(&ACCEPTED, self.accepted() as f64);
        for reason in SlowDisconnect::ALL {
            let figure = match reason {
                SlowDisconnect::WriteDeadline => &SLOW[0],
                SlowDisconnect::PeerTimeout => &SLOW[1],
            };
            each(figure, self.slow_disconnects(reason) as f64);
        }
        each(&WRITTEN, self.written() as f64);
        each(&READ, BackpressureHandle::read(self) as f64);
        each(&OPTION_ERRORS, self.option_errors() as f64);
    }
}

static BLOCKED: Figure = Figure::gauge("blocked", "Connections whose write is blocked now");
static ACCEPTED: Figure = Figure::counter("accepted", "Connections that were accepted");
static WRITTEN: Figure =
    Figure::counter("written", "Bytes that the kernel accepted from the server").in_unit("bytes");
static READ: Figure = Figure::counter("read", "Bytes that the server has read").in_unit("bytes");
static OPTION_ERRORS: Figure = Figure::counter(
    "option_errors",
    "Connections on which an option could not be set",
);
/// In the order of [`SlowDisconnect::ALL`].
static SLOW: [Figure; 2] = [
    slow(SlowDisconnect::WriteDeadline),
    slow(SlowDisconnect::PeerTimeout),
];

const fn slow(reason: SlowDisconnect) -> Figure {
    let figure = Figure::counter(
        "slow_connections",
        "Connections that were closed because of a slow or absent client, by reason",
    );
    figure.with_label("reason", reason.name())
}
