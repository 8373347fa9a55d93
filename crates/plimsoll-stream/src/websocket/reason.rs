//! Why a connection was closed.

use axum::extract::ws::{CloseFrame, Utf8Bytes};

macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident $name:literal $code:literal $text:literal;)*) => {
        /// Why a connection was closed, for counters.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum CloseReason {
            $($(#[$doc])* $reason,)*
        }

        impl CloseReason {
            /// All reasons.
            pub const ALL: &'static [Self] = &[$(Self::$reason,)*];

            /// Returns the name for labels of metrics, such as `write_deadline`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$reason => $name,)* }
            }

            /// The code and the text of the close frame. 0: no frame is sent.
            const fn frame(self) -> (u16, &'static str) {
                match self { $(Self::$reason => ($code, $text),)* }
            }
        }
    };
}

reasons! {
    /// The client sent a close frame.
    Client "client" 0 "";
    /// The connection broke off without a close frame.
    Lost "lost" 0 "";
    /// The handler has returned.
    Done "done" 1000 "";
    /// The handler panicked. Code 1011.
    Panicked "panicked" 1011 "internal error";
    /// The application closed the connection with a code of its own.
    Application "application" 1000 "";
    /// A flush was blocked for the write deadline. The code for slow clients.
    WriteDeadline "write_deadline" 4008 "slow consumer: write deadline";
    /// The queue was over its high mark for the time limit. The code for slow clients.
    OverMark "over_mark" 4008 "slow consumer: queue above its mark";
    /// The queue reached the hard limit in bytes. The code for slow clients.
    QueueBytes "queue_bytes" 4008 "slow consumer: too many bytes queued";
    /// The client sent nothing, not even an answer to a ping. The code for slow clients.
    Silent "silent" 4008 "no answer to pings";
    /// More pings, pongs and flow messages than allowed. Code 1008.
    ControlFlood "control_flood" 1008 "too many control frames";
    /// A message or a frame of the client exceeded the bound in bytes. Code 1009.
    TooLarge "too_large" 1009 "message too large";
    /// A flow message of the client is malformed or unknown. Code 1008.
    MalformedFlow "malformed_flow" 1008 "malformed flow message";
    /// The client broke the WebSocket protocol. Code 1002.
    Protocol "protocol" 1002 "protocol error";
}

impl CloseReason {
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// Returns whether the client was disconnected because it was slow or absent.
    pub const fn is_slow(self) -> bool {
        matches!(
            self,
            Self::WriteDeadline | Self::OverMark | Self::QueueBytes | Self::Silent
        )
    }
}

/// How a connection ended, or is about to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Why.
    pub reason: CloseReason,
    /// The close frame that is sent to the client, or that the client sent. `None` when there is
    /// none.
    pub frame: Option<CloseFrame>,
}

impl Closed {
    /// For a reason of this server, with `slow_code` for slow clients.
    pub(super) fn by_server(reason: CloseReason, slow_code: u16) -> Self {
        let (code, text) = reason.frame();
        let code = if reason.is_slow() { slow_code } else { code };
        let frame = (code != 0).then(|| CloseFrame {
            code,
            reason: Utf8Bytes::from_static(text),
        });
        Self { reason, frame }
    }

    /// Whether this server sends a close frame.
    pub(super) fn sends_frame(&self) -> bool {
        !matches!(self.reason, CloseReason::Client | CloseReason::Lost)
    }
}
