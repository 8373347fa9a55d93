//! The URI of a request, kept for further attempts.

use http::uri::{self, Authority, PathAndQuery, Scheme, Uri};

/// A scheme and an authority: what a URI has beside its path.
#[derive(Debug)]
pub(super) struct Origin {
    scheme: Option<Scheme>,
    authority: Authority,
}

impl Origin {
    /// `None` for a path alone, as in tonic's requests.
    #[inline]
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        // A URI with a scheme has an authority.
        uri.authority().map(|authority| Self {
            scheme: uri.scheme().cloned(),
            authority: authority.clone(),
        })
    }
}

/// An origin, if there is one. Performance: dropped out of line, so that the replay of a path alone is
/// dropped in few steps (`instructions`, `retry@accept`).
#[derive(Debug)]
pub(super) struct At(pub(super) Option<Origin>);

impl Drop for At {
    #[inline]
    fn drop(&mut self) {
        if self.0.is_some() {
            end(self.0.take());
        }
    }
}

#[inline(never)]
fn end(origin: Option<Origin>) {
    drop(origin);
}

/// Makes the URI of its parts. There is no path in a host alone, as in a `CONNECT`.
pub(super) fn uri(path: Option<&PathAndQuery>, origin: Option<&Origin>) -> Uri {
    let mut parts = uri::Parts::default();
    parts.path_and_query = path.cloned();
    if let Some(Origin { scheme, authority }) = origin {
        parts.scheme.clone_from(scheme);
        parts.authority = Some(authority.clone());
    }
    // The parts of a URI make a URI.
    Uri::from_parts(parts).unwrap_or_default()
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
            let from: Uri = form.parse().unwrap();
            let origin = Origin::of(&from);
            assert_eq!(uri(from.path_and_query(), origin.as_ref()), from, "{form}");
            let is_path = form.starts_with(['/', '*']);
            assert_eq!(origin.is_none(), is_path, "{form}");
        }
        let empty = Uri::default();
        assert_eq!(uri(empty.path_and_query(), None), empty);
    }
}
