//! The user's own body of rejections.

use std::{fmt, sync::Arc};

use ::http::HeaderValue;
use bytes::Bytes;

use crate::{Rejection, RequestHead};

/// Makes the content type and the bytes of a rejection's body.
#[derive(Clone)]
pub(in crate::protocol) struct OwnBody(pub(super) Arc<WriteBody>);

pub(super) type WriteBody =
    dyn Fn(&Rejection, &RequestHead<'_>) -> (HeaderValue, Bytes) + Send + Sync;

impl OwnBody {
    pub(in crate::protocol) fn new(
        write: impl Fn(&Rejection, &RequestHead<'_>) -> (HeaderValue, Bytes) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(write))
    }
}

impl fmt::Debug for OwnBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnBody")
    }
}
