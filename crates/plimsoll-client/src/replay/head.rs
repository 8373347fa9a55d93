//! Parts of a request's head, kept for further attempts.

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request, Uri, uri::PathAndQuery};

/// A URI, without a scheme and a host if it has none, as in tonic's requests.
#[derive(Debug)]
pub(super) enum Target {
    Path(PathAndQuery),
    Whole(Uri),
}

/// Headers and extensions.
#[derive(Debug)]
pub(super) struct Fields {
    /// A list, since a map allocates two blocks of memory.
    headers: Vec<(HeaderName, HeaderValue)>,
    extensions: Extensions,
}

impl Target {
    #[inline(always)]
    #[allow(clippy::inline_always)] // see `HttpReplay::keep`
    pub(super) fn of(uri: &Uri) -> Self {
        match uri.path_and_query() {
            Some(path) if uri.authority().is_none() && uri.scheme().is_none() => {
                Self::Path(path.clone())
            }
            _ => Self::Whole(uri.clone()),
        }
    }

    pub(super) fn uri(&self) -> Uri {
        match self {
            Self::Path(path) => Uri::from(path.clone()),
            Self::Whole(uri) => uri.clone(),
        }
    }
}

impl Fields {
    pub(super) fn of(headers: &HeaderMap, extensions: &Extensions) -> Self {
        // The iterator has no exact length.
        let mut list = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            list.push((name.clone(), value.clone()));
        }
        Self {
            headers: list,
            extensions: extensions.clone(),
        }
    }

    pub(super) fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.headers.iter().map(|(name, _)| name)
    }

    pub(super) fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    pub(super) fn write<B>(&self, req: &mut Request<B>) {
        let headers = req.headers_mut();
        headers.reserve(self.headers.len());
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        *req.extensions_mut() = self.extensions.clone();
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
    fn repeated_headers_and_extensions_are_kept() {
        let mut req = Request::new(());
        for (name, value) in [("a", "1"), ("b", "2"), ("a", "3")] {
            req.headers_mut().append(name, value.parse().unwrap());
        }
        req.extensions_mut().insert(7_u8);
        let fields = Fields::of(req.headers(), req.extensions());
        let mut again = Request::new(());
        fields.write(&mut again);
        assert_eq!(again.headers(), req.headers());
        assert_eq!(again.extensions().get::<u8>(), Some(&7));
    }
}
