//! Rejections outside of a gate, written exactly as a gate writes them.

use axum::{body::Body, response::Response};
use http::Request;
use plimsoll_core::{
    Http, Rejection,
    policy::{Announcement, End, Spent},
    protocol::Hold,
};

/// Makes the response that rejects a request with this head.
pub(crate) fn respond<B>(http: &Http, request: &Request<B>, rejection: &Rejection) -> Response {
    http.rejection::<NoPermit, Body, _>(request, rejection)
        .map(Body::new)
}

/// The permit of a rejection, which has none.
enum NoPermit {}

impl Hold for NoPermit {
    type Protocol = Http;

    fn protocol(&self) -> &Http {
        match *self {}
    }

    fn announce(&self, _: &mut Announcement<'_>) {}

    fn head(&mut self) {}

    fn settle_spent(&mut self, _: End, _: Spent) {}
}
