//! What a request contains.

use http::{HeaderMap, Uri};

use crate::{hub::InvalidCursor, sse::moves::Id};

/// The header in which a browser sends the id of the last event.
const LAST_EVENT_ID: &str = "last-event-id";
/// The header by which a client declares that it reads status codes and headers.
const STREAM_CLIENT: &str = "x-stream-client";

/// The value of a parameter in the query. Ids need no percent-encoding, so none is decoded.
pub(crate) fn query<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    let pairs = uri.query()?.split('&');
    let mut values = pairs.filter_map(|pair| pair.split_once('='));
    values.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Whether the client reads status codes and headers. A native `EventSource` does not.
pub(crate) fn reads_status(uri: &Uri, headers: &HeaderMap) -> bool {
    let declared = headers.get(STREAM_CLIENT);
    declared.is_some_and(|value| value == "fetch") || query(uri, "client") == Some("fetch")
}

/// From where a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Now,
    After(Id),
    /// An id that this crate has not written.
    Malformed,
}

impl From {
    /// The number of the move of a client that polls.
    pub(crate) fn moved(self) -> Option<u64> {
        match self {
            Self::After(id) => id.moved,
            Self::Now | Self::Malformed => None,
        }
    }
}

/// The header of a browser, or the query of a client that polls. The header wins: a browser keeps
/// the query of the first request.
pub(crate) fn from(uri: &Uri, headers: &HeaderMap) -> From {
    let id = match headers.get(LAST_EVENT_ID) {
        // An empty id means none, by the standard.
        Some(value) if value.is_empty() => return From::Now,
        Some(value) => value.to_str().map_err(|_| InvalidCursor),
        None => match query(uri, "after") {
            Some(id) => Ok(id),
            None => return From::Now,
        },
    };
    id.and_then(str::parse).map_or(From::Malformed, From::After)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::hub::Cursor;

    fn of(uri: &str, header: Option<&[u8]>) -> From {
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert(LAST_EVENT_ID, HeaderValue::from_bytes(value).unwrap());
        }
        from(&uri.parse().unwrap(), &headers)
    }

    #[test]
    fn the_header_wins_over_the_query_and_neither_means_now() {
        let id = |seq| {
            let cursor = Cursor { epoch: 1, seq };
            From::After(Id {
                cursor,
                moved: None,
            })
        };
        assert_eq!(of("/", None), From::Now);
        assert_eq!(of("/?x=1&after=0000000000000001.5", None), id(5));
        let header = Some(&b"0000000000000001.6"[..]);
        assert_eq!(of("/?after=0000000000000001.5", header), id(6));
        assert_eq!(of("/?after=0000000000000001.5", Some(b"")), From::Now);
    }

    #[test]
    fn any_other_id_is_malformed() {
        let long = vec![b'7'; 8_000];
        for id in [&b"7"[..], b"\xff", b"0000000000000001.5 ", b"1.5", &long] {
            assert_eq!(of("/", Some(id)), From::Malformed);
        }
        assert_eq!(of("/?after=", None), From::Malformed);
    }
}
