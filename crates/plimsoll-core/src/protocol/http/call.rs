//! One call over HTTP: from the request to the end of its permit.

use ::http::{Method, Request, Response, StatusCode, Version};
use http_body::Body;

use super::{
    body::GateBody,
    rare::{is_rejection, look_closer},
    speaks::SpeaksHttp,
    tracked::{Tracked, promised_length},
};
use crate::{
    Class, Classify as _, Hold, Interests, Release, protocol::refusal::strip_foreign_name,
};

/// What [`Http`](crate::Http) keeps about a request until the inner service answers.
#[derive(Debug, Clone, Copy)]
pub struct HttpCall {
    /// Whether the response's body will not be sent: `HEAD`.
    bodiless: bool,
}

impl HttpCall {
    /// Reads the request.
    #[inline]
    pub fn begin<R>(req: &Request<R>) -> Self {
        Self {
            bodiless: req.method() == Method::HEAD,
        }
    }

    /// Returns the class of a response from its head. A [`Rejection`](crate::Rejection) in the
    /// extensions, left by an inner gate, takes precedence.
    #[inline]
    pub fn class<T: SpeaksHttp, B: Body>(self, protocol: &T, response: &Response<B>) -> Class {
        if !response.extensions().is_empty() && is_rejection(response) {
            return Class::Rejected;
        }
        class_of_head(protocol, response)
    }

    /// Removes `plimsoll-rejected-by` from another service's rejection that the inner service
    /// forwards. The header means that nothing was run, and here the inner service ran.
    ///
    /// Rejections by gates in this process have a [`Rejection`](crate::Rejection) in their
    /// extensions, and keep the header.
    #[inline]
    pub fn received<H, B, E>(held: &H, result: &mut Result<Response<B>, E>)
    where
        H: Hold<Protocol: SpeaksHttp>,
        B: Body,
    {
        // Performance: a rejection has another status than 200, or is a gRPC status without a body;
        // most answers are neither (`instructions`, `gate@accept`).
        if let Ok(response) = result {
            if (response.status() != StatusCode::OK || response.body().is_end_stream())
                && !held.protocol().http().refusals.foreign_names
            {
                strip_foreign_name(response);
            }
        }
    }

    /// Attaches the permit to the response's body, or ends it when the call ends with the head.
    #[inline(always)]
    #[allow(clippy::inline_always)] // As for `Protocol::complete`.
    pub fn complete<H, B>(self, held: H, response: Response<B>) -> Response<GateBody<B, H>>
    where
        H: Hold<Protocol: SpeaksHttp>,
        B: Body,
    {
        self.tie(None, held, response)
    }

    /// As [`complete`](Self::complete), with a class that is already known.
    #[inline]
    pub fn complete_as<H, B>(
        self,
        class: Class,
        held: H,
        response: Response<B>,
    ) -> Response<GateBody<B, H>>
    where
        H: Hold<Protocol: SpeaksHttp>,
        B: Body,
    {
        self.tie(Some(class), held, response)
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // As for `Protocol::complete`.
    fn tie<H, B>(
        self,
        class: Option<Class>,
        held: H,
        mut response: Response<B>,
    ) -> Response<GateBody<B, H>>
    where
        H: Hold<Protocol: SpeaksHttp>,
        B: Body,
    {
        let announces = held.interests(Interests::ANNOUNCE).announce();
        // Performance: most of the cost is moving response and permit (`instructions`,
        // `gate@accept`). So the permit is put into its final place at once, and rare cases are
        // handled out of line, by reference: a response that may be written to is moved once more.
        let mut slot = None;
        let tracked = slot.insert(Tracked::new(held));
        let protocol = tracked.held.protocol();
        let class = class.unwrap_or_else(|| class_of_head(protocol, &response));
        let http = protocol.http();
        if announces {
            http.announce(&tracked.held, response.headers_mut());
        }
        let at_head = http.release == Release::AtHead;
        tracked.expect(class, promised_length(&response));
        let is_rare = at_head || self.is_rare(&response);
        if is_rare {
            look_closer(self.bodiless, &mut slot, &response);
        }
        response.map(|body| GateBody::carrying(body, slot))
    }

    /// Returns whether the response needs [`look_closer`]. Most responses do not.
    #[inline]
    fn is_rare<B: Body>(self, response: &Response<B>) -> bool {
        self.bodiless
            || response.status() != StatusCode::OK
            || response.version() == Version::HTTP_2
            || !response.extensions().is_empty()
            || response.body().is_end_stream()
    }

    /// Ends the permit of a call that the inner service answered with an error.
    #[inline]
    pub fn fail<H: Hold<Protocol: SpeaksHttp>>(self, held: H) {
        let class = held.protocol().http().classifier().service_error();
        held.settle(class);
    }

    /// [Completes](Self::complete) a response, or [fails](Self::fail) an error, of the inner
    /// service.
    ///
    /// # Errors
    ///
    /// The inner service's error.
    #[allow(clippy::inline_always)] // Performance: a call would move the response once more.
    #[inline(always)]
    pub fn conclude<H, B, E>(
        self,
        held: H,
        result: Result<Response<B>, E>,
    ) -> Result<Response<GateBody<B, H>>, E>
    where
        H: Hold<Protocol: SpeaksHttp>,
        B: Body,
    {
        match result {
            Ok(response) => Ok(self.complete(held, response)),
            Err(error) => {
                self.fail(held);
                Err(error)
            }
        }
    }
}

/// Returns the class of a response without reading its extensions.
#[inline]
fn class_of_head<T: SpeaksHttp, B: Body>(protocol: &T, response: &Response<B>) -> Class {
    let classifier = protocol.http().classifier();
    let class = classifier.head(response.status(), response.headers());
    if response.body().is_end_stream() {
        classifier.end(class, response.headers())
    } else {
        class
    }
}
