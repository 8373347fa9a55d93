//! Why a response stream ends early, and its status.

use std::time::Duration;

use plimsoll_core::{Kind, Rejection, support::grpc_trailers};
use tonic::{Status, metadata::MetadataValue};

use crate::hub::{Cursor, SubscribeError};

/// Where the client can continue: the text of a [`Cursor`].
pub(super) const CURSOR: &str = "plimsoll-cursor";
/// How many items the client was behind.
const LAG: &str = "plimsoll-lag";
/// The name of these rejections.
const NAME: &str = "stream";

/// Why a response stream ends early.
#[derive(Debug, Clone)]
pub(super) enum Stop {
    Status(Status),
    /// The client was too slow.
    Slow {
        lag: u64,
        cursor: Option<Cursor>,
    },
}

impl Stop {
    pub(super) fn status(self, retry_after: Duration) -> Status {
        let (lag, cursor) = match self {
            Self::Status(status) => return status,
            Self::Slow { lag, cursor } => (lag, cursor),
        };
        let rejection =
            Rejection::new(NAME, Kind::OverQuota).with_estimated_retry_after(retry_after);
        let mut status = written(&rejection, "the client is too slow");
        status.metadata_mut().insert(LAG, MetadataValue::from(lag));
        if let Some(cursor) = cursor {
            insert_cursor(&mut status, cursor);
        }
        status
    }
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// The rejection as all gates of this family write it.
fn written(rejection: &Rejection, message: &'static str) -> Status {
    let trailers = grpc_trailers(rejection, message);
    Status::from_header_map(&trailers).unwrap_or_else(|| Status::resource_exhausted(message))
}

pub(super) fn insert_cursor(status: &mut Status, cursor: Cursor) {
    if let Ok(cursor) = cursor.to_string().parse() {
        status.metadata_mut().insert(CURSOR, cursor);
    }
}

/// `UNAVAILABLE` with when to retry for a full hub, `UNAVAILABLE` for a closed one, and `INTERNAL`
/// for settings that do not fit.
impl From<SubscribeError> for Status {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::Full { .. } => {
                let rejection =
                    Rejection::new(NAME, Kind::Full).with_retry_after(Duration::from_secs(1));
                written(&rejection, "too many subscribers")
            }
            SubscribeError::Closed => Self::unavailable(error.to_string()),
            _ => Self::internal(error.to_string()),
        }
    }
}
