//! `tower_governor`: one quota for all, and one per key read from a header.

use ::governor::{clock::QuantaInstant, middleware::NoOpMiddleware};
use http::{Request, Response};
use tower::{Layer, Service};
use tower_governor::{
    GovernorError, GovernorLayer,
    governor::GovernorConfigBuilder,
    key_extractor::{GlobalKeyExtractor, KeyExtractor},
};

use super::{
    Case, Empty,
    bare::{API_KEY, AXUM, AXUM_KEYED, Bare},
    case::spent,
};

type Body = axum::body::Body;

/// More than any benchmark uses: nanoseconds per request, and the burst.
pub const AMPLE: (u64, u32) = (1, u32::MAX);
/// Spent by the first call.
pub const SPENT: (u64, u32) = (u64::MAX / 4, 1);

/// `tower_governor`'s cases. Its responses have axum's body, so its baseline has that body, too.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("tower_governor/global@accept", AXUM, || {
            quota(GlobalKeyExtractor, AMPLE)
        }),
        Case::new("tower_governor/global@reject", AXUM, || {
            spent(AXUM, quota(GlobalKeyExtractor, SPENT))
        }),
        Case::new("tower_governor/per-key@accept", AXUM_KEYED, || {
            quota(ApiKey, AMPLE)
        }),
        Case::new("tower_governor/per-key@reject", AXUM_KEYED, || {
            spent(AXUM_KEYED, quota(ApiKey, SPENT))
        }),
    ]
}

fn quota<K>(
    key: K,
    quota: (u64, u32),
) -> impl Service<Request<Empty>, Response = Response<Body>> + Clone + Send + 'static
where
    K: KeyExtractor<Key: Send + Sync> + Send + Sync + 'static,
{
    layer(key, quota).layer(Bare::<Body>::OK)
}

/// The layer with this quota for each key.
///
/// # Panics
///
/// When either number is zero.
pub fn layer<K: KeyExtractor>(
    key: K,
    (nanoseconds, burst): (u64, u32),
) -> GovernorLayer<K, NoOpMiddleware<QuantaInstant>, Body> {
    let config = GovernorConfigBuilder::default()
        .key_extractor(key)
        .per_nanosecond(nanoseconds)
        .burst_size(burst)
        .finish()
        .expect("neither is zero");
    GovernorLayer::new(config)
}

/// The key of a request: a header's text. A `String`, as in the crate's own example.
#[derive(Debug, Clone)]
pub struct ApiKey;

impl KeyExtractor for ApiKey {
    type Key = String;

    fn extract<T>(&self, request: &Request<T>) -> Result<String, GovernorError> {
        request
            .headers()
            .get(API_KEY)
            .and_then(|key| key.to_str().ok())
            .map(str::to_owned)
            .ok_or(GovernorError::UnableToExtractKey)
    }
}
