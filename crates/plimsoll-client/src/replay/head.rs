//! The head of a request, kept for further attempts.

use http::{Extensions, HeaderMap, Method, Request, Uri, Version};

/// Performance: maps are kept only if they are not empty, since an empty map costs as much to copy and
/// drop as the rest together (`instructions`, `retry@accept`).
#[derive(Debug)]
pub(super) struct Head {
    method: Method,
    uri: Uri,
    version: Version,
    headers: Option<HeaderMap>,
    extensions: Option<Extensions>,
}

impl Head {
    #[inline]
    pub(super) fn of<B>(req: &Request<B>) -> Self {
        let (headers, extensions) = (req.headers(), req.extensions());
        Self {
            method: req.method().clone(),
            uri: req.uri().clone(),
            version: req.version(),
            headers: (!headers.is_empty()).then(|| headers.clone()),
            extensions: (!extensions.is_empty()).then(|| extensions.clone()),
        }
    }

    /// Makes a request with this head.
    pub(super) fn request<B>(&self, body: B) -> Request<B> {
        let mut req = Request::new(body);
        *req.method_mut() = self.method.clone();
        *req.uri_mut() = self.uri.clone();
        *req.version_mut() = self.version;
        if let Some(headers) = &self.headers {
            *req.headers_mut() = headers.clone();
        }
        if let Some(extensions) = &self.extensions {
            *req.extensions_mut() = extensions.clone();
        }
        req
    }
}
