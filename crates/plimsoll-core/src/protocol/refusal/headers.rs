//! The headers of rejections.

use std::sync::OnceLock;

use ::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};

use crate::{
    Rejection,
    decimal::decimal,
    wire::{RATELIMIT, RATELIMIT_POLICY, THRESHOLD},
};

pub(super) const REFUSED_BY: HeaderName = crate::wire::REJECTED_BY;
/// Set on every rejection in every protocol: a rejection concerns one caller, and caches must not
/// serve it to others.
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

const NAME_COUNT: usize = 7;

/// The headers of an HTTP rejection, each at the index of its [name](NAMES).
pub(super) struct Headers(pub(super) [Option<HeaderValue>; NAME_COUNT]);

const NAMES: [HeaderName; NAME_COUNT] = [
    CACHE_CONTROL,
    RETRY_AFTER,
    CONTENT_TYPE,
    REFUSED_BY,
    RATELIMIT_POLICY,
    RATELIMIT,
    THRESHOLD,
];

impl Headers {
    /// Builds a map of these headers.
    ///
    /// Performance: hashing names is most of the cost of a map, and there are few sets of names:
    /// each set is built once, then copied and given its values (`instructions`, `gate@reject`).
    pub(super) fn into_map(mut self) -> HeaderMap {
        static TEMPLATES: [OnceLock<HeaderMap>; 1 << NAME_COUNT] =
            [const { OnceLock::new() }; 1 << NAME_COUNT];
        let mut names = 0;
        for (n, value) in self.0.iter().enumerate() {
            names |= usize::from(value.is_some()) << n;
        }
        let template = TEMPLATES[names].get_or_init(|| {
            let chosen = NAMES
                .into_iter()
                .enumerate()
                .filter(|(n, _)| names & (1 << n) != 0);
            chosen.map(|(_, name)| (name, NO_STORE)).collect()
        });
        let mut map = template.clone();
        // `values_mut` yields values in the order of insertion. Performance: values are taken out
        // in place, since iterating over the array moves it.
        let values = self.0.iter_mut().filter_map(Option::take);
        for (place, value) in map.values_mut().zip(values) {
            *place = value;
        }
        map
    }
}

/// Returns the level below which all requests are shed, if the policy set it.
pub(super) fn threshold(rejection: &Rejection) -> Option<HeaderValue> {
    rejection.threshold().map(|level| decimal(level.into()))
}
