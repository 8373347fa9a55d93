//! Keys: tenants, API keys, bearer tokens, traces and hosts.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher, Hash};

use http::{
    HeaderName, HeaderValue, Request, Uri,
    header::{AUTHORIZATION, HOST},
};
use plimsoll_core::{
    ApiKey, Authority, BearerToken, HeaderKey, Key as _, TraceId,
    key::{AuthorityKey, SecretKey},
};

use super::{Input, lines};

const TENANT: HeaderName = HeaderName::from_static("x-tenant");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

fn hash(key: impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(key)
}

/// Promises of the keys:
///
/// - A key is the whole value of the only line, of 1 to 4,096 bytes.
/// - A bearer token is what follows the scheme.
/// - An unusable header is counted.
pub fn secrets_and_tenants(data: &[u8]) -> bool {
    let req = Input::new(data).request(&[TENANT, API_KEY, AUTHORIZATION]);
    let only_line = |name| match lines(req.headers(), &name)[..] {
        [line] if (1..=4096).contains(&line.len()) => Some(line),
        _ => None,
    };
    assert_eq!(HeaderKey(TENANT).key(&req), only_line(TENANT));

    let api_keys = ApiKey::new();
    let api_key = api_keys.key(&req);
    assert_eq!(
        api_key.map(hash),
        only_line(API_KEY).map(|line| hash(SecretKey::api_key(line)))
    );
    let is_unusable = api_key.is_none() && req.headers().contains_key(API_KEY);
    assert_eq!(api_keys.unusable(), u64::from(is_unusable));

    let tokens = BearerToken::new();
    let token = tokens.key(&req);
    if let Some(token) = token {
        let line = only_line(AUTHORIZATION).expect("a token is in the only line");
        assert!(line[..7].eq_ignore_ascii_case(b"bearer "), "{line:?}");
        let written = line[7..].trim_ascii();
        assert!(written.iter().all(u8::is_ascii_graphic), "{line:?}");
        assert_eq!(hash(token), hash(SecretKey::bearer(written)));
        assert_eq!(tokens.unusable(), 0);
    }
    assert!(tokens.unusable() <= u64::from(req.headers().contains_key(AUTHORIZATION)));
    token.is_some()
}

/// Promises of `TraceId`:
///
/// - The id occurs in the only line, is not zero, and is read back from a header written with it.
pub fn trace_id(data: &[u8]) -> bool {
    let mut req = Input::new(data).request(&[TRACEPARENT]);
    let Some(id) = TraceId.key(&req) else {
        return false;
    };
    let written = format!("{id:032x}");
    let all = lines(req.headers(), &TRACEPARENT);
    assert_eq!(all.len(), 1);
    assert_eq!(&all[0].trim_ascii()[3..35], written.as_bytes());
    assert_ne!(id, 0);
    let next = HeaderValue::from_str(&format!("00-{written}-00000000000000ff-01"));
    req.headers_mut().insert(TRACEPARENT, next.expect("hex"));
    assert_eq!(TraceId.key(&req), Some(id));
    true
}

/// Promises of `Authority`:
///
/// - A host is not empty, is no longer than a DNS name (and brackets), and has no user name.
/// - Equal keys hash alike and print alike, in lower case.
/// - A key from `Host` is read back from what it prints.
pub fn authority(data: &[u8]) -> bool {
    let input = Input::new(data);
    let is_uri = input.knob % 2 == 0;
    let req = if is_uri {
        let mut req = Request::new(());
        let Ok(uri) = Uri::try_from(input.text.get(1..).unwrap_or_default()) else {
            return false;
        };
        *req.uri_mut() = uri;
        req
    } else {
        input.request(&[HOST])
    };
    let Some(key) = Authority.key(&req) else {
        return false;
    };
    let host = key.host();
    assert!((1..=257).contains(&host.len()), "{host:?}");
    assert!(!host.contains(['@', '/']), "{host:?}");
    let upper = host.to_ascii_uppercase();
    let other = AuthorityKey::new(&upper, key.port());
    assert_eq!((key, hash(key)), (other, hash(other)));
    let printed = key.to_string();
    assert_eq!(printed, other.to_string());
    if !is_uri {
        let host = HeaderValue::from_str(&printed).expect("a host is a header value");
        let again = Request::builder().header(HOST, host).body(());
        let again = again.expect("one header");
        assert_eq!(Authority.key(&again), Some(key));
    }
    true
}
