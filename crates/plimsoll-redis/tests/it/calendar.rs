//! Windows that end by the wall clock of Redis.

use plimsoll_core::{Policy, policy::Verdict};
use plimsoll_rate_limit::{Quota, RateLimit};
use tokio::time::Instant;

use crate::{
    ask, builder, ms,
    scripts::{MS, Redis},
    server::{Server, free_port},
};

const HOUR: u64 = 3_600_000 * MS;

#[test]
fn windows_end_on_the_hour_at_midnight_and_on_monday_with_an_offset() {
    let mut redis = Redis::start();
    // 2026-11-28T21:30:00Z, a Saturday. 03:00 on Sunday in India, 13:30 on Saturday in California.
    let now = 1_795_901_400_000 * MS;
    for (quota, wait) in [
        (Quota::per_calendar_hour(1), HOUR / 2),
        (Quota::per_calendar_day(1), 5 * HOUR / 2),
        (Quota::per_calendar_week(1), 24 * HOUR + 5 * HOUR / 2),
        (Quota::per_calendar_hour(1).utc_offset_minutes(330), HOUR),
        (
            Quota::per_calendar_day(1).utc_offset_minutes(330),
            21 * HOUR,
        ),
        (
            Quota::per_calendar_week(1).utc_offset_minutes(330),
            21 * HOUR,
        ),
        (
            Quota::per_calendar_day(1).utc_offset_minutes(-480),
            21 * HOUR / 2,
        ),
    ] {
        redis.flush();
        redis.phase = quota.calendar_phase().expect("a calendar's").as_micros() as u64;
        let window = ("f", quota.period().as_micros() as u64, 1);
        assert_eq!(redis.one(window, 1, now), Ok(0), "{quota:?}");
        assert_eq!(redis.one(window, 1, now + 1), Err(wait - 1), "{quota:?}");
        assert_eq!(redis.one(window, 1, now + wait), Ok(0), "{quota:?}");
    }
}

/// A calendar day whose noon is now, by the clock of this Redis.
fn day_at_noon(server: &Server, count: u32) -> Quota {
    let client = redis::Client::open(server.url()).expect("a URL");
    let mut connection = client.get_connection().expect("it listens");
    let (seconds, _): (i64, i64) = redis::cmd("TIME").query(&mut connection).expect("the time");
    let minutes = 12 * 60 - (seconds / 60 % (24 * 60)) as i32;
    Quota::per_calendar_day(count).utc_offset_minutes(minutes)
}

#[tokio::test]
async fn a_day_ends_at_midnight_in_redis_in_a_local_limit_and_without_redis() {
    let server = Server::start();
    let day = day_at_noon(&server, 3);
    let shared = builder(&server).quota(day).connect().expect("valid");
    shared.handle().wait_connected().await;
    let url = format!("redis://127.0.0.1:{}", free_port());
    let nowhere = plimsoll_redis::RedisServer::new(url).expect("a URL");
    let alone = plimsoll_redis::RedisRateLimit::builder(nowhere)
        .quota(day)
        .connect()
        .expect("valid");
    let local = RateLimit::new(day).expect("valid");
    for _ in 0..3 {
        assert!(ask(&shared, &mut ()).await.is_ok());
        assert!(ask(&alone, &mut ()).await.is_ok());
        let decided = Policy::<()>::admit(&local, &mut (), Instant::now());
        assert!(matches!(decided, Verdict::Admit(_)));
    }
    let Verdict::Reject(rejection) = Policy::<()>::admit(&local, &mut (), Instant::now()) else {
        panic!("three a day")
    };
    for rejection in [
        rejection,
        ask(&shared, &mut ()).await.expect_err("three a day"),
        ask(&alone, &mut ()).await.expect_err("three a day"),
    ] {
        let wait = rejection.retry_after().expect("exact");
        let noon = ms(12 * 3_600_000);
        assert!(wait.abs_diff(noon) < ms(120_000), "{rejection:?}");
    }
    assert_eq!((shared.handle().local(), alone.handle().local()), (0, 4));
}
