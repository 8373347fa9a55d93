//! Headers and extensions of a request, kept for further attempts.

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request};

/// Headers and extensions.
#[derive(Debug)]
pub(super) struct Fields {
    /// A list, since a map allocates two blocks of memory.
    headers: Vec<(HeaderName, HeaderValue)>,
    extensions: Extensions,
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
