//! Responses that most calls do not have: without a body, with extensions, over HTTP/2.

use ::http::{Response, Version};
use http_body::Body;

use super::{speaks::SpeaksHttp, tracked::Tracked};
use crate::{
    Class, Handover, Hold, Rejection, Release, WaitsOn, panics, protocol::refusal::is_grpc,
    retry_after,
};

/// Handles a rare response: reads its extensions and, if the call ends with the head, ends the
/// permit.
///
/// A call ends with the head when there is no body, or when the layer or the handler requests
/// it.
#[inline(never)]
pub(super) fn look_closer<H, B>(
    bodiless: bool,
    slot: &mut Option<Tracked<H>>,
    response: &Response<B>,
) where
    H: Hold<Protocol: SpeaksHttp>,
    B: Body,
{
    let Some(tracked) = slot.as_mut() else {
        return;
    };
    tracked.awaits_trailers = awaits_trailers(response);
    let mut release = tracked.held.protocol().http().release;
    let mut handover = None;
    let stated = response.extensions();
    if is_rejection(response) {
        // The service was not called, so there is nothing else to read.
        tracked.class = Class::Rejected;
    } else if !stated.is_empty() {
        tracked.costing(stated.get());
        release = stated.get().copied().unwrap_or(release);
        handover = stated.get::<Handover>();
    }
    if matches!(tracked.class, Class::Failure | Class::Overloaded) {
        if let Some(wait) = retry_after::wait(response.headers()) {
            tracked.held.asked_to_wait(wait);
        }
    }
    let at_head = release == Release::AtHead || handover.is_some() || is_over(bodiless, response);
    if let Some(mut tracked) = slot.take_if(|_| at_head) {
        match handover {
            Some(handover) => {
                // The owner of the socket reads and writes without reporting it.
                tracked.waits(WaitsOn::Service);
                handover.put(Box::new(SettleOnDrop(tracked)));
            }
            None => tracked.settle(),
        }
    }
}

/// Returns whether nothing follows the head.
fn is_over<B: Body>(bodiless: bool, response: &Response<B>) -> bool {
    bodiless
        || response.body().is_end_stream()
        || matches!(response.status().as_u16(), ..200 | 204 | 304)
}

/// Returns whether an inner gate made this response.
///
/// Performance: out of line, since most responses have no extensions (`instructions`,
/// `fallback@accept`).
#[inline(never)]
pub(super) fn is_rejection<B>(response: &Response<B>) -> bool {
    response.extensions().get::<Rejection>().is_some()
}

/// Returns whether only the trailers show the class of a response: gRPC, which is always HTTP/2.
fn awaits_trailers<B>(response: &Response<B>) -> bool {
    response.version() == Version::HTTP_2 && is_grpc(response.headers())
}

/// A handed-over permit. It ends with its response's class when the claim is dropped.
struct SettleOnDrop<H: Hold>(Tracked<H>);

impl<H: Hold> Drop for SettleOnDrop<H> {
    fn drop(&mut self) {
        panics::in_drop(|| self.0.settle());
    }
}
