//! The method of a request, kept for further attempts.

use http::Method;

/// A method without an allocation: one of those that the `http` crate has constants for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known {
    Options,
    Get,
    Post,
    Put,
    Delete,
    Head,
    Trace,
    Connect,
    Patch,
    Query,
}

impl Known {
    #[inline]
    pub(super) fn of(method: &Method) -> Option<Self> {
        Some(match *method {
            Method::GET => Self::Get,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::DELETE => Self::Delete,
            Method::HEAD => Self::Head,
            Method::OPTIONS => Self::Options,
            Method::CONNECT => Self::Connect,
            Method::PATCH => Self::Patch,
            Method::TRACE => Self::Trace,
            Method::QUERY => Self::Query,
            _ => return None,
        })
    }

    pub(super) fn method(self) -> &'static Method {
        match self {
            Self::Get => &Method::GET,
            Self::Post => &Method::POST,
            Self::Put => &Method::PUT,
            Self::Delete => &Method::DELETE,
            Self::Head => &Method::HEAD,
            Self::Options => &Method::OPTIONS,
            Self::Connect => &Method::CONNECT,
            Self::Patch => &Method::PATCH,
            Self::Trace => &Method::TRACE,
            Self::Query => &Method::QUERY,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_known_method_is_kept() {
        for name in [
            "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "CONNECT", "PATCH", "TRACE", "QUERY",
        ] {
            let method = Method::from_bytes(name.as_bytes()).unwrap();
            assert_eq!(*Known::of(&method).unwrap().method(), method);
        }
        let method = Method::from_bytes(b"LOCK").unwrap();
        assert!(Known::of(&method).is_none());
    }
}
