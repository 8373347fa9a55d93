//! Errors of the socket as reasons.

use std::{
    error::Error as _,
    io::{self, ErrorKind},
};

use axum::Error;

use super::reason::CloseReason;

/// Why reading or writing failed.
///
/// axum hides the type of tungstenite's errors, but not their texts. The test
/// `bad_input_is_closed_with_a_code_and_counted` fails when these change.
pub(super) fn reason(error: &Error) -> CloseReason {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return match io.kind() {
                // The write deadline of a listener, or the kernel's timeout.
                ErrorKind::TimedOut => CloseReason::WriteDeadline,
                _ => CloseReason::Lost,
            };
        }
        source = error.source();
    }
    let text = error.to_string();
    if text.contains("without closing handshake") {
        CloseReason::Lost
    } else if text.starts_with("Space limit exceeded") {
        CloseReason::TooLarge
    } else {
        CloseReason::Protocol
    }
}
