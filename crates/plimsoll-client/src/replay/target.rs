//! The URI of a request, kept for further attempts.

use http::uri::{self, Authority, PathAndQuery, Scheme, Uri};

/// A URI in its parts.
#[derive(Debug)]
pub(super) struct Target {
    /// `None` for a host alone, as in a `CONNECT`.
    path: Option<PathAndQuery>,
    /// `None` in tonic's requests, which have a path only.
    origin: Option<Origin>,
}

#[derive(Debug)]
struct Origin {
    scheme: Option<Scheme>,
    authority: Authority,
}

impl Target {
    #[inline(always)]
    #[allow(clippy::inline_always)] // see `HttpReplay::keep`
    pub(super) fn of(uri: &Uri) -> Self {
        Self::of_path(uri).unwrap_or_else(|| Self::whole(uri))
    }

    #[inline(never)]
    fn whole(uri: &Uri) -> Self {
        Self {
            path: uri.path_and_query().cloned(),
            // A URI with a scheme has an authority.
            origin: uri.authority().map(|authority| Origin {
                scheme: uri.scheme().cloned(),
                authority: authority.clone(),
            }),
        }
    }

    /// Keeps a URI that is nothing but a path; `None` for others.
    #[inline(always)]
    #[allow(clippy::inline_always)] // as above
    pub(super) fn of_path(uri: &Uri) -> Option<Self> {
        if uri.authority().is_some() {
            return None;
        }
        Some(Self {
            path: uri.path_and_query().cloned(),
            origin: None,
        })
    }

    pub(super) fn uri(&self) -> Uri {
        let mut parts = uri::Parts::default();
        parts.path_and_query.clone_from(&self.path);
        if let Some(Origin { scheme, authority }) = &self.origin {
            parts.scheme.clone_from(scheme);
            parts.authority = Some(authority.clone());
        }
        // The parts of a URI make a URI.
        Uri::from_parts(parts).unwrap_or_default()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_uri_is_kept() {
        for form in [
            "/",
            "/a/b?c=d",
            "*",
            "host:443",
            "http://host",
            "https://user@host:1/a?b",
            "custom://[::1]:80/",
        ] {
            let uri: Uri = form.parse().unwrap();
            assert_eq!(Target::of(&uri).uri(), uri, "{form}");
        }
        let empty = Uri::default();
        assert_eq!(Target::of(&empty).uri(), empty);
    }

    #[test]
    fn a_path_alone_is_kept_as_any_uri_is() {
        for form in ["/", "/a/b?c=d", "*"] {
            let uri: Uri = form.parse().unwrap();
            assert_eq!(Target::of_path(&uri).unwrap().uri(), uri, "{form}");
        }
        for form in ["host:443", "http://host", "https://user@host:1/a?b"] {
            let uri: Uri = form.parse().unwrap();
            assert!(Target::of_path(&uri).is_none(), "{form}");
        }
    }
}
