//! What is written conforms to the grammar of its field, whatever the rejection.

use std::time::Duration;

use http::{Request, Response};
use plimsoll_client::RateLimitAdvice;
use plimsoll_core::{Http, Kind, RateLimitFields, Rejection, policy::Allowance};
use proptest::prelude::*;

use super::{QUOTA, answer, text};

/// Parses `value` as a list, and checks that it serialises to itself.
fn sound_list(value: &str) -> sfv::List {
    use sfv::FieldType as _;
    let list: sfv::List = sfv::Parser::new(value).parse().expect(value);
    assert_eq!(list.serialize().as_deref(), Some(value));
    list
}

fn sound_dictionary(value: &str) {
    use sfv::FieldType as _;
    let dictionary: sfv::Dictionary = sfv::Parser::new(value).parse().expect(value);
    assert_eq!(dictionary.serialize().as_deref(), Some(value));
}

fn rejected(protocol: Http, rejection: Rejection) -> (Response<()>, String) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(answer(protocol, rejection, Request::new(())))
}

fn kinds() -> impl Strategy<Value = Kind> {
    proptest::sample::select(vec![Kind::OverQuota, Kind::Full, Kind::CircuitOpen])
}

fn durations() -> impl Strategy<Value = Duration> {
    let some = (0_u64..200_000, 0_u32..1_000_000_000).prop_map(|(s, n)| Duration::new(s, n));
    prop_oneof![
        some,
        any::<u64>().prop_map(Duration::from_nanos),
        Just(Duration::ZERO),
        Just(Duration::MAX)
    ]
}

/// Some names that are valid in the fields, and some that are not.
const ODD_NAMES: [&str; 8] = [
    "per-user",
    "a",
    " ~!#$%&'()*+,-./:;<=>?@[]^_`{|}",
    "0123456789012345678901234567890123456789012345678901234567890123",
    "",
    "a\"b",
    "back\\slash",
    "line\nbreak",
];

proptest! {
    #[test]
    fn retry_after_is_never_earlier_than_t_or_the_exact_wait(
        kind in kinds(),
        wait in durations(),
        reset in durations(),
    ) {
        let rejection = Rejection::new("p", kind)
            .with_retry_after(wait)
            .with_allowance(Allowance { reset, ..QUOTA });
        let (head, _) = rejected(Http::new(), rejection);
        let advice = RateLimitAdvice::read(head.headers());
        let retry_after = advice.retry_after.expect("a wait is written");
        prop_assert!(retry_after >= Duration::from_secs(wait.as_secs()));
        prop_assert!(retry_after >= wait || wait > Duration::from_secs(u64::MAX), "{:?}", retry_after);
        let [left] = &advice.left[..] else { panic!("{advice:?}") };
        prop_assert!(left.reset.expect("t") <= retry_after, "{:?}", advice);
    }

    #[test]
    fn written_fields_and_bodies_are_well_formed(
        kind in kinds(),
        name in proptest::sample::select(ODD_NAMES.to_vec()),
        limit in any::<u64>(),
        remaining in any::<u64>(),
        window_secs in prop_oneof![Just(0_u64), any::<u64>()],
        reset in durations(),
    ) {
        let quota = Allowance { name, limit, window_secs, remaining, reset };
        let rejection = Rejection::new("p", kind).with_allowance(quota);
        let (head, body) = rejected(Http::new(), rejection);
        let named = Allowance::is_name(name);
        for field in ["ratelimit", "ratelimit-policy"] {
            let lists = text(head.headers(), field).map(sound_list);
            prop_assert_eq!(lists.map(|list| list.len()), named.then_some(1));
        }
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        prop_assert_eq!(&problem["status"], &serde_json::json!(head.status().as_u16()));
        let violated = named.then(|| serde_json::json!([name]));
        prop_assert_eq!(problem.get("violated-policies"), violated.as_ref());

        let old = Http::new().rate_limit_fields(RateLimitFields::DRAFT_07.and_legacy());
        let (head, _) = rejected(old, rejection);
        sound_dictionary(text(head.headers(), "ratelimit").unwrap());
        _ = text(head.headers(), "ratelimit-policy").map(sound_list);
        for field in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
            prop_assert!(text(head.headers(), field).unwrap().parse::<u64>().is_ok());
        }
    }
}
