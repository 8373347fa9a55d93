//! A cell for every key: each key is limited on its own.

use std::{collections::HashMap, fmt::Debug, hash::Hash, thread, time::Duration};

use plimsoll_core::{ClientIp, HeaderKey, Missing, Policy, key::PeerAddr, policy::Verdict};
use plimsoll_rate_limit::{KeyedRateLimit, Quota, RateLimit};
use proptest::{collection::vec, prelude::*, sample::Index};
use tokio::time::Instant;

use crate::exact::{Counted, Terms};

const SECOND: u64 = 1_000_000_000;

/// A key and a cost.
type Ask = (u16, u32);

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Ask(Ask),
    /// An admitted request is revoked: the newest one at once, any one later.
    RevokeNewest,
    Revoke(Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..SECOND / 3).prop_map(Step::Pass),
        1 => (0..4 * SECOND).prop_map(Step::Pass),
        8 => (0_u16..5, 0_u32..7).prop_map(Step::Ask),
        1 => Just(Step::RevokeNewest),
        1 => any::<Index>().prop_map(Step::Revoke),
    ];
    vec(step, 1..150)
}

fn terms() -> impl Strategy<Value = Terms> {
    (1_u32..30, 0..3, 1_u32..12, 1_u64..3).prop_map(|(count, counted, burst, seconds)| Terms {
        count,
        period: seconds * SECOND,
        counted: match counted {
            0 => Counted::Bucket { burst },
            1 => Counted::Fixed,
            _ => Counted::Sliding,
        },
    })
}

/// Runs the steps against a keyed limit and against one limit per key. Decisions and waits must be
/// equal.
fn compare<const N: usize>(terms: [Terms; N], steps: &[Step]) -> Result<(), TestCaseError> {
    let make = || {
        RateLimit::all(terms.map(Terms::quota))
            .expect("valid")
            .cost(|(_, cost): &Ask| *cost)
    };
    let key = |(key, _): &Ask| Some(*key);
    let keyed = make().per_key(key, Missing::Share, 10_000).expect("valid");
    let (start, mut at) = (Instant::now(), 0);
    let each: HashMap<u16, _> = (0..5).map(|key| (key, make())).collect();
    // Starts the epochs.
    assert!(admits(&keyed, (99, 0), start));
    assert!(each.values().all(|own| own.available(start) > 0));
    let mut out = Vec::new();
    for step in steps {
        let now = start + Duration::from_nanos(at);
        match step {
            Step::Pass(nanos) => at += nanos,
            Step::Ask(ask) => match (
                keyed.admit(&mut { *ask }, now),
                each[&ask.0].admit(&mut { *ask }, now),
            ) {
                (Verdict::Admit(permit), Verdict::Admit(own)) => {
                    out.push((ask.0, now, permit, own));
                }
                (Verdict::Reject(got), Verdict::Reject(own)) => prop_assert_eq!(got, own),
                (got, _) => prop_assert!(false, "not like its own limit: {got:?}"),
            },
            Step::RevokeNewest | Step::Revoke(_) if out.is_empty() => {}
            Step::RevokeNewest | Step::Revoke(_) => {
                let which = match step {
                    Step::Revoke(index) => index.index(out.len()),
                    _ => out.len() - 1,
                };
                let (key, admitted, permit, own) = out.remove(which);
                keyed.revoke(permit, admitted, now);
                Policy::<Ask>::revoke(&each[&key], own, admitted, now);
            }
        }
        let now = start + Duration::from_nanos(at);
        for (key, own) in &each {
            if let Some(left) = keyed.handle().available(key, now) {
                prop_assert_eq!(left, own.available(now), "of {}", key);
            }
        }
    }
    prop_assert_eq!(keyed.handle().evicted(), 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_key_with_a_cell_has_its_own_quota(terms in terms(), steps in steps()) {
        compare([terms], &steps)?;
    }

    #[test]
    fn a_key_with_a_cell_has_its_own_quotas(
        one in terms(),
        other in terms(),
        steps in steps(),
    ) {
        compare([one, other], &steps)?;
    }
}

fn admits<Req>(limit: &impl Policy<Req>, mut req: Req, now: Instant) -> bool {
    matches!(limit.admit(&mut req, now), Verdict::Admit(_))
}

fn filled(capacity: usize, keys: u64) -> KeyedRateLimit<fn(&u64) -> Option<u64>> {
    let key: fn(&u64) -> Option<u64> = |key| Some(*key);
    let quota = Quota::per_hour(1000);
    let limit = RateLimit::new(quota)
        .expect("valid")
        .per_key(key, Missing::Share, capacity)
        .expect("valid");
    let now = Instant::now();
    for key in 0..keys {
        assert!(admits(&limit, key, now));
    }
    limit
}

#[test]
fn memory_is_bounded_by_the_capacity() {
    let limit = filled(10_000, 10_000);
    let handle = limit.handle();
    let (bytes, now) = (handle.bytes(), Instant::now());
    for key in 10_000..100_000 {
        limit.admit(&mut { key }, now);
    }
    assert_eq!(handle.bytes(), bytes);
    assert_eq!(handle.keys(), handle.capacity());
    assert!(handle.evicted() > 50_000);
}

#[test]
fn keys_take_less_than_24_bytes_each_and_nearly_all_have_a_cell() {
    let limit = filled(200_000, 200_000);
    let handle = limit.handle();
    assert!(handle.keys() > 190_000, "{} have a cell", handle.keys());
    assert_eq!(handle.keys() + handle.evicted(), 200_000);
    let each = handle.bytes() as f64 / handle.keys() as f64;
    assert!(each < 24.0, "{each} bytes");
}

/// A set of four cells is a cache line of 64 bytes, and two sets share an overflow bucket of 8.
#[test]
fn bytes_are_those_of_the_allocated_sets_and_overflow_buckets() {
    let none = filled(1_024, 0);
    assert_eq!(none.handle().bytes(), 0);
    let small = filled(1_024, 1);
    let sets = small.handle().capacity() as usize / 4;
    assert!(sets <= 1_024, "one page");
    assert_eq!(small.handle().bytes(), sets * 64 + sets / 2 * 8);
    let page = 1_024 * 64 + 512 * 8;
    let large = filled(1 << 20, 1);
    assert!([page, 2 * page].contains(&large.handle().bytes()));
}

#[test]
fn few_keys_take_few_pages_of_a_large_table() {
    let limit = filled(1 << 28, 3);
    assert!(limit.handle().bytes() < 8 << 16);
}

/// Three threads bring the same new keys. Each key gets exactly its burst.
#[test]
fn a_new_key_on_several_threads_gets_one_burst() {
    let key = |key: &u32| Some(*key);
    let quota = Quota::per_hour(3);
    for round in 0..20 {
        // Enough cells that no key ever meets eight cells in use.
        let limit = RateLimit::new(quota)
            .expect("valid")
            .per_key(key, Missing::Share, 200_000)
            .expect("valid");
        let now = Instant::now();
        let admitted: Vec<u32> = thread::scope(|scope| {
            let ask = || {
                (0..2000)
                    .flat_map(|key| [key; 2])
                    .filter(|key| admits(&limit, *key, now))
                    .collect()
            };
            let threads: [_; 3] = std::array::from_fn(|_| scope.spawn(ask));
            threads
                .into_iter()
                .flat_map(|thread| -> Vec<u32> { thread.join().expect("no panic") })
                .collect()
        });
        let mut each = HashMap::<u32, u32>::new();
        for key in admitted {
            *each.entry(key).or_default() += 1;
        }
        assert_eq!(each.len(), 2000);
        let odd: Vec<_> = each
            .iter()
            .filter(|(_, admitted)| **admitted != 3)
            .collect();
        assert!(odd.is_empty(), "round {round}: {odd:?}");
        assert_eq!(limit.handle().keys(), 2000);
    }
}

/// Threads with different keys, in a table that is too small for them: all cells together keep the
/// quota.
#[test]
fn threads_that_evict_each_others_keys_get_no_more_than_the_cells_hold() {
    let key = |key: &u32| Some(*key);
    for _ in 0..10 {
        let limit = RateLimit::new(Quota::per_hour(3))
            .expect("valid")
            .per_key(key, Missing::Share, 64)
            .expect("valid");
        let now = Instant::now();
        let admitted: usize = thread::scope(|scope| {
            let ask = |from: u32| {
                (from..from + 1500)
                    .filter(|key| admits(&limit, *key, now))
                    .count()
            };
            let threads: [_; 3] =
                std::array::from_fn(|thread| scope.spawn(move || ask(thread as u32 * 10_000)));
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .sum()
        });
        let handle = limit.handle();
        assert!(admitted as u64 <= 3 * handle.capacity());
        assert_eq!(handle.keys(), handle.capacity());
    }
}

/// Takes the only token of this key, and finds the key through the handle.
fn has_one<Req: Clone, K>(limit: &KeyedRateLimit<K>, req: Req, key: impl Hash + Debug)
where
    K: plimsoll_core::Key<Req>,
{
    let (now, handle) = (Instant::now(), limit.handle());
    assert_eq!(handle.available(&key, now), None);
    assert!(admits(limit, req.clone(), now));
    assert_eq!(handle.available(&key, now), Some(0));
    assert!(!admits(limit, req.clone(), now));
}

#[test]
fn keys_can_be_of_any_type_and_length() {
    const ONE: Quota = Quota::per_hour(1);
    let bytes = RateLimit::new(ONE).expect("valid").per_key(
        |key: &Vec<u8>| Some(key.clone()),
        Missing::Share,
        100,
    );
    let bytes = bytes.expect("valid");
    for key in [
        vec![],
        vec![0],
        vec![0, 0],
        vec![0xff; 3],
        b"\xc3\x28".to_vec(),
        vec![7; 1 << 20],
        vec![7; (1 << 20) + 1],
    ] {
        has_one(&bytes, key.clone(), key);
    }

    let unit = RateLimit::new(ONE)
        .expect("valid")
        .per_key(|(): &()| Some(()), Missing::Share, 1)
        .expect("valid");
    has_one(&unit, (), ());

    let header = RateLimit::new(ONE).expect("valid").per_key(
        HeaderKey::from_static("x-key"),
        Missing::Share,
        100,
    );
    let header = header.expect("valid");
    for value in [&b"ann"[..], b"\xff\xfe not UTF-8"] {
        let value = http::HeaderValue::from_bytes(value).expect("a header");
        let req = http::Request::builder().header("x-key", &value).body(());
        has_one(&header, req.expect("a request"), value.as_bytes());
    }

    let ip = RateLimit::new(ONE)
        .expect("valid")
        .per_key(ClientIp::peer(), Missing::Share, 100)
        .expect("valid");
    for peer in [
        "127.0.0.1:1",
        "[::1]:1",
        "[2001:db8::1]:1",
        "[2001:db8:1::1]:1",
    ] {
        let mut req = http::Request::new(());
        req.extensions_mut()
            .insert(PeerAddr(peer.parse().expect("an address")));
        let client = ClientIp::peer().client(&req).expect("a peer");
        has_one(&ip, req, client);
    }
}
