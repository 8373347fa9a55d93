//! The route as the key.

use http::Request;

use super::Key;

/// The route of a request: axum's matched path (`/users/{id}`, feature `axum`). Without a matched
/// path there is no key.
///
/// The raw path is not used, since a caller can invent any number of paths.
///
/// The path is known only inside the router's matching: use `Router::route_layer` or
/// `MethodRouter::layer`. gRPC paths are a fixed set; [`Route::grpc`] uses them as they are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Route {
    whole_path: bool,
}

impl Route {
    /// Reads axum's matched path.
    pub const fn matched() -> Self {
        Self { whole_path: false }
    }

    /// Reads the whole path, `/package.Service/Method`: for services whose router rejects unknown
    /// paths.
    pub const fn grpc() -> Self {
        Self { whole_path: true }
    }
}

impl<B> Key<Request<B>> for Route {
    type Key<'a>
        = &'a str
    where
        B: 'a;

    fn key<'a>(&'a self, req: &'a Request<B>) -> Option<&'a str> {
        if self.whole_path {
            return Some(req.uri().path());
        }
        #[cfg(feature = "axum")]
        if let Some(path) = req.extensions().get::<axum::extract::MatchedPath>() {
            return Some(path.as_str());
        }
        None
    }

    fn label(&self, req: &Request<B>) -> Option<String> {
        self.key(req).map(str::to_owned)
    }

    fn cure(&self, _: &Request<B>) -> &'static str {
        if cfg!(feature = "axum") {
            "put the layer inside the router's matching, with `Router::route_layer`"
        } else {
            "enable plimsoll's feature `axum`, or read the route with a closure"
        }
    }
}
