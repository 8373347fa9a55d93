//! Permits that a response body can carry.

use ::http::HeaderMap;

use super::speaks::SpeaksHttp;
use crate::{Class, Classify as _, Hold};

/// A permit that a body can carry: any [`Hold`] of a protocol that [speaks HTTP](SpeaksHttp).
pub trait Carried: Hold {
    /// Returns the class, given the trailers, or the head of a response without a body.
    fn end(&self, class: Class, metadata: &HeaderMap) -> Class;
    /// Returns the class of a body that ended with an error.
    fn broken(&self, class: Class) -> Class;
}

impl<H: Hold<Protocol: SpeaksHttp>> Carried for H {
    #[inline]
    fn end(&self, class: Class, metadata: &HeaderMap) -> Class {
        match class {
            Class::Rejected => class,
            class => self.protocol().http().classifier().end(class, metadata),
        }
    }
    #[inline]
    fn broken(&self, class: Class) -> Class {
        self.protocol().http().classifier().body_error(class)
    }
}
